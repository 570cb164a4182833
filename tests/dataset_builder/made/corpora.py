"""Small corpora drawn from seeds, in the folders, file names and formats that upstream ships."""

import gzip
import io
import json
import sys
import tarfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

CANARY = b"outside: nobody may read this"


def picture(seed, kind="JPEG", side=16):
    """Encoded RGB image of `side` x `side` pixels, another for every seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows_of(source):
    return [row for shard in source.shards() for row in source.read(shard)]


def reasons_of(rows):
    return {row["source_locator"]: row["_reason"] for row in rows}


def write_tar(path, members, **options):
    """Writes (name or TarInfo, content or None) pairs; floats as `mtime`, as webdataset's writer does, need pax."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, options.pop("mode", "w"), **options) as tar:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size, info.mtime = len(content or b""), 1690000000.25
            tar.addfile(info, io.BytesIO(content) if content is not None else None)
    return path


def rs5m_tar(path, first, count):
    """A tar of RS5M: KEY.caption, KEY.img_content, KEY.img_name."""
    members = []
    for number in range(first, first + count):
        members += [
            (f"{number:09d}.caption", f"a satellite image, number {number}".encode()),
            (f"{number:09d}.img_content", picture(number)),
            (f"{number:09d}.img_name", f"laion2b_{number}.jpg".encode()),
        ]
    return write_tar(path, members)


SKYSCRIPT = (  # filepath, title_multi_objects, title
    ("images2/a198234555_CH_19.jpg", "a building, surrounded by residential landuse", "a building"),
    ("images2/w7_US_21.jpg", 'a road named "Main St", paved', "a road"),
    ("images3/n5_S2_20.jpg", "wetland,\nby a river", "wetland"),
)


def skyscript(root, rows=SKYSCRIPT, name="SkyScript_train_top30pct_filtered_by_CLIP_openai.csv", images=True):
    """SkyScript's folders and one of its CSV files, as pandas writes it."""
    (root / "images2").mkdir(parents=True, exist_ok=True)
    lines = ["filepath,title_multi_objects,title"]
    for seed, row in enumerate(rows):
        quoted = ['"' + text.replace('"', '""') + '"' if set(text) & set(',"\n') else text for text in row]
        lines.append(",".join(quoted))
        if images:
            put(root / row[0], picture(seed))
    put(root / name, "\n".join(lines) + "\n")
    return root / name


def sentences(name, count=5):
    return [f"caption {number} of {name} ." for number in range(count)]


def karpathy(root, json_name, folder, images, dataset):
    """A corpus in the JSON of RSICD; `images` is (file name, split) pairs."""
    entries = []
    for number, (name, split) in enumerate(images):
        put(root / folder / name, picture(number, "TIFF" if name.endswith(".tif") else "JPEG"))
        texts = [
            {"tokens": text.split(), "raw": text, "imgid": number, "sentid": 5 * number + place}
            for place, text in enumerate(sentences(name))
        ]
        ids = [text["sentid"] for text in texts]
        entries.append({"sentids": ids, "imgid": number, "sentences": texts, "split": split, "filename": name})
    put(root / json_name, json.dumps({"images": entries, "dataset": dataset}))
    return root / json_name


def rsicd(root):
    return karpathy(
        root, "dataset_rsicd.json", "RSICD_images", [("airport_1.jpg", "train"), ("00623.jpg", "val")], "rsicd"
    )


def rsitmd(root):
    return karpathy(root, "dataset_RSITMD.json", "images", [("boat_1.tif", "train"), ("park_9.tif", "test")], "RSITMD")


def ucm(root):
    return karpathy(root, "dataset.json", "imgs", [("1.tif", "train"), ("2.tif", "test")], "UCM_captions")


def sydney(root):
    return karpathy(root, "dataset.json", "imgs", [("1.tif", "val"), ("613.tif", "test")], "Sydney_captions")


def nwpu(root):
    """NWPU-Captions: by class, five captions in five keys, images in a folder a class."""
    document, number = {}, 0
    for folder, names in {"airplane": ("train", "val"), "airport": ("test",)}.items():
        document[folder] = []
        for split in names:
            name = f"{folder}_{number:03d}.jpg"
            put(root / "NWPU_images" / folder / name, picture(number))
            entry = {"filename": name, "imgid": number, "split": split}
            for place, text in enumerate(sentences(name)):
                end = f"_{place}" if place else ""
                entry |= {f"raw{end}": text, f"tokens{end}": text.split(), f"sentids{end}": 5 * number + place}
            document[folder].append(entry)
            number += 1
    put(root / "dataset_nwpu.json", json.dumps(document))
    return root / "dataset_nwpu.json"


def index_row(source, number, locator, split="train", public=True, **changes):
    """A record of the official index, all fields of its schema."""
    name = f"{source}_{number:05d}"
    row = {
        "schema_version": "fusionrs-public-index-v1" if public else "fusionrs-index-v1",
        "sample_id": name,
        "source_dataset": source,
        "source_record_id": name,
        "source_locator": locator,
        "split": split,
        "joint_group_id": f"joint-group:{number:024x}",
        "phash4_component_id": f"singleton_{name}",
        "canonical_component_representative": name,
        "is_canonical_component_representative": True,
        "is_eval_representative": split != "train",
        "prior_reused_protected": False,
        "translation": {
            "model": "DiffV2IR",
            "output_key": f"{source}/{name}.png",
            "redistribution": "conditional_on_upstream_rights",
        },
    }
    if public:
        code = {"RSICD": "rsicd-redistribution-license-not-located", "SkyScript": "skyscript-naip-public-domain"}
        row |= {
            "source_rights_code": code.get(source, "rs5m-item-rights-unconfirmed"),
            "caption_supervision_available_upstream": True,
            "vlm_train_identity": False,
        }
    else:
        row |= {
            "source_rights_note": "index-only",
            "class_name": None,
            "caption": f"the caption of {name}",
            "caption_usable": True,
            "normalized_caption_key": "0" * 64,
            "vlm_train_used": False,
        }
    return row | changes


def write_index(path, rows):
    """JSON Lines with sorted keys, gzip where the name ends so, as the release writes it."""
    text = "".join(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in rows).encode()
    return put(path, gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)


_watching: list[list[str]] = []


def _note_open(event, arguments):
    if event == "open" and _watching and isinstance(arguments[0], (str, bytes, Path)):
        _watching[-1].append(str(arguments[0]))


sys.addaudithook(_note_open)


@contextmanager
def opened_files():
    """Gives the list of all names that this process opens meanwhile."""
    _watching.append([])
    try:
        yield _watching[-1]
    finally:
        _watching.pop()


UNSAFE = (
    "../canary.jpg",
    "a/../../canary.jpg",
    "/etc/hostname",
    "C:\\canary.jpg",
    "..\\canary.jpg",
    "file:///canary.jpg",
)
UNSAFE += ("nul\0byte.jpg", "link.jpg", "folder_link/canary.jpg", "lone\ud800.jpg")


def plant(root):
    """Puts a canary beside `root`, and links to it and its folder inside; returns the canary."""
    root.mkdir(parents=True, exist_ok=True)
    canary = put(root.parent / "canary.jpg", CANARY)
    (root / "link.jpg").symlink_to(canary)
    (root / "folder_link").symlink_to(root.parent)
    return canary
