"""Real builds from folders of bad images and captions: nothing crashes them, passes changed, or goes uncounted."""

import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageOps

from dataset_builder.pipeline import BuildRecipe, build
from dataset_builder.translators.radiometric import RadiometricTranslator
from tests.dataset_builder.made.bad_images import HEIGHT, INFRARED, RGB, WIDTH, encode, scene, turned

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # about files that are damaged, as they should be

GOOD = "a farm near a river"
# By name: what stands in the caption file as `captions`, and the reason for which the row leaves.
CAPTIONS = {
    "good": ([GOOD], None),
    "several": ([GOOD, "fields beside water"], None),
    "right_to_left": (["حقل أخضر بجانب نهر", "שדה ירוק ליד הנהר"], None),
    "direction_marks": (["\u202bحقل أخضر\u202c and a field"], None),
    "no_blanks": (["河流旁边的农田"], None),
    "combining": (["cafe\u0301 roofs beside a park"], None),
    "beyond_the_basic_plane": (["houses \U0001f3e0 beside a road"], None),
    "lines_and_tabs": (["a farm\n\tnear a river"], None),
    "none": ([], "caption_empty"),
    "empty": ([""], "caption_empty"),
    "blank": ([GOOD, " \t\n\u00a0"], "caption_empty"),
    "one_word": (["farm"], "caption_too_short"),
    "one_word_among_others": ([GOOD, "farm"], None),
    "long_100_kb": (["a farm " * 15_000], "caption_too_long"),
    "long_word": (["a " + "x" * 100_000], "caption_too_long"),
    "nul": (["a farm\0near a river"], "caption_has_control_characters"),
    "control": (["a farm\x1b[31m near a river"], "caption_has_control_characters"),
    "decoded_wrongly": (["caf\ufffd roofs"], "caption_has_control_characters"),
    "html": (["<p>a farm</p>"], "caption_has_markup"),
    "entities": (["fish &amp; chips"], "caption_has_markup"),
    "special_token": (["a <image> of a farm"], "caption_has_markup"),
    "digits": (["12 345"], "caption_not_text"),
    "dots": (["... ..."], "caption_not_text"),
    "half_a_pair": (["a farm \ud800 near a river"], "caption_unreadable"),
    "number": ([7], "caption_unreadable"),
    "null": ([None], "caption_empty"),
    "null_alone": (None, "caption_empty"),
    "null_among_texts": ([GOOD, None], None),
    "list_in_list": ([[GOOD], [GOOD]], None),
    "mapping": ([{"text": GOOD}], "caption_unreadable"),
}
# What is stored of a list, of null, and of what is no text.
CONVERTED = {"null_among_texts": [GOOD], "one_word_among_others": [GOOD], "list_in_list": [GOOD, GOOD]}
CONVERTED |= dict.fromkeys(("half_a_pair", "number", "null", "null_alone", "mapping"), [])


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def built_rows(out):
    """Rows of `data/` with reason None, and of `quarantine/`, by `sample_id`; none is in both."""
    rows = {}
    for path in [*out.glob("data/*.parquet"), *out.glob("quarantine/*.parquet")]:
        for row in pq.read_table(path).to_pylist():
            assert row["sample_id"] not in rows
            rows[row["sample_id"]] = {"reason": None, **row}
    return rows


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """One build of three sources: all images, all captions, all infrared beside good RGB."""
    root = tmp_path_factory.mktemp("bad")
    for name, (data, _) in RGB.items():
        write(root / "images" / name, data)
    lines = [{"file_name": name, "caption": GOOD} for name in RGB]
    write(root / "images" / "metadata.jsonl", "\n".join(map(json.dumps, lines)).encode())
    for name in CAPTIONS:
        write(root / "captions" / f"{name}.png", encode(scene(f"caption {name}")))
    lines = [{"file_name": f"{name}.png", "captions": captions} for name, (captions, _) in CAPTIONS.items()]
    write(root / "captions" / "metadata.jsonl", "\n".join(map(json.dumps, lines)).encode())
    for name, (data, _, _) in INFRARED.items():
        stem, suffix = name.split(".")
        upright = not stem.startswith("turned")
        rgb = encode(scene(f"beside {name}")) if upright else turned(f"beside {name}", 3, "PNG")
        write(root / "pairs" / "rgb" / f"{stem}_{suffix}.png", rgb)
        write(root / "pairs" / "ir" / f"{stem}_{suffix}.{suffix}", data)
    lines = [{"file_name": f"rgb/{name.replace('.', '_')}.png", "caption": GOOD} for name in INFRARED]
    write(root / "pairs.jsonl", "\n".join(map(json.dumps, lines)).encode())
    pairs = {"kind": "pairs", "rgb": "rgb", "ir": "ir", "ir_band": "lwir", "captions": "pairs.jsonl"}
    sources = [
        {"kind": "folder", "path": "images"},
        {"kind": "folder", "path": "captions"},
        {**pairs, "path": "pairs"},
    ]
    recipe = {
        "name": "bad",
        "sources": [{**source, "rights": "CC0-1.0"} for source in sources],
        "translate": {"translator": "radiometric", "band": "nir"},
        "ir_range": {"lwir": [0, 25_500]},
        "groups": {"relations": ["bytes"]},
        "splits": {"by": "hash"},
    }
    report = build(BuildRecipe.from_mapping(recipe, root), root / "out", workers=1)
    return root, built_rows(root / "out"), report


def test_at_least_25_kinds_are_tried_and_each_is_counted_once(built):
    _, rows, report = built
    assert len(RGB) > 90 and len(INFRARED) > 20 and len(CAPTIONS) > 25
    assert report.rows_read == len(rows) == len(RGB) + len(INFRARED) + len(CAPTIONS)
    assert report.rows_kept == sum(row["reason"] is None for row in rows.values())
    reasons = [row["reason"] for row in rows.values() if row["reason"]]
    assert report.quarantine == {reason: reasons.count(reason) for reason in sorted(set(reasons))}
    assert report.rows_read == report.rows_kept + sum(report.quarantine.values())


@pytest.mark.parametrize("name", RGB)
def test_an_rgb_image_is_kept_as_it_is_or_set_aside_as_it_is_with_its_reason(built, name):
    _, rows, _ = built
    data, expected = RGB[name]
    row = rows[f"images/{name}"]
    assert row["reason"] in (expected if isinstance(expected, tuple) else (expected,))
    mode = Image.open(io.BytesIO(data)).mode if row["reason"] is None else "RGB"
    converted = {"RGBA": "alpha_dropped", "P": "palette"}.get(mode)
    assert row["rgb_conversion"] == converted
    if converted:
        stored = Image.open(io.BytesIO(row["rgb"]["bytes"]))
        assert (stored.format, stored.mode, stored.info) == ("PNG", "RGB", {})
        np.testing.assert_array_equal(np.asarray(stored), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    else:
        assert row["rgb"]["bytes"] == data
    assert row["captions"] == [GOOD]
    if expected is None:
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        translated = RadiometricTranslator().translate([np.asarray(upright)], "nir", [0])[0]
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(row["ir"]["bytes"]))), translated)


@pytest.mark.parametrize("name", INFRARED)
def test_infrared_is_kept_bit_for_bit_or_set_aside_or_converted_as_documented(built, name):
    root, rows, _ = built
    data, expected, anew = INFRARED[name]
    stem = name.replace(".", "_")
    row = next(row for key, row in rows.items() if key.startswith("pairs/") and f"{stem}.png" in key)
    assert row["reason"] in (expected if isinstance(expected, tuple) else (expected,))
    assert row["rgb"]["bytes"] == (root / "pairs" / "rgb" / f"{stem}.png").read_bytes()
    if anew:
        stored = Image.open(io.BytesIO(row["ir"]["bytes"]))
        assert (stored.format, stored.mode) == ("PNG", "L")
        channels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        np.testing.assert_array_equal(np.asarray(stored), channels[..., 0])
    else:
        assert (row["ir"]["bytes"] or b"") == data


@pytest.mark.parametrize("name", CAPTIONS)
def test_a_caption_is_kept_as_it_is_or_its_row_is_set_aside_with_the_reason(built, name):
    _, rows, _ = built
    captions, expected = CAPTIONS[name]
    row = rows[f"captions/{name}.png"]
    assert row["reason"] == expected
    assert row["captions"] == CONVERTED.get(name, captions)
    assert row["rgb"]["bytes"] == encode(scene(f"caption {name}"))


def test_what_is_published_is_decoded_by_datasets_to_what_was_judged(built):
    import datasets

    root, rows, _ = built
    found = datasets.load_dataset(str(root / "out"), split="train+validation+test")
    assert len(found) == sum(row["reason"] is None for row in rows.values())
    for row in found:
        assert row["rgb"].size == row["ir"].size
    sizes = {row["sample_id"]: row["rgb"].size for row in found}
    turned_sizes = [sizes[f"images/orientation_{value}.jpg"] for value in range(1, 9)]
    assert turned_sizes == [(WIDTH, HEIGHT)] * 4 + [(HEIGHT, WIDTH)] * 4
