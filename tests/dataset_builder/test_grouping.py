import hashlib
import itertools

import numpy as np
import pytest

from dataset_builder.grouping import RELATIONS, connected_components, group, near_pairs


def columns(rows):
    """Light columns of rows given by what is known of them."""
    defaults = {
        "rgb_phash": None,
        "ir_phash": None,
        "ir_band": "nir",
        "_rgb_sha256": None,
        "_ir_sha256": None,
        "bbox": None,
        "source_locator": "",
        "captions": [],
        "caption_origin": [],
    }
    filled = [{"sample_id": f"s{index}", **defaults, **row} for index, row in enumerate(rows)]
    return {name: [row[name] for row in filled] for name in filled[0]}


def partition(ids):
    """Rows by group, as a set of sets."""
    return {frozenset(row for row, own in enumerate(ids) if own == name) for name in ids}


@pytest.mark.parametrize("radius", [0, 1, 4, 6])
def test_near_pairs_are_those_of_a_brute_force_at_every_distance(radius):
    rng = np.random.default_rng(radius)
    seeds = rng.integers(0, 1 << 63, 60, dtype=np.uint64)
    planted = []
    for seed, distance in zip(seeds, itertools.cycle(range(8))):
        flips = rng.choice(64, distance, replace=False)
        planted.append(seed ^ np.bitwise_or.reduce(np.uint64(1) << flips.astype(np.uint64), initial=np.uint64(0)))
    hashes = rng.permutation(np.unique(np.concatenate([seeds, np.array(planted, np.uint64)])))
    slow = [
        (i, j)
        for i, j in itertools.combinations(range(len(hashes)), 2)
        if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= radius
    ]
    assert near_pairs(hashes, radius).tolist() == [list(pair) for pair in slow]


def test_near_pairs_sees_bits_on_both_ends_of_the_word():
    hashes = np.array([0, 0x8000_0000_0000_0001, 0xF000_0000_0000_000F], dtype=np.uint64)
    assert near_pairs(hashes, 2).tolist() == [[0, 1]]
    assert near_pairs(hashes, 6).tolist() == [[0, 1], [1, 2]]


def test_components_follow_chains():
    labels = connected_components(6, np.array([[0, 3], [3, 5], [1, 2]]))
    assert labels[0] == labels[3] == labels[5]
    assert labels[1] == labels[2]
    assert len(set(labels.tolist())) == 3


def test_infrared_hashes_join_within_a_band_only():
    rows = [{"ir_phash": "00ff00ff00ff00ff", "ir_band": band} for band in ("nir", "nir", "lwir")]
    assert partition(group(columns(rows)).image_group_id) == {frozenset({0, 1}), frozenset({2})}


def test_rgb_hashes_join_across_bands_up_to_the_radius():
    rows = [{"rgb_phash": text, "ir_band": band} for text, band in (("0" * 16, "nir"), ("000000000000000f", "lwir"))]
    assert len(set(group(columns(rows)).image_group_id)) == 1
    assert len(set(group(columns(rows), radius=3).image_group_id)) == 2


def test_exact_bytes_join():
    rows = [{"_rgb_sha256": "aa"}, {"_rgb_sha256": "bb"}, {"_rgb_sha256": "aa"}, {"_ir_sha256": "bb"}]
    assert partition(group(columns(rows)).image_group_id) == {frozenset({0, 2}), frozenset({1}), frozenset({3})}


def test_captions_join_jointly_never_as_images_and_never_by_rule():
    rows = [
        {"captions": ["A road."], "caption_origin": ["hand"]},
        {"captions": ["x", "a ROAD"], "caption_origin": ["rule", "source"]},
        {"captions": ["a road", "x"], "caption_origin": ["rule", "rule"]},
        {"captions": ["!", "-"], "caption_origin": ["model", "source"]},
        {"captions": ["?"], "caption_origin": ["source"]},  # empty once normalised: joins nobody
    ]
    groups = group(columns(rows))
    assert len(set(groups.image_group_id)) == 5
    assert partition(groups.joint_group_id) == {
        frozenset({0, 1}),
        frozenset({2}),
        frozenset({3}),
        frozenset({4}),
    }


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
    assert (len(set(group(columns(rows)).image_group_id)) == 1) is joined


def test_boxes_join_scenes_and_rows_without_a_scene():
    rows = [
        {"source_locator": "a@r0c0s64", "bbox": [0.0, 0.0, 1.0, 1.0]},
        {"source_locator": "b@r9c9s64", "bbox": [0.2, 0.2, 0.8, 0.8]},  # inside the first
        {"source_locator": "photo.jpg", "bbox": [0.25, 0.25, 0.75, 0.75]},  # inside both
        {"source_locator": "photo2.jpg", "bbox": [0.7, 0.7, 1.7, 1.7]},
        {"source_locator": "p.jpg", "bbox": [5.0, 5.0, 5.0, 5.0]},  # points have no area to share
        {"source_locator": "q.jpg", "bbox": [5.0, 5.0, 5.0, 5.0]},
    ]
    assert partition(group(columns(rows)).image_group_id) == {
        frozenset({0, 1, 2}),
        frozenset({3}),
        frozenset({4}),
        frozenset({5}),
    }


def test_boxes_across_the_antimeridian_are_as_wide_as_they_are():
    rows = [{"bbox": [179.0, 0.0, -179.0, 1.0]}, {"bbox": [179.1, 0.0, -179.1, 1.0]}, {"bbox": [0.0, 0.0, 1.0, 1.0]}]
    assert partition(group(columns(rows)).image_group_id) == {frozenset({0, 1}), frozenset({2})}


def test_footprints_equal_a_brute_force():
    rng = np.random.default_rng(5)
    tiles = [tuple(int(v) for v in (*rng.integers(0, 300, 2), rng.choice([16, 64, 128]))) for _ in range(60)]

    def overlap(one, other):
        (r, c, s), (rr, cc, ss) = one, other
        high, wide = min(r + s, rr + ss) - max(r, rr), min(c + s, cc + ss) - max(c, cc)
        return max(high, 0) * max(wide, 0) > min(s, ss) ** 2 / 2

    edges = np.array([p for p in itertools.combinations(range(60), 2) if overlap(tiles[p[0]], tiles[p[1]])])
    rows = [{"source_locator": f"x@r{r}c{c}s{s}"} for r, c, s in tiles]
    groups = group(columns(rows), relations=["footprint"])
    assert partition(groups.image_group_id) == partition(connected_components(60, edges).tolist())


def test_groups_and_names_do_not_depend_on_row_order():
    rng = np.random.default_rng(3)
    rows = [
        {
            "sample_id": f"id{index:03d}",
            "rgb_phash": f"{int(rng.integers(0, 40)):016x}",
            "captions": [f"caption {rng.integers(0, 30)}"],
            "caption_origin": ["source"],
        }
        for index in range(100)
    ]
    order = rng.permutation(100)
    straight, shuffled = group(columns(rows), radius=1), group(columns([rows[i] for i in order]), radius=1)
    assert [straight.joint_group_id[i] for i in order] == shuffled.joint_group_id
    assert [straight.image_group_id[i] for i in order] == shuffled.image_group_id
    assert straight.components == shuffled.components


def test_group_names_are_hashes_of_their_members():
    rows = [{"sample_id": "b", "_rgb_sha256": "x"}, {"sample_id": "a", "_rgb_sha256": "x"}, {"sample_id": "c"}]
    digest = hashlib.sha256(b"a\nb\n").hexdigest()[:24]
    groups = group(columns(rows))
    assert groups.image_group_id[:2] == [f"image-group:{digest}"] * 2
    assert groups.joint_group_id[:2] == [f"joint-group:{digest}"] * 2


def test_largest_components_name_the_relation_that_made_them():
    caption = {"captions": ["sea"], "caption_origin": ["source"]}
    rows = [caption, caption, {**caption, "_rgb_sha256": "x"}, {"_rgb_sha256": "x"}, {"_ir_sha256": "y"}]
    (largest,) = group(columns(rows)).components
    assert largest == {"size": 4, "relation": "caption", "merges": {"bytes": 1, "caption": 2}, "sample_id": "s0"}


def test_only_the_chosen_relations_join():
    rows = [{"_rgb_sha256": "x", "captions": ["sea"], "caption_origin": ["hand"]} for _ in range(2)]
    assert len(set(group(columns(rows), relations=["rgb_phash"]).joint_group_id)) == 2
    assert len(set(group(columns(rows), relations=["caption"]).joint_group_id)) == 1


def test_bad_relations_and_repeated_ids_are_refused():
    with pytest.raises(ValueError, match=r"unknown relations \['colour'\]"):
        group(columns([{}]), relations=["colour"])
    with pytest.raises(ValueError, match="sample_id must be unique"):
        group(columns([{"sample_id": "a"}, {"sample_id": "a"}]))
    assert set(RELATIONS) == {"bytes", "rgb_phash", "ir_phash", "footprint", "caption"}
