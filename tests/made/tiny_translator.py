"""A tiny translator of random weights that do something: its outputs differ by place, band and condition."""

import torch

from fusionrs_hf.modeling_fusionrs_translator import FusionRSTranslator
from fusionrs_hf.pipeline_fusionrs_translator import RGB2IRPipeline

STRETCH = {"unit": "reflectance_1e4", "rgb": [[400, 2000], [600, 2000], [900, 2100]], "ir": {"nir": [200, 4000]}}


def translator(seed: int = 0) -> FusionRSTranslator:
    torch.manual_seed(seed)
    model = FusionRSTranslator(
        bands=["nir", "lwir"],
        conditions=["unknown", "scene"],
        condition_bands={"unknown": ["nir"], "scene": ["nir", "lwir"]},
        stretches={"scene": STRETCH},
        reflectance_condition="scene",
        channels=[4, 6, 8],
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.add_(0.3 * torch.randn_like(parameter) if "condition" in name else 0)
        model.interval_scale[1] = torch.tensor([[1.5, 2.0], [1.0, 1.0]])
    return model.eval()


def pipeline(seed: int = 0) -> RGB2IRPipeline:
    return RGB2IRPipeline(translator=translator(seed))
