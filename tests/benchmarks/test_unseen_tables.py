import numpy as np
import pytest

from tests.benchmarks.unseen_tables import DEMO, LOADED, OURS, pooled, summary, tally


def part(tiles, forward, backward, text=None):
    """Ranks of a part's tiles; 0 is a hit."""
    ranks = {"rgb_to_ir": forward, "ir_to_rgb": backward} | ({} if text is None else {"ir_to_text/scene": text})
    return {"tiles": tiles, "ranks": ranks, "chance": dict.fromkeys(ranks, 0.5)}


TWO = ["far@r0c0s64", "far@r0c64s64"]


def run(hits):
    """One seed: a region of one tile, and two bands of an unseen scene, its first tile hit in `hits` of 4 queries."""
    first = [0 if number < hits else 1 for number in range(4)]
    return {
        "region/nir": part(["near@r0c0s64"], [0], [1], [3]),
        "far/nir": part(TWO, [first[0], 0], [first[1], 1], [0, 1]),
        "far/swir": part(TWO, [first[2], 0], [first[3], 1], [0, 0]),
    }


def test_bands_and_directions_of_a_tile_are_counted_with_it():
    hits, queries = tally([run(3), run(1)], ["far/nir", "far/swir"], ["rgb_to_ir", "ir_to_rgb"])
    assert hits[:, :, 0].tolist() == [[3, 2], [1, 2]] and queries[:, 0].tolist() == [4, 4]


def test_pools_are_of_all_queries_and_differences_of_the_same_tiles():
    scores = {OURS: [run(4), run(4)], DEMO: [run(2), run(0)], LOADED: [run(0)] * 2}
    pool = pooled(scores, ["far/nir", "far/swir"])
    assert pool[OURS]["R@1"][0] == pytest.approx(6 / 8) and pool[DEMO]["by_seed"] == [4 / 8, 2 / 8]
    assert pool[DEMO]["ours_minus"][0] == pytest.approx(3 / 8)
    assert pool[OURS]["ours_minus"] == [0, 0, 0] and (pool["tiles"], pool["queries"]) == (2, 8)


def test_the_report_tells_seen_from_unseen_and_texts_from_chance():
    scores = {OURS: [run(4)], DEMO: [run(4)], LOADED: [run(0)]}
    report = summary(
        scores
        | {LOADED: [run(0) | {"big/nir": big(20)}], OURS: [run(4) | {"big/nir": big(2)}]}
        | {DEMO: [run(4) | {"big/nir": big(2)}]}
    )
    assert report["pools"]["region"]["queries"] == 2 and report["pools"]["unseen"]["queries"] == 8 + 40
    assert report["parts"]["far/nir"][OURS]["rgb_to_ir"] == 1 and report["parts"]["far/nir"]["tiles"] == 2
    assert report["texts"]["far"]["ir_to_text/scene"][OURS]["R@1"][0] == pytest.approx(3 / 4)
    assert report["texts"]["far"]["ir_to_text/scene"]["chance"] == 0.5
    holds = {bar["bar"].split(":")[1][:24]: bar["holds"] for bar in report["bars"]}
    assert [bar["holds"] for bar in report["bars"]][1] is False, holds  # `big` is far below the towers as loaded
    assert report["bars"][1]["value"][1] == "big/nir" and report["bars"][3]["holds"]


def big(hits):
    ranks = np.where(np.arange(20) < hits, 0, 1).tolist()
    return part([f"big@r0c{64 * number}s64" for number in range(20)], ranks, ranks)
