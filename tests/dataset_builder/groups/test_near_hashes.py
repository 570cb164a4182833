import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from dataset_builder.groups import all_pairs, near_hashes
from dataset_builder.groups.near_hashes import near_components


def flipped(rng, hashes, counts):
    """The hashes, each with so many distinct bits flipped."""
    bits = np.uint64(1) << rng.random((len(hashes), 64)).argsort(1).astype(np.uint64)
    used = np.arange(64) < np.broadcast_to(counts, len(hashes))[:, None]
    return hashes ^ np.bitwise_or.reduce(np.where(used, bits, np.uint64(0)), axis=1)


def brute_force(hashes, *radii):
    """Component labels by comparing all pairs, for each radius."""
    found = []
    for start in range(0, len(hashes), 256):
        distance = np.bitwise_count(hashes[start : start + 256, None] ^ hashes[start:])
        left, right = np.nonzero(distance <= max(radii))
        found.append(np.stack([left + start, right + start, distance[left, right]])[:, left < right])
    left, right, distance = np.concatenate(found, axis=1)
    for radius in radii:
        edges = left[distance <= radius], right[distance <= radius]
        graph = sparse.coo_array((np.ones(len(edges[0]), bool), edges), shape=(len(hashes),) * 2)
        yield sparse.csgraph.connected_components(graph, directed=False)[1]


def assert_same_partition(found, expected):
    pairs = np.unique(np.stack([found, expected]), axis=1)
    assert pairs.shape[1] == len(np.unique(found)) == len(np.unique(expected))


def assert_exact(hashes, radius, threads=None):
    found = near_components(hashes, radius, threads)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found[found], found)  # labels are members of their own component
    (expected,) = brute_force(hashes, radius)
    assert_same_partition(found, expected)


def test_components_of_20000_hashes_with_pairs_at_every_distance_are_those_of_a_brute_force():
    rng = np.random.default_rng(0)
    seeds = rng.integers(0, 1 << 64, 10_000, dtype=np.uint64)
    hashes = rng.permutation(np.concatenate([seeds, flipped(rng, seeds, np.arange(10_000) % 7)]))
    radii = (0, 1, 4, 6)
    for radius, expected in zip(radii, brute_force(hashes, *radii), strict=True):
        found = near_components(hashes, radius)
        # Uniform hashes are about 32 bits apart: only the planted pairs up to the radius join.
        assert len(np.unique(found)) == 20_000 - sum(index % 7 <= radius for index in range(10_000))
        assert_same_partition(found, expected)


@pytest.mark.parametrize("radius", [0, 1, 4, 6, 16])
@pytest.mark.parametrize("size", [1, 2, 3, 40, 2000])
def test_uniform_hashes_with_near_ones_and_copies(size, radius):
    rng = np.random.default_rng(radius)
    hashes = rng.integers(0, 1 << 64, size, dtype=np.uint64)
    near = flipped(rng, hashes[: size // 2], rng.integers(0, radius + 3, size // 2))
    assert_exact(rng.permutation(np.concatenate([hashes, near, hashes[::3]])), radius)


def crowds():
    """Sets that crowd around few hashes, by name."""
    rng = np.random.default_rng(1)
    centre = rng.integers(0, 1 << 64, 1, dtype=np.uint64)
    uniform = rng.integers(0, 1 << 64, 1000, dtype=np.uint64)
    ball = flipped(rng, centre.repeat(1500), rng.integers(0, 7, 1500))
    shell = flipped(rng, centre.repeat(1500), 6)
    bits = np.uint64(1) << np.arange(64, dtype=np.uint64)
    walk = np.bitwise_xor.accumulate(np.bitwise_or.reduce(bits[rng.integers(0, 64, (1500, 5))], axis=1))
    signs = rng.normal(size=(1500, 9)) @ rng.normal(size=(9, 64)) > 0
    return {
        "ball": ball,
        "shell": shell,
        "ball among others": np.concatenate([uniform, ball, shell[:300], uniform[:500]]),
        "two balls, eleven apart": np.concatenate([shell[:700], flipped(rng, centre, 11) ^ shell[:700] ^ centre]),
        "star": np.concatenate([centre, centre ^ bits, centre ^ (bits | np.roll(bits, 1) | np.roll(bits, 2))]),
        "chain": walk,
        "ladder": np.bitwise_xor.accumulate(np.tile(bits, 40)),
        "few bits vary": rng.integers(0, 1 << 20, 1500, dtype=np.uint64) << np.uint64(22),
        "bits depend on each other": np.packbits(signs, axis=1).view(np.uint64).ravel(),
        "one value": centre.repeat(100),
        "both ends of the word": np.array([0, 0x8000000000000001, 0xF00000000000000F, (1 << 64) - 1], np.uint64),
    }


@pytest.mark.parametrize("radius", [1, 4, 6, 16])
@pytest.mark.parametrize("name", crowds())
def test_crowded_sets(name, radius):
    assert_exact(crowds()[name], radius)


@pytest.mark.parametrize("radius", [1, 2, 4])
def test_crowded_runs_are_searched_anew(radius, monkeypatch):
    """Small limits make small sets take the ways of large ones: plans, runs, crowds within crowds."""
    for name, value in {"SMALL": 0, "COMPARED": 1.0, "CROWDED": 9, "BLOCK": 7, "PAIRS": 64, "PENDING": 16}.items():
        for module in (all_pairs, near_hashes):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)
    rng = np.random.default_rng(2)
    centre = rng.integers(0, 1 << 64, 1, dtype=np.uint64)
    low = rng.integers(0, 1 << 11, 150, dtype=np.uint64)
    ball = flipped(rng, centre.repeat(250), rng.integers(0, 7, 250))
    for hashes in (low, ball, np.concatenate([low << np.uint64(40), ball])):
        assert_exact(hashes, radius)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, (1 << 64) - 1) | st.integers(0, 1 << 12), min_size=1, max_size=60),
    st.lists(st.tuples(st.integers(0, 59), st.integers(0, 63)), max_size=60),
    st.integers(0, 16),
)
def test_any_small_set(values, steps, radius):
    for source, bit in steps:
        values.append(values[source % len(values)] ^ (1 << bit))
    expected = np.arange(len(values))
    for i, j in itertools.combinations(range(len(values)), 2):
        if (values[i] ^ values[j]).bit_count() <= radius:
            expected[expected == expected[j]] = expected[i]
    assert_same_partition(near_components(np.array(values, np.uint64), radius), expected)


def test_threads_and_order_do_not_matter():
    rng = np.random.default_rng(3)
    uniform = rng.integers(0, 1 << 64, 90_000, dtype=np.uint64)
    ball = flipped(rng, uniform[:1].repeat(9000), rng.integers(0, 7, 9000))
    hashes = np.concatenate([uniform, ball, flipped(rng, uniform[:9000], rng.integers(0, 7, 9000))])
    alone = near_components(hashes, 4, threads=1)
    assert_same_partition(near_components(hashes, 4, threads=3), alone)
    order = rng.permutation(len(hashes))
    assert_same_partition(near_components(hashes[order], 4), alone[order])
    assert np.bincount(alone).max() > 8_900  # the ball hangs together, but for a few


def test_no_hashes_no_components():
    assert near_components(np.empty(0, np.uint64), 4).shape == (0,)


@pytest.mark.parametrize(("beside", "crowded"), [(8, 64), (8, 24), (2, 12), (1, 3)])
def test_pairs_anywhere_in_a_run_are_found(beside, crowded, monkeypatch):
    """Of 12 bits, 1300 in 4096 values: runs hold about twenty, and nearly every pair shares one key only."""
    for name, value in {"SMALL": 0, "COMPARED": 1.0, "BESIDE": beside, "CROWDED": crowded, "PENDING": 200}.items():
        monkeypatch.setattr(near_hashes, name, value)
    rng = np.random.default_rng(4)
    for shift in (0, 26, 52):
        assert_exact(rng.permutation(4096)[:1300].astype(np.uint64) << np.uint64(shift), 1)
