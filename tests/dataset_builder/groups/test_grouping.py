import hashlib
import itertools

import numpy as np
import pyarrow as pa
import pytest

from dataset_builder.groups.footprints import BOX_SHARE, DEGREE_M, TILE_SHARE, footprint_components, ground_boxes
from dataset_builder.groups.grouping import LARGE_SHARE, RELATIONS, group
from dataset_builder.sources.geography import degrees_box

SCHEMA = pa.schema(
    {
        "sample_id": pa.string(),
        "rgb_phash": pa.string(),
        "ir_phash": pa.string(),
        "ir_band": pa.string(),
        "_rgb_sha256": pa.binary(32),
        "_ir_sha256": pa.binary(32),
        "_caption_keys": pa.list_(pa.binary(16)),
        "bbox": pa.list_(pa.float64()),
        "source_locator": pa.string(),
        "gsd_m": pa.float64(),
    }
)


def table(rows):
    """Light columns of rows given by what is known of them."""
    known = [{"sample_id": f"s{index}", "ir_band": "nir", **row} for index, row in enumerate(rows)]
    return pa.Table.from_pylist(known, schema=SCHEMA)


def digest(text):
    return hashlib.sha256(text.encode()).digest()


def keys(*captions):
    return [digest(text)[:16] for text in captions]


def partition(ids):
    """Rows by group, as a set of sets."""
    found = {}
    for row, own in enumerate(ids.tolist()):
        found.setdefault(own, set()).add(row)
    return set(map(frozenset, found.values()))


def test_infrared_hashes_join_within_a_band_only():
    rows = [{"ir_phash": "00ff00ff00ff00ff", "ir_band": band} for band in ("nir", "nir", "lwir")]
    assert partition(group(table(rows)).image) == {frozenset({0, 1}), frozenset({2})}


def test_rgb_hashes_join_across_bands_up_to_the_radius():
    rows = [{"rgb_phash": text, "ir_band": band} for text, band in (("0" * 16, "nir"), ("000000000000000f", "lwir"))]
    assert len(set(group(table(rows)).image)) == 1
    assert len(set(group(table(rows), radius=3).image)) == 2


def test_exact_bytes_join_within_one_image_column():
    known = [("_rgb_sha256", "a"), ("_rgb_sha256", "b"), ("_rgb_sha256", "a"), ("_ir_sha256", "b")]
    rows = [{name: digest(text)} for name, text in known]
    assert partition(group(table(rows)).image) == {frozenset({0, 2}), frozenset({1}), frozenset({3})}


@pytest.mark.parametrize("differing", range(4))
def test_digests_that_differ_in_one_word_do_not_join(differing):
    one, other = bytearray(32), bytearray(32)
    other[8 * differing] = 1
    rows = [{"_rgb_sha256": bytes(value)} for value in (one, other, one, other, one)]
    assert partition(group(table(rows)).image) == {frozenset({0, 2, 4}), frozenset({1, 3})}


def test_captions_join_jointly_never_as_images():
    rows = [
        {"_caption_keys": keys("a road")},
        {"_caption_keys": keys("x", "a road", "x")},
        {"_caption_keys": keys("y")},
        {"_caption_keys": []},
        {"_caption_keys": None},
        {"_caption_keys": keys("x")},
    ]
    groups = group(table(rows))
    assert len(set(groups.image.tolist())) == 6
    assert partition(groups.joint) == {frozenset({0, 1, 5}), frozenset({2}), frozenset({3}), frozenset({4})}


def test_null_lists_that_hide_keys_join_none():
    hidden = pa.ListArray.from_arrays(
        pa.array([0, 1, 2, 3], pa.int32()),
        pa.array(keys("a", "a", "b"), pa.binary(16)),
        mask=pa.array([False, True, False]),
    )
    rows = pa.table({"sample_id": ["x", "y", "z"], "_caption_keys": hidden})
    assert partition(group(rows, relations=["caption"]).joint) == {frozenset({0}), frozenset({1}), frozenset({2})}


@pytest.mark.parametrize(
    ("locator", "joined"),
    [
        ("scene@r0c60s128", True),  # 68 of 128 columns in common
        ("scene@r0c64s128", False),  # exactly half
        ("scene@r60c60s128", False),  # 0.53 * 0.53
        ("scene@r32c32s32", True),  # wholly inside
        ("other@r0c0s128", False),
    ],
)
def test_tiles_of_a_scene_join_when_they_share_more_than_half_of_the_smaller(locator, joined):
    # The WGS 84 boxes overlap almost wholly: in a common scene the pixels decide.
    box = [10.0, 50.0, 10.01, 50.01]
    moved = [20.0, 50.0, 20.01, 50.01] if locator.startswith("other") else [10.0, 50.0, 10.01, 50.0101]
    rows = [{"source_locator": "scene@r0c0s128", "bbox": box}, {"source_locator": locator, "bbox": moved}]
    assert (len(set(group(table(rows)).image)) == 1) is joined


def test_boxes_join_scenes_and_rows_without_a_scene():
    rows = [
        {"source_locator": "a@r0c0s64", "bbox": [0.0, 0.0, 1.0, 1.0]},
        {"source_locator": "b@r9c9s64", "bbox": [0.2, 0.2, 0.8, 0.8]},  # inside the first
        {"source_locator": "photo.jpg", "bbox": [0.25, 0.25, 0.75, 0.75]},  # inside both
        {"source_locator": "photo2.jpg", "bbox": [0.7, 0.7, 1.7, 1.7]},
        {"source_locator": "p.jpg", "bbox": [5.0, 5.0, 5.0, 5.0]},  # points have no area to share
        {"source_locator": "q.jpg", "bbox": [5.0, 5.0, 5.0, 5.0]},
    ]
    assert partition(group(table(rows)).image) == {
        frozenset({0, 1, 2}),
        frozenset({3}),
        frozenset({4}),
        frozenset({5}),
    }


def test_boxes_across_the_antimeridian_are_as_wide_as_they_are():
    rows = [{"bbox": [179.0, 0.0, -179.0, 1.0]}, {"bbox": [179.1, 0.0, -179.1, 1.0]}, {"bbox": [0.0, 0.0, 1.0, 1.0]}]
    assert partition(group(table(rows)).image) == {frozenset({0, 1}), frozenset({2})}


def test_boxes_meet_across_the_antimeridian():
    boxes = [
        [179.0, 0.0, -179.0, 2.0],
        [179.2, 0.0, -178.8, 2.0],
        [-180.0, 0.0, -179.0, 2.0],
        [178.0, 0.0, 179.4, 2.0],
    ]
    assert partition(group(table([{"bbox": box} for box in boxes])).image) == {frozenset({0, 1, 2}), frozenset({3})}


@pytest.mark.parametrize("seed", range(8))
def test_footprints_equal_a_brute_force(seed):
    """Tiles of few scenes and boxes of all sizes, many of them equal; without tiles, without boxes, with both."""
    rng = np.random.default_rng(seed)
    scenes = rng.integers(-1, 4, 150)
    low = rng.integers(0, 60, (2, 150, 2)) / 2.0
    tiles, boxes = np.concatenate([low, low + rng.choice([0, 1, 2, 4, 9, 30], (2, 150, 2), p=[0.02, *[0.196] * 5])], 2)
    boxes[:40] = boxes[rng.integers(40, 60, 40)]  # the same place in several scenes, or twice in one
    tiles[scenes < 0] = np.nan
    boxes[rng.random(150) < 0.5] = np.nan

    def shares(one, other, least):
        shared = np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None).prod()
        return shared > least * min((one[2:] - one[:2]).prod(), (other[2:] - other[:2]).prod())

    expected = np.arange(150)
    for i, j in itertools.combinations(range(150), 2):
        corners, least = (tiles, TILE_SHARE) if scenes[i] == scenes[j] >= 0 else (boxes, BOX_SHARE)
        if shares(corners[i], corners[j], least):
            expected[expected == expected[j]] = expected[i]
    assert 20 < len(set(expected.tolist())) < 140
    assert partition(footprint_components(scenes, tiles, boxes)) == partition(expected)


def test_many_tiles_in_a_grid_join_none_and_one_large_box_joins_all():
    x, y = (side.ravel().astype(float) for side in np.meshgrid(np.arange(100), np.arange(100)))
    boxes = np.stack([x, y, x + 1, y + 1], axis=1) / 1000
    nowhere, unknown = np.full_like(boxes, np.nan), np.full(len(boxes), -1)
    assert len(np.unique(footprint_components(unknown, nowhere, boxes))) == len(boxes)
    boxes[77] = [0.0, 0.0, 1.0, 1.0]
    assert len(np.unique(footprint_components(unknown, nowhere, boxes))) == 1


def half_stride(crs, x, y, side, dates=("january", "july")):
    """Rows of 3 x 3 tiles that share halves, once a date, with boxes and rounding as a scene's reader gives them."""
    from rasterio.crs import CRS

    rows = []
    for date, row, column in itertools.product(dates, range(3), range(3)):
        left, top = x + column * side / 2, y - row * side / 2
        box = degrees_box(CRS.from_string(crs), left, top - side, left + side, top)
        locator = f"{date}@r{32 * row}c{32 * column}s64"
        rows.append({"source_locator": locator, "bbox": box, "gsd_m": side / 64})
    return rows


@pytest.mark.parametrize(
    ("crs", "x", "y"),
    [
        ("EPSG:32618", 400_000, 4_180_000),
        ("EPSG:32633", 170_000, 7_900_000),  # edge of a zone, far north: turned by three degrees
        ("EPSG:32760", 830_000, 4_500_000),
        ("EPSG:3035", 2_700_000, 4_200_000),  # turned by fifteen degrees
        ("EPSG:3413", 1_600_000, -1_600_000),  # by ninety
        ("EPSG:3413", 2_000_000, -500_000),
        ("EPSG:3031", -1_500_000, 900_000),
        ("EPSG:3857", 1_000_000, 6_000_000),
    ],
)
@pytest.mark.parametrize("side", [20.0, 640.0, 2560.0])
def test_tiles_that_share_a_half_join_none_on_any_map_but_their_like_of_another_date(crs, x, y, side):
    groups = group(table(half_stride(crs, x, y, side)), relations=["footprint"])
    assert partition(groups.image) == {frozenset({place, place + 9}) for place in range(9)}


def test_boxes_are_cut_to_their_tiles_and_no_further():
    turned = np.array([[10.0, 0.0, 10.0 + 0.1, 0.1], [179.95, 0.0, -179.95, 0.1], [-180.0, 80.0, 180.0, 90.0]])
    side = 0.08 * DEGREE_M
    cut = ground_boxes(turned, np.array([side, side, side]))
    np.testing.assert_allclose(cut[0], [10.01, 0.01, 10.09, 0.09], atol=1e-6)
    np.testing.assert_allclose(cut[1], [179.96, 0.01, 180.04, 0.09], atol=1e-6)
    np.testing.assert_array_equal(cut[2], turned[2])
    small = ground_boxes(turned[:1], np.array([1.0]))[0]  # no turn explains so small a tile
    np.testing.assert_allclose(small[2] - small[0], 0.1 * np.sqrt(0.5))
    np.testing.assert_array_equal(ground_boxes(turned, np.full(3, np.nan)), turned)


def test_bad_hashes_and_boxes_are_refused():
    for bad in ("00ff", "zzzzzzzzzzzzzzzz"):
        with pytest.raises(ValueError, match="ir_phash must be 16 hex digits"):
            group(table([{"ir_phash": "0" * 16}, {"ir_phash": bad}]))
    with pytest.raises(ValueError, match="bbox must be west, south, east and north"):
        group(table([{"bbox": [1.0, 2.0]}]))
    with pytest.raises(ValueError, match="sample_id must not be null, it is in 1 of 2 rows"):
        group(table([{}, {"sample_id": None}]))


def test_rows_in_any_order_and_in_chunks_give_the_same_groups():
    rng = np.random.default_rng(3)
    rows = [
        {
            "sample_id": f"id{index:03d}",
            "rgb_phash": f"{int(rng.integers(0, 40)) << 8:016x}" if index % 5 else None,
            "ir_phash": f"{int(rng.integers(0, 1 << 30)):016X}" if index % 7 else None,
            "ir_band": ("nir", "lwir", None)[index % 3],
            "_rgb_sha256": digest(f"image {rng.integers(0, 90)}") if index % 3 else None,
            "_caption_keys": keys(*(f"caption {word}" for word in rng.integers(0, 200, index % 4))),
        }
        for index in range(120)
    ]
    order = rng.permutation(120)
    straight, shuffled = group(table(rows), radius=1), group(table([rows[i] for i in order]), radius=1)
    assert 3 < len(set(straight.joint.tolist())) < len(set(straight.image.tolist())) < 100
    np.testing.assert_array_equal(straight.joint[order], shuffled.joint)
    np.testing.assert_array_equal(straight.image[order], shuffled.image)
    assert straight.joint_group_id.take(pa.array(order)).equals(shuffled.joint_group_id)
    assert straight.image_group_id.take(pa.array(order)).equals(shuffled.image_group_id)
    assert straight.components == shuffled.components
    whole = pa.Table.from_pylist([{"sample_id": "before"}, *rows, {"sample_id": "after"}], schema=SCHEMA)[1:-1]
    parts = pa.concat_tables([whole[:50], whole[50:50], whole[50:]])
    assert group(parts, radius=1).joint_group_id.equals(straight.joint_group_id)


@pytest.mark.parametrize("chunk", [1, 2, 3, 1 << 20])
def test_group_names_are_hashes_of_their_sorted_members(chunk, monkeypatch):
    monkeypatch.setattr("dataset_builder.groups.grouping.CHUNK", chunk)
    images = [0, 1, 0, 2, 3, 3, 3, 4]
    captions = ["x", "y", "z", "y", "x", "q", "q", "w"]
    ids = ["b", "ä", "a", "c", "zoë", "e", "f", "g"]
    rows = [
        {"sample_id": name, "_rgb_sha256": digest(str(image)), "_caption_keys": keys(caption)}
        for name, image, caption in zip(ids, images, captions, strict=True)
    ]
    groups = group(table(rows))

    def name(prefix, members):
        lines = "".join(own + "\n" for own in sorted(members))
        return f"{prefix}:{digest(lines).hex()[:24]}"

    together = ["a", "b", "e", "f", "zoë"]  # by the caption x
    expected = [["a", "b"], ["ä"], ["a", "b"], ["c"], *[["e", "f", "zoë"]] * 3, ["g"]]
    assert groups.image_group_id.to_pylist() == [name("image-group", members) for members in expected]
    expected = [together, ["ä", "c"], together, ["ä", "c"], *[together] * 3, ["g"]]
    assert groups.joint_group_id.to_pylist() == [name("joint-group", members) for members in expected]
    assert groups.joint.tolist() == [0, 1, 0, 1, 0, 0, 0, 2]  # by the first member's name: a, c, g
    assert groups.image.tolist() == [0, 4, 0, 1, 2, 2, 2, 3]
    assert groups.joint.dtype == groups.image.dtype == np.int32


def test_largest_components_name_the_relation_that_made_them():
    caption = {"_caption_keys": keys("sea")}
    copy = {"_rgb_sha256": digest("x")}
    rows = [caption, caption, {**caption, **copy}, copy, {"_ir_sha256": digest("y")}]
    (largest,) = group(table(rows)).components
    assert largest == {
        "size": 4,
        "share": 0.8,
        "relation": "caption",
        "merges": {"bytes": 1, "caption": 2},
        "sample_id": "s0",
    }
    assert largest["share"] > LARGE_SHARE == 0.01


def test_the_ten_largest_components_are_told_by_size_then_name():
    sizes = [2, 1, 5, 2, 3, 2, 2, 2, 2, 2, 4, 2, 2, 2]
    rows = [
        {"sample_id": f"{index:02d}-{copy}", "_ir_sha256": digest(str(index))}
        for index, size in enumerate(sizes)
        for copy in range(size)
    ]
    found = [(one["size"], one["sample_id"]) for one in group(table(rows)).components]
    assert found == [
        (5, "02-0"),
        (4, "10-0"),
        (3, "04-0"),
        *((2, f"{index:02d}-0") for index in (0, 3, 5, 6, 7, 8, 9)),
    ]


def test_only_the_chosen_relations_join_and_only_their_columns_are_read():
    rows = table([{"_rgb_sha256": digest("x"), "_caption_keys": keys("sea")} for _ in range(2)])
    assert len(set(group(rows, relations=["rgb_phash"]).joint)) == 2
    assert len(set(group(rows.select(["sample_id", "_caption_keys"]), relations=["caption"]).joint)) == 1
    assert len(set(group(rows.select(["sample_id"]), relations=[]).joint)) == 2


def test_columns_of_the_null_type_join_none():
    rows = pa.table({name: pa.nulls(3) for name in SCHEMA.names} | {"sample_id": ["a", "b", "c"]})
    groups = group(rows)
    assert groups.joint.tolist() == [0, 1, 2] and groups.components == []


def test_no_rows_no_groups():
    groups = group(table([]))
    assert (len(groups.joint), len(groups.image_group_id), groups.components) == (0, 0, [])


def test_bad_relations_and_repeated_ids_are_refused():
    with pytest.raises(ValueError, match=r"unknown relations \['colour'\]"):
        group(table([{}]), relations=["colour"])
    with pytest.raises(ValueError, match="sample_id must be unique, 1 of 3 rows repeat one"):
        group(table([{"sample_id": "a"}, {"sample_id": "b"}, {"sample_id": "a"}]))
    assert set(RELATIONS) == {"bytes", "rgb_phash", "ir_phash", "footprint", "caption"}
