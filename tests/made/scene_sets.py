"""Tiny folders in the layouts in which public benchmarks are unpacked, of random images; no file of theirs."""

import json
from collections.abc import Sequence
from pathlib import Path

from tests.made import tiny

ROOTS = {
    "aid": ("AID", ("Airport", "BareLand"), "{lower}_{n}.jpg"),
    "nwpu": ("NWPU-RESISC45", ("airplane", "basketball_court"), "{lower}_{n:03d}.jpg"),
    "eurosat": ("EuroSAT_RGB", ("AnnualCrop", "SeaLake"), "{name}_{n}.jpg"),
    "ucm": ("UCMerced_LandUse/Images", ("agricultural", "golfcourse"), "{lower}{n:02d}.tif"),
    "patternnet": ("PatternNet/images", ("airplane", "christmas_tree_farm"), "{lower}{n:03d}.jpg"),
}


def write_scenes(folder: Path, layout: str, images: int = 10) -> Path:
    """Writes two classes of a set, `images` each, numbered from 1 as their authors do."""
    root, classes, pattern = ROOTS[layout]
    for index, name in enumerate(classes):
        home = folder / root / name
        home.mkdir(parents=True)
        for n in range(1, images + 1):
            image = tiny.rgb_image(100 * index + n).point(lambda value, index=index: value // 2 + 128 * index)
            image.save(home / pattern.format(lower=name.lower(), name=name, n=n))
    return folder


def write_infrared(folder: Path, scenes: Path, layout: str) -> Path:
    """Writes a one-channel PNG for each image of a set, by class and stem."""
    for index, path in enumerate(sorted((scenes / ROOTS[layout][0]).glob("*/*"))):
        target = folder / path.parent.name / f"{path.stem}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        tiny.ir_image(index).save(target)
    return folder


HIT_UAV_NAMES = ("Person", "Car", "Bicycle", "OtherVehicle", "DontCare")  # category ids 0 to 4, as upstream


def write_hit_uav(folder: Path, shown: dict[str, Sequence[Sequence[str]]]) -> Path:
    """Writes `normal_json` with one image for each list of object names of each split."""
    number = 0
    for split, images in shown.items():
        home = folder / "normal_json" / split
        home.mkdir(parents=True)
        document = {"info": {}, "licenses": [], "images": [], "annotation": []}
        document["categories"] = [{"id": index, "name": name} for index, name in enumerate(HIT_UAV_NAMES)]
        for names in images:
            file = f"0_60_30_0_{number:05d}.jpg"
            tiny.ir_image(number).save(home / file)
            document["images"].append({"filename": file, "height": 32, "width": 32, "id": number})
            for name in names:
                box = {"image_id": number, "bbox": [1, 1, 5, 5], "category_id": HIT_UAV_NAMES.index(name)}
                document["annotation"].append(box | {"id": len(document["annotation"]), "area": 25})
            number += 1
        annotations = folder / "normal_json/annotations"
        annotations.mkdir(exist_ok=True)
        (annotations / f"{split}.json").write_text(json.dumps(document))
    return folder


def write_caltech(folder: Path, pairs: int) -> tuple[Path, Path]:
    """Writes `labeled_rgbt_pairs` and `rgbt_splits`, whose lists are in another order on each side."""
    dataset, splits = folder / "labeled_rgbt_pairs", folder / "rgbt_splits"
    for name in ("color", "thermal8"):
        (dataset / name).mkdir(parents=True)
    splits.mkdir()
    lines: dict[str, list[str]] = {"rgb": [], "thermal8": []}
    for n in range(pairs):
        stem, mask = "caltech_duck_ONR_2023-03-22", f"annotations/caltech_duck_ONR_2023-03-22_mask-{n:05d}.png"
        tiny.rgb_image(n).save(dataset / f"color/{stem}_eo-{n:05d}.jpg")
        tiny.ir_image(n).save(dataset / f"thermal8/{stem}_thermal-{n:05d}.jpg")
        lines["rgb"].append(f"color/{stem}_eo-{n:05d}.jpg,{mask}")
        lines["thermal8"].insert(0, f"thermal8/{stem}_thermal-{n:05d}.jpg,{mask}")
    for name, found in lines.items():
        (splits / f"{name}_test.txt").write_text("\n".join(found) + "\n")
    return dataset, splits
