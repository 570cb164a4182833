"""What the attacks start from, made once: a folder of images and its recipe, a build, tiny models, an index, a run."""

import json
import os
import traceback
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.attacks import own_data
from tests.attacks.verbs import run

IMAGES, PER_SHARD = 18, 3
TEXT_TOKENS = 128  # more than the captions that a build writes have
ROOT = Path(__file__).parents[2]
TENSORS = ROOT / "tests" / "data" / "open_clip" / "tiny.safetensors"
CHECKPOINT = "open_clip.safetensors"  # in the stock


@dataclass(frozen=True, slots=True)
class Stock:
    """Folders and files; attacks copy what they change."""

    home: Path

    def __getattr__(self, name: str) -> Path:
        """`recipe`, `photos`, `base`, `clip`, `vision`, `text`, `language`, `words`, `index`, `rows`, `run`."""
        if name.startswith("_"):
            raise AttributeError(name)
        return self.home / ("recipe.yaml" if name == "recipe" else name)


def make_stock(home: Path) -> Stock:
    """Makes the stock, in child processes where verbs make it; raises RuntimeError where one fails."""
    stock = Stock(home)
    home.mkdir(parents=True)
    write_photos(stock.photos)
    write_recipe(stock.recipe, stock.photos)
    in_child(_models, stock)
    in_child(own_data.write_sources, home / "sources")
    in_child(own_data.write_scored, home / "scored")
    for arguments in (build(stock, stock.base), embed(stock, stock.index), train_clip(stock, stock.run)):
        done = run(arguments, home / "log")
        if done.code != 0:
            raise RuntimeError(f"the stock cannot be made: {arguments[0]}: {done.error[-2000:]}")
    return stock


def in_child(function, *arguments) -> None:
    """Calls a function in a child: what Arrow and torch start in it does not stand in the way of later forks."""
    pid = os.fork()
    if pid == 0:
        try:
            function(*arguments)
            os._exit(0)
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
            os._exit(1)
    if os.waitpid(pid, 0)[1] != 0:
        raise RuntimeError(f"{function.__name__} failed")


def write_photos(folder: Path, count: int = IMAGES) -> Path:
    """Writes RGB images with captions."""
    from tests.dataset_builder.made.noise_images import noise, png

    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number:02d}.png").write_bytes(png(noise(number, 3))["bytes"])
    lines = [
        {"file_name": f"{number:02d}.png", "text": f"dry ground with the number {number}"} for number in range(count)
    ]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def write_recipe(path: Path, photos: Path, **source: object) -> Path:
    """Writes a recipe over such a folder: captions, translated infrared, groups, splits, some shards."""
    path.write_text(yaml.safe_dump(recipe_of({"path": str(photos), **source})))
    return path


def recipe_of(source: dict, **changes: object) -> dict:
    """Returns a recipe with one source."""
    source = {"kind": "folder", "rights": "CC0-1.0", **source}
    if source["kind"] == "folder":
        source.setdefault("images_per_shard", PER_SHARD)
    return {
        "name": "Attacked",
        "description": "Made to be attacked.",
        "attribution": {"photos": "nobody"},
        "sources": [source],
        "translate": {"translator": "radiometric", "band": "nir"},
        "caption": {},
        "filters": {"rgb_ir_misaligned": False, "ir_is_gray_of_rgb": False, "image_too_small": {"min_side": 8}},
        "groups": {"relations": ["bytes"]},
        "splits": {"validation": 0.2, "test": 0.2},
        "max_shard_bytes": 40_000,
        **changes,
    }


def _models(stock: Stock) -> None:
    from safetensors.torch import load_file, save_file

    import fusionrs_hf.auto  # noqa: F401 - so that `save_pretrained` writes the remote code
    from fusionrs_hf.processing_fusionrs_clip import FusionRSCLIPProcessor
    from tests.made import tiny, tiny_dataset, tiny_vlm

    model, tokenizer = tiny.clip_model(text_config=_long_texts()), tiny.tokenizer()
    tokenizer.model_max_length = TEXT_TOKENS
    model.save_pretrained(stock.clip)
    FusionRSCLIPProcessor(tiny.image_processor(), tiny.image_processor(), tokenizer).save_pretrained(stock.clip)
    model.vision_model.save_pretrained(stock.vision)
    tiny.image_processor().save_pretrained(stock.vision)
    model.text_model.save_pretrained(stock.text)
    tokenizer.save_pretrained(stock.text)
    words = tiny.tokenizer()
    words.add_tokens([f"word{number}" for number in range(40 - len(words))])
    words.save_pretrained(stock.words)
    tiny_vlm.save_clip(stock.vlm_clip)
    tiny_vlm.save_language_model(stock.language)
    tiny_dataset.write(stock.rows, train=8)
    tensors = load_file(TENSORS)
    names = [name for name in tensors if name.startswith("state.")]
    save_file({name.removeprefix("state."): tensors[name] for name in names}, stock.home / CHECKPOINT)


def _long_texts():
    """A text tower whose table of positions is longer than the captions that a build writes."""
    from tests.made import tiny

    config = tiny.text_config()
    config.max_position_embeddings = TEXT_TOKENS
    return config


def build(stock: Stock, out: Path, *options: object) -> list[object]:
    """The command line of each verb, with the folder that it writes."""
    return ["build", stock.recipe, out, "--workers", 1, *options]


def caption(stock: Stock, out: Path, *options: object) -> list[object]:
    return ["caption", stock.base, out, "--workers", 1, *options]


def embed(stock: Stock, out: Path, *options: object) -> list[object]:
    return [
        "embed",
        stock.base,
        "--model",
        stock.clip,
        "--output",
        out,
        "--device",
        "cpu",
        "--batch-size",
        4,
        *options,
    ]


def convert(stock: Stock, out: Path, *options: object) -> list[object]:
    return ["convert", "open-clip", stock.home / CHECKPOINT, "--output", out, "--tokenizer", stock.words, *options]


def export(stock: Stock, out: Path, *options: object) -> list[object]:
    return ["export", "clip", stock.clip, out, *options]


def train_clip(stock: Stock, out: Path, *options: object) -> list[object]:
    fields = {
        "dataset": stock.rows,
        "vision_tower": stock.vision,
        "text_tower": stock.text,
        "output_dir": out,
        "projection_dim": 8,
        "ir_origin": "any",
        "max_steps": 3,
        "lr_scheduler_type": "constant",
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-2,
        "save_steps": 1,
        "logging_steps": 1,
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
    }
    return ["train", "clip", *(part for name, value in fields.items() for part in (f"--{name}", value)), *options]


def train_translator(stock: Stock, out: Path, *options: object) -> list[object]:
    fields = {
        "dataset": stock.rows,
        "output_dir": out,
        "bands": "nir",
        "tile_px": 32,
        "max_steps": 2,
        "per_device_train_batch_size": 2,
        "learning_rate": 1e-2,
        "logging_steps": 1,
        "save_steps": 1,
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
    }
    named = (part for name, value in fields.items() for part in (f"--{name}", value))
    return ["train", "translator", *named, "--channels", 4, 4, 4, *options]


def train_vlm(stock: Stock, out: Path, *options: object) -> list[object]:
    fields = {
        "dataset": stock.rows,
        "clip_model": stock.vlm_clip,
        "language_model": stock.language,
        "output_dir": out,
        "keep_language_layers": "0-1",
        "text_steps": 1,
        "projector_steps": 1,
        "max_steps": 2,
        "save_steps": 1,
        "logging_steps": 1,
        "per_device_train_batch_size": 2,
        "learning_rate": 0.05,
        "lora_rank": 2,
        "activation_checkpointing": False,
        "bf16": False,
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
    }
    return ["train", "vlm", *(part for name, value in fields.items() for part in (f"--{name}", value)), *options]


WRITERS = {  # verbs that write a folder of their own
    "build": build,
    "caption": caption,
    "embed": embed,
    "convert": convert,
    "export": export,
    "train clip": train_clip,
    "train vlm": train_vlm,
}
TRAINERS = {"train clip": train_clip, "train vlm": train_vlm, "train translator": train_translator}
OVERWRITE = {"train clip": ("--overwrite", "true"), "train vlm": ("--overwrite", "true")}  # of others: the flag alone
