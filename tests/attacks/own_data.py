"""A source of every kind that a recipe may name, and data sets of every method of `eval`, made small for the stock."""

from pathlib import Path
from typing import Any

SHOWN = {
    "train": [["Person", "Car"], ["Bicycle"], ["OtherVehicle", "Person"], ["DontCare"], []],
    "val": [["Person"], ["Car", "OtherVehicle"], ["Bicycle"]],
    "test": [["Car"], ["Bicycle", "Bicycle"], ["Person"], ["OtherVehicle"]],
}


def write_sources(home: Path) -> None:
    """Writes what `source_specs` names, but for the stock's own images and rows."""
    import numpy as np

    from tests.dataset_builder.made import corpora
    from tests.dataset_builder.made.noise_images import noise, png
    from tests.dataset_builder.sources.test_scene import SIDE, write

    for number in range(3):
        for folder, channels in (("rgb", 3), ("ir", 1)):
            corpora.put(home / "pairs" / folder / f"{number}.png", png(noise(number + channels, channels))["bytes"])
    corpora.rs5m_tar(home / "tars" / "a.tar", 0, 3)
    corpora.skyscript(home / "skyscript")
    corpora.rsicd(home / "RSICD")
    corpora.write_index(home / "index.jsonl", [corpora.index_row("RSICD", 0, "RSICD_images/airport_1.jpg")])
    write(home / "scene.tif", np.random.default_rng(0).integers(0, 1200, (4, SIDE, SIDE), dtype=np.uint16))


def source_specs(stock: Any) -> dict[str, dict[str, Any]]:
    """Returns an entry of `sources` by kind that a build reads."""
    home, photos = stock.home / "sources", str(stock.photos)
    columns = {"rgb": "file_name", "captions": "text"}
    rights = {"rights": "CC0-1.0"}
    bands = {"red": 1, "green": 2, "blue": 3, "nir": 4}
    specs = {
        "repository": {"path": str(stock.rows)},
        "folder": {"path": photos, **rights},
        "pairs": {"path": str(home / "pairs"), "rgb": "rgb/*", "ir": "ir/*", "ir_band": "nir", **rights},
        "table": {"path": f"{photos}/metadata.jsonl", "columns": columns, "images": photos, **rights},
        "webdataset": {"path": str(home / "tars"), "rgb": "img_content", "text": "caption", **rights},
        "skyscript": {"path": str(home / "skyscript"), "captions": str(next((home / "skyscript").glob("*.csv")))},
        "caption_corpus": {
            "path": str(home / "RSICD" / "RSICD_images"),
            "captions": str(home / "RSICD" / "dataset_rsicd.json"),
            **rights,
        },
        "fusionrs_index": {"path": str(home / "index.jsonl"), "roots": {"RSICD": str(home / "RSICD")}},
        "scene": {
            "path": str(home / "scene.tif"),
            "bands": bands,
            "limits": {name: [0, 1000] for name in bands},
            "tile_px": 16,
            **rights,
        },
    }
    return {kind: {"kind": kind, **spec} for kind, spec in specs.items()}


def write_scored(home: Path) -> None:
    """Writes the models and data sets that the methods of `eval` take beside the stock's own."""
    from tests.made import scene_sets, tiny_translator, tiny_vlm

    tiny_vlm.vlm_model().save_pretrained(home / "vlm")
    tiny_vlm.vlm_processor().save_pretrained(home / "vlm")
    tiny_translator.pipeline().save_pretrained(home / "translator")
    scene_sets.write_scenes(home / "scenes", "nwpu")
    scene_sets.write_hit_uav(home / "hit_uav", SHOWN)
    scene_sets.write_caltech(home / "caltech", 4)


def eval_command(stock: Any, method: str, output: Path) -> list[object]:
    """Returns a command of a method of `eval` that works."""
    home = stock.home / "scored"
    model = {"vlm": home / "vlm", "vlm-need": home / "vlm", "translator": home / "translator"}.get(method, stock.run)
    options = {
        "clip": ["--dataset", stock.rows],
        "vlm": ["--dataset", stock.rows, "--pairs", 2, "--batch_size", 2],
        "vlm-need": ["--dataset", stock.rows, "--pairs", 2],
        "translator": ["--dataset", stock.rows],
        "zero-shot": ["--dataset", home / "scenes", "--layout", "nwpu"],
        "hit-uav": ["--dataset", home / "hit_uav"],
        "caltech-pairs": [
            *("--dataset", home / "caltech" / "labeled_rgbt_pairs"),
            *("--splits", home / "caltech" / "rgbt_splits"),
        ],
    }[method]
    return ["eval", method, "--model", model, *options, "--output", output]
