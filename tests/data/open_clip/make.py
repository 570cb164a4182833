"""Writes tiny.safetensors: a random open_clip CLIP, inputs, and the embeddings that open_clip itself gives for them.

python tests/data/open_clip/make.py    # in an environment with open_clip_torch 3.3.0
"""

from pathlib import Path

import torch

for name in ("nms", "qnms"):  # a torchvision without its compiled operators imports all the same
    torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from open_clip.model import CLIP  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

torch.manual_seed(0)
model = CLIP(
    embed_dim=32,
    vision_cfg={"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
    text_cfg={"context_length": 12, "vocab_size": 40, "width": 64, "heads": 1, "layers": 2},
).eval()
for parameter in model.parameters():  # as if trained: the stock start leaves biases zero and norms one
    torch.nn.init.normal_(parameter, std=0.2) if parameter.ndim else None
images = torch.randn(3, 3, 32, 32)
texts = torch.randint(1, 38, (3, 12))
texts[:, 0], texts[0, 5], texts[1, 11], texts[2, 8] = 38, 39, 39, 39  # start; the end is the largest number
texts[0, 6:], texts[2, 9:] = 0, 0
with torch.no_grad():
    expected = {"image_embeds": model.encode_image(images, True), "text_embeds": model.encode_text(texts, True)}
state = {f"state.{name}": value for name, value in model.state_dict().items()}
tensors = {**state, **expected, "images": images, "texts": texts}
save_file({name: value.contiguous() for name, value in tensors.items()}, Path(__file__).parent / "tiny.safetensors")
