"""What `unseen_scenes` reports of its runs: R@1 by part, pooled over seen and over unseen scenes, and bars."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from training.scoring.significance import bootstrap_groups

DRAWS = 10_000
IMAGES = ("rgb_to_ir", "ir_to_rgb")
OURS, DEMO, LOADED = "whitened", "demo", "loaded"
SMALLEST = 16  # tiles of a part that is held to a bar of its own
Scores = Mapping[str, Sequence[Mapping[str, Any]]]  # by label and seed: parts by name


def tally(
    runs: Sequence[Mapping[str, Any]], names: Sequence[str], directions: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Adds up the queries of each tile, whose bands and directions come and go together in a resample.

    Args:
        runs: Parts by name, one mapping a seed.
        names: Of the parts.
        directions: That count; their queries are in the order of the part's tiles, one each.

    Returns:
        Hits at rank one `(seeds, tiles, 1)` and queries `(tiles, 1)`.
    """
    tiles = sorted({tile for name in names for tile in runs[0][name]["tiles"]})
    place = {tile: number for number, tile in enumerate(tiles)}
    hits, queries = np.zeros((len(runs), len(tiles), 1)), np.zeros((len(tiles), 1))
    for name in names:
        where = [place[tile] for tile in runs[0][name]["tiles"]]
        for direction in directions:
            queries[where] += 1
            for seed, run in enumerate(runs):
                hits[seed, where, 0] += np.asarray(run[name]["ranks"][direction]) < 1
    return hits, queries


def pooled(scores: Scores, names: Sequence[str], directions: Sequence[str] = IMAGES) -> dict[str, Any]:
    """Returns by label R@1 over all queries with its interval, that of each seed, and what ours is above it."""
    tallies = {label: tally(runs, names, directions) for label, runs in scores.items()}
    ours, queries = tallies[OURS]
    return {
        label: {
            "R@1": list(bootstrap_groups(hits.mean(0), queries, DRAWS)),
            "by_seed": [float(seed.sum() / queries.sum()) for seed in hits],
            "ours_minus": list(bootstrap_groups((ours - hits).mean(0), queries, DRAWS)),
        }
        for label, (hits, _) in tallies.items()
    } | {"tiles": len(queries), "queries": int(queries.sum())}


def by_part(scores: Scores) -> dict[str, Any]:
    """Returns each part's tiles, R@1 of both directions by label, and what ours is above each in both together."""
    table = {}
    for name in sorted(scores[OURS][0]):
        whole = pooled(scores, [name])
        table[name] = {"tiles": whole["tiles"]}
        for label, runs in scores.items():
            means = {
                direction: float(np.mean([np.asarray(run[name]["ranks"][direction]) < 1 for run in runs]))
                for direction in IMAGES
            }
            table[name][label] = means | {"both": whole[label]["R@1"][0], "ours_minus": whole[label]["ours_minus"]}
    return table


def texts(scores: Scores) -> dict[str, Any]:
    """Returns R@1 of each scene's texts by direction and trained label, pooled over bands, beside chance."""
    table: dict[str, Any] = {}
    parts = scores[OURS][0]
    for scene in sorted({name.split("/")[0] for name in parts}):
        names = [name for name in sorted(parts) if name.split("/")[0] == scene]
        directions = [name for name in parts[names[0]]["ranks"] if "text" in name]
        for direction in directions:
            queries = [len(parts[name]["ranks"][direction]) for name in names]
            chance = float(np.average([parts[name]["chance"][direction] for name in names], weights=queries))
            row = {label: pooled({OURS: scores[label]}, names, [direction])[OURS] for label in (OURS, DEMO)}
            table.setdefault(scene, {})[direction] = {
                "chance": chance,
                **{
                    label: {"R@1": cell["R@1"], "above_chance": cell["R@1"][1] > chance} for label, cell in row.items()
                },
            }
    return table


def summary(scores: Scores) -> dict[str, Any]:
    """Returns the whole report: parts, pools, texts, and the bars with what was reached."""
    parts = sorted(scores[OURS][0])
    pools = {
        "unseen": pooled(scores, [name for name in parts if not name.startswith("region/")]),
        "region": pooled(scores, [name for name in parts if name.startswith("region/")]),
    }
    table = by_part(scores)
    return {"pools": pools, "parts": table, "texts": texts(scores), "bars": bars(pools, table)}


def bars(pools: Mapping[str, Any], table: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns what was asked for beside what was reached."""
    unseen, region = pools["unseen"], pools["region"]
    worst = min(
        (row[LOADED]["ours_minus"][0], name)
        for name, row in table.items()
        if row["tiles"] >= SMALLEST and not name.startswith("region/")
    )
    loaded, demo = unseen[LOADED]["ours_minus"], unseen[DEMO]["ours_minus"]
    lost = region[DEMO]["ours_minus"]
    return [
        {
            "bar": "unseen scenes: at least 5 points above the towers as loaded, interval above zero",
            "value": loaded,
            "holds": loaded[0] >= 0.05 and loaded[1] > 0,
        },
        {
            "bar": f"unseen scenes: no band of {SMALLEST} tiles or more over 5 points below the towers as loaded",
            "value": list(worst),
            "holds": worst[0] >= -0.05,
        },
        {"bar": "unseen scenes: above the demo's recipe", "value": demo, "holds": demo[1] > 0},
        {
            "bar": "held-out regions: at most 1 point below the demo's recipe",
            "value": lost,
            "holds": lost[0] >= -0.01,
        },
    ]
