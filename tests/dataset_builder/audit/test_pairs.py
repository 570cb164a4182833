import ast
import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataset_builder.audit import keys
from dataset_builder.audit.pairs import BOX_SHARE, Components, join_near, nearest, overlapping_pairs
from dataset_builder.groups.keys import perceptual_hash
from tests.dataset_builder.made.planted import mirrored
from tests.dataset_builder.made.sample_tiles import sample_rows

AUDIT = Path(keys.__file__).parent
CHECKED = {"grouping", "hashing", "near_hashes", "decoding", "splits", "pipeline", "finish", "filters"}


def test_the_audit_imports_nothing_of_what_it_checks():
    for path in AUDIT.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module, *(alias.name for alias in node.names)] if isinstance(node, ast.ImportFrom) else []
            assert not CHECKED & {part for name in names for part in name.split(".")}, f"{path.name}: {names}"


def test_two_implementations_of_the_hash_agree_on_real_and_on_flat_images():
    tiles = [row[name] for row in sample_rows(every=40) for name in ("_rgb", "_ir")]
    tiles += [np.full((40, 50), level, dtype=np.uint8) for level in (0, 7, 255)]
    tiles += [mirrored(bits) for bits in (0, 5, 0x7FFF)]
    for tile, stored in zip(tiles, perceptual_hash(tiles), strict=True):
        own, doubtful = keys.hash_of(keys.low_frequencies(Image.fromarray(tile)))
        assert f"{own:016x}" == stored and doubtful.bit_count() <= 1


def test_turned_hashes_are_those_of_the_turned_images():
    tile = next(sample_rows())["_ir"]
    turns = [np.rot90(tile, quarter) for quarter in range(4)]
    slow = [keys.low_frequencies(Image.fromarray(image.copy())) for turn in turns for image in (turn, turn.T)]
    slow = {keys.hash_of(low)[0] for low in slow}
    low = keys.low_frequencies(Image.fromarray(tile))
    found = {keys.hash_of(low)[0], *keys.turned(low)}
    assert len(found) == len(slow) == 8
    # Lanczos rounds a mirrored image a little differently: a bit or two.
    assert all(min((one ^ other).bit_count() for other in slow) <= 2 for one in found)


@pytest.mark.parametrize(
    ("text", "plain"),
    [("A  Road,\tby the RIVER.", "a road by the river"), ("ﬁeld – “green”", "field green"), ("Straße!", "strasse")],
)
def test_captions_are_compared_by_the_protocol(text, plain):
    assert keys.plain_caption(text) == plain


def planted_hashes(seed, count=60):
    """uint64 seeds, and a neighbour of each at a distance of 0 to 7, some several times."""
    rng = np.random.default_rng(seed)
    seeds = rng.integers(0, 1 << 64, count, dtype=np.uint64)
    near = []
    for one, distance in zip(seeds.tolist(), itertools.cycle(range(8))):
        near.append(one ^ sum(1 << int(bit) for bit in rng.choice(64, distance, replace=False)))
    return rng.permutation(np.concatenate([seeds, np.array(near, dtype=np.uint64), seeds[:5]]))


def distance(one, other):
    return (int(one) ^ int(other)).bit_count()


def partition(labels):
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in labels}


@pytest.mark.parametrize("radius", [0, 1, 4, 6])
@pytest.mark.parametrize("threads", [1, 2])
def test_components_are_those_of_a_brute_force(radius, threads, monkeypatch):
    monkeypatch.setattr("dataset_builder.audit.pairs.STRIP", 7)
    monkeypatch.setattr("dataset_builder.audit.pairs.BLOCK", 11)
    hashes = planted_hashes(radius)
    slow = list(range(len(hashes)))
    for left, right in itertools.combinations(range(len(hashes)), 2):
        if distance(hashes[left], hashes[right]) <= radius:
            low, high = sorted((slow[left], slow[right]))
            slow = [low if label == high else label for label in slow]
    found = Components(len(hashes))
    distinct = len(set(hashes.tolist()))
    assert join_near(found, np.arange(len(hashes)), hashes, radius, threads) == distinct * (distinct - 1) // 2
    assert found.label.tolist() == slow  # the smallest row of the component names it


@pytest.mark.parametrize("radius", [0, 4, 6])
def test_nearest_is_that_of_a_brute_force(radius, monkeypatch):
    monkeypatch.setattr("dataset_builder.audit.pairs.BLOCK", 11)
    hashes = planted_hashes(radius)
    ours, theirs = hashes[:70], hashes[70:]
    partner, bits, other = nearest(ours, theirs, radius, threads=2)
    for row, one in enumerate(ours):
        best = min((distance(one, their), at) for at, their in enumerate(theirs))
        assert (bits[row], partner[row]) == (best if best[0] <= radius else (-1, -1))
    assert other.tolist() == [any(distance(one, their) <= radius for one in ours) for their in theirs]
    assert nearest(ours[:0], theirs, radius)[0].shape == (0,)
    assert nearest(ours, theirs[:0], radius)[0].tolist() == [-1] * len(ours)


def test_components_follow_chains_and_equal_values():
    found = Components(8)
    found.join(np.array([5, 4, 6]), np.array([4, 3, 7]))
    later = found.copy()
    later.join_equal(np.array([0, 1, 6, 5]), np.array([9, 7, 9, 7]))
    assert partition(found.label) == {frozenset(x) for x in ({0}, {1}, {2}, {3, 4, 5}, {6, 7})}
    assert partition(later.label) == {frozenset(x) for x in ({0, 6, 7}, {1, 3, 4, 5}, {2})}


def test_footprints_are_those_of_a_brute_force():
    rng = np.random.default_rng(0)
    low = rng.integers(0, 40, (120, 2))
    tiles = np.c_[low, low + rng.integers(0, 12, (120, 2))].astype(float)
    frame = rng.integers(1, 4, 120)
    none = np.full((120, 4), np.nan)

    def shares(one, other, least=0.5):
        shared = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
        smaller = min((one[2:] - one[:2]).prod(), (other[2:] - other[:2]).prod())
        return smaller > 0 and (shared > 0).all() and shared.prod() > least * smaller

    both = list(itertools.combinations(range(120), 2))
    slow = {(i, j) for i, j in both if frame[i] == frame[j] and shares(tiles[i], tiles[j])}
    assert len(slow) > 20 and found_pairs(tiles, frame, none) == slow
    # As boxes of the Earth they are compared where they are not known to lie in one scene.
    slow |= {(i, j) for i, j in both if frame[i] != frame[j] and shares(tiles[i], tiles[j], BOX_SHARE)}
    assert found_pairs(tiles, frame, tiles) == slow


def found_pairs(tiles, frame, boxes):
    return {
        (min(pair), max(pair))
        for left, right in overlapping_pairs(tiles, frame, boxes)
        for pair in zip(left.tolist(), right.tolist())
    }


def test_footprints_meet_across_the_antimeridian():
    boxes = np.array([[179.0, 0, -179.0, 2], [179.2, 0, -178.8, 2], [-180.0, 0, -179.0, 2], [178.0, 0, 179.4, 2]])
    nowhere = np.full((4, 4), np.nan)
    assert found_pairs(nowhere, np.zeros(4, dtype=int), boxes) == {(0, 1), (0, 2), (1, 2)}
