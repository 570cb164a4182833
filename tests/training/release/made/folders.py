"""A tiny folder of each kind that is released, whole and with a card."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from datasets import Dataset
from PIL import Image

import fusionrs_hf.auto  # noqa: F401 - so that save_pretrained writes the remote code
from dataset_builder.schema import FEATURES, new_row
from tests.made import tiny, tiny_translator, tiny_vlm

CARD = "---\nlicense: cc0-1.0\n---\n# Card\n"
APP = "import gradio\n\ngradio.Interface(lambda text: text, 'text', 'text').launch()\n"
METRIC = Path(__file__).parents[4] / "training" / "metrics" / "cross_modal_recall"


def png(image: Image.Image) -> dict:
    encoded = BytesIO()
    image.save(encoded, "PNG")
    return {"bytes": encoded.getvalue(), "path": None}


def write_split(folder: Path, split: str, seeds: range, ir_seed: int = 0, rights: str = "cc0-1.0") -> None:
    """Writes `data/SPLIT-00000-of-00001.parquet` of random tiles."""
    rows = [
        new_row(
            sample_id=f"{split}/{seed}",
            source_dataset="tests",
            source_locator=f"r0c{seed}s16",
            rights=rights,
            rgb=png(tiny.rgb_image(seed, 16)),
            ir=png(tiny.ir_image(seed + ir_seed, 16)),
            captions=["a field"],
            caption_origin=["hand"],
        )
        for seed in seeds
    ]
    (folder / "data").mkdir(parents=True, exist_ok=True)
    Dataset.from_list(rows, features=FEATURES).to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")


def dataset(folder: Path) -> Path:
    write_split(folder, "train", range(3))
    write_split(folder, "test", range(3, 4))
    (folder / "README.md").write_text(CARD)
    return folder


def clip(folder: Path, seed: int = 0) -> Path:
    tiny.clip_model(seed).save_pretrained(folder)
    tiny.clip_processor().save_pretrained(folder)
    (folder / "README.md").write_text(CARD)
    return folder


def vlm(folder: Path, seed: int = 0) -> Path:
    tiny_vlm.vlm_model(seed).save_pretrained(folder)
    tiny_vlm.vlm_processor().save_pretrained(folder)
    (folder / "README.md").write_text(CARD)
    return folder


def translator(folder: Path, seed: int = 0) -> Path:
    tiny_translator.pipeline(seed).save_pretrained(folder)
    (folder / "README.md").write_text(CARD)
    return folder


def space(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("---\nlicense: cc0-1.0\nsdk: gradio\napp_file: app.py\n---\n# Card\n")
    (folder / "app.py").write_text(APP)
    (folder / "requirements.txt").write_text("numpy\n")
    return folder


def metric(folder: Path) -> Path:
    return METRIC


MAKERS: dict[str, Callable[[Path], Path]] = {
    "dataset": dataset,
    "clip": clip,
    "vlm": vlm,
    "translator": translator,
    "metric": metric,
    "space": space,
}
