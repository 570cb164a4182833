"""A dataset's card shows pairs of the very rows that go up."""

import numpy as np
from datasets import Dataset
from PIL import Image

from dataset_builder.schema import FEATURES, new_row
from tests.training.release.made.folders import png
from training.release.pictures import GAP, LINE, PICTURE, SIDE, with_pictures, write_pictures


def write_rows(path, kinds):
    """A row for each (source, band, grey of RGB, grey of infrared)."""
    rows = [
        new_row(
            sample_id=f"row{number}",
            source_dataset=source,
            source_locator=str(number),
            rights="cc0-1.0",
            ir_band=band,
            ir_origin="sensor",
            rgb=png(Image.new("RGB", (16, 16), (rgb, rgb, rgb))),
            ir=png(Image.new("L", (16, 16), ir)),
            captions=["a | pipe <b>"],
            caption_origin=["hand"],
        )
        for number, (source, band, rgb, ir) in enumerate(kinds)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_list(rows, features=FEATURES).to_parquet(path)


def test_each_source_and_band_is_shown_before_one_is_shown_twice(tmp_path):
    kinds = [("a", "nir", 10, 20)] * 8 + [("b", "lwir", 200, 90), ("a", "swir", 100, 240)]
    write_rows(tmp_path / "data/test-00000-of-00001.parquet", kinds)
    write_rows(tmp_path / "data/train-00000-of-00001.parquet", [("c", "nir", 0, 0)])
    names = ["data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet", "README.md"]
    told = write_pictures(names, tmp_path)
    sheet = np.asarray(Image.open(tmp_path / PICTURE))
    columns = [GAP + SIDE // 2 + number * (SIDE + GAP) for number in range(5)]
    shown = [(int(sheet[LINE + SIDE // 2, x, 0]), int(sheet[LINE + SIDE + GAP + SIDE // 2, x, 0])) for x in columns]
    assert sorted(shown[:3]) == [(10, 20), (100, 240), (200, 90)]
    assert shown[3:] == [(10, 20)] * 2
    assert told.count("| sensor |") == 5
    assert "thermal infrared" in told and "a \\| pipe \\<b\\>" in told


def test_without_images_there_is_no_picture(tmp_path):
    (tmp_path / "data").mkdir()
    Dataset.from_dict({"sample_id": ["a"]}).to_parquet(tmp_path / "data/train-00000-of-00001.parquet")
    assert write_pictures(["data/train-00000-of-00001.parquet"], tmp_path) == ""
    assert write_pictures(["README.md"], tmp_path) == ""


def test_a_file_that_the_release_only_links_to_is_left_alone(tmp_path):
    write_rows(tmp_path / "out/data/test-00000-of-00001.parquet", [("a", "nir", 1, 2)])
    (tmp_path / "theirs.png").write_bytes(b"theirs")
    (tmp_path / "out/pictures").mkdir()
    (tmp_path / "out" / PICTURE).symlink_to(tmp_path / "theirs.png")
    write_pictures(["data/test-00000-of-00001.parquet", PICTURE], tmp_path / "out")
    assert (tmp_path / "theirs.png").read_bytes() == b"theirs"


def test_a_card_has_its_pictures_once_before_its_first_section():
    card = "---\nlicense: mit\n---\n# Rows\n\nText.\n\n## Rows by split\n\nMore.\n"
    once = with_pictures(card, "![pairs](x)\n")
    assert once.index("Text.") < once.index("![pairs](x)") < once.index("## Rows by split")
    assert with_pictures(once, "![pairs](x)\n") == once
    assert with_pictures(once, "") == card
    short = with_pictures("# Rows\n", "![pairs](x)\n")
    assert with_pictures(short, "![pairs](x)\n") == short
