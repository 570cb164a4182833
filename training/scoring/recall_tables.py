"""Tables of a retrieval result: mean recall with its interval, by source and band, by missing modality; fusion weight.

Mean recall is the published one (arXiv 2606.17020): the mean of R@1, R@5 and R@10 over four directions, infrared to
text and back, RGB to infrared and back.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from fusionrs_hf.encoders import Encoder
from training.metrics.cross_modal_recall.cross_modal_recall import summarize
from training.scoring.chance import KS, chances
from training.scoring.clip_results import FusionChoice, FusionSearch, MissingModality, ModalityScores, RecallTable
from training.scoring.embedded_rows import EmbeddedRows, image_ranks, query_groups, text_ranks
from training.scoring.significance import Interval, bootstrap_groups, bootstrap_mean, paired_bootstrap

MODALITIES = ("rgb", "ir", "fused")
FUSION_GRID = tuple(round(0.1 * step, 1) for step in range(11))
TABLE_DRAWS = 1_000


def published_directions(kind: str) -> tuple[str, ...]:
    """Names the four directions of the published mean recall, with captions of a kind."""
    return (f"ir_to_text/{kind}", f"text_to_ir/{kind}", "rgb_to_ir", "ir_to_rgb")


def tally(
    part: EmbeddedRows, ranks: Mapping[str, np.ndarray], directions: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Adds up each image group's queries: a scene's images and captions are asked in several directions at once.

    Args:
        part: The rows that were ranked.
        ranks: By direction.
        directions: Which of them count.

    Returns:
        Names of the groups `(groups,)`; the sum over a group's queries of the mean of R@1, R@5 and R@10, and the
        number of its queries, both `(groups, directions)`.
    """
    names, group = np.unique(part.groups, return_inverse=True)
    place = dict(zip(names, range(len(names))))
    hits, queries = np.zeros((len(names), len(directions))), np.zeros((len(names), len(directions)))
    for column, direction in enumerate(directions):
        where = np.array([place[name] for name in query_groups(part, direction)])
        score = np.mean([ranks[direction] < k for k in KS], axis=0)  # (queries,)
        hits[:, column] = np.bincount(where, score, len(names))
        queries[:, column] = np.bincount(where, minlength=len(names))
    return names, hits, queries


def mean_recall(part: EmbeddedRows, ranks: Mapping[str, np.ndarray], directions: Sequence[str]) -> Interval:
    """Returns the mean of R@1, R@5 and R@10 over directions of `tally`, with its 95 % interval over image groups."""
    _, hits, queries = tally(part, ranks, directions)
    return bootstrap_groups(hits, queries, TABLE_DRAWS)


def mean_recalls(part: EmbeddedRows, ranks: Mapping[str, np.ndarray]) -> dict[str, Interval]:
    """Returns the published mean recall for each kind of caption, and those of `averaged_directions` beside it."""
    return {kind: mean_recall(part, ranks, names) for kind, names in averaged_directions(list(part.texts)).items()}


def averaged_directions(kinds: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Names the directions of each mean recall.

    `rgb_ir`: the two between images alone; by kind of caption the published four; `rgb_scene`: RGB and the captions of
    the scene, as a CLIP without infrared is scored.
    """
    names = {"rgb_ir": ("rgb_to_ir", "ir_to_rgb"), **{kind: published_directions(kind) for kind in kinds}}
    return names | ({"rgb_scene": ("rgb_to_text/scene", "text_to_rgb/scene")} if "scene" in kinds else {})


def table(part: EmbeddedRows) -> RecallTable:
    """Scores rows of one band among themselves in all directions."""
    ranks = image_ranks(part) | text_ranks(part, [name for name in MODALITIES if name in part.images])
    return RecallTable(
        queries=len(part),
        scores={name: summarize(values, KS) for name, values in ranks.items()},
        intervals={name: bootstrap_mean(values < 1, TABLE_DRAWS) for name, values in ranks.items()},
        mean_recall=mean_recalls(part, ranks),
        chance=chances_of(part, ranks),
    )


def chances_of(part: EmbeddedRows, ranks: Mapping[str, np.ndarray], extra: int = 0) -> dict[str, dict[str, float]]:
    """Returns what random order scores by direction, see `chance.chances`, and for each of `mean_recalls`."""
    found = chances(part, ranks, extra)
    means = {
        kind: {
            "mean_recall": float(np.mean([found[name]["mean_recall"] for name in names])),
            "gallery": found[names[0]]["gallery"],
        }
        for kind, names in averaged_directions(list(part.texts)).items()
    }
    return found | means


def tables_by(part: EmbeddedRows, by_source: bool) -> dict[str, RecallTable]:
    """Returns `table` for each band, or for each source and band in a gallery of its own, keyed `source/band`.

    What has fewer than two rows is left out.
    """
    keys = part.bands if not by_source else np.char.add(np.char.add(part.sources.astype(str), "/"), part.bands)
    chosen = {str(key): np.flatnonzero(keys == key) for key in np.unique(keys)}
    return {key: table(part.select(rows)) for key, rows in chosen.items() if len(rows) > 1}


def missing_modality(ranks: Mapping[str, np.ndarray], kinds: list[str]) -> dict[str, MissingModality]:
    """Puts the searches by text of RGB alone, infrared alone and both fused side by side, by kind of caption.

    Args:
        ranks: With the text directions of all three `MODALITIES`.
        kinds: Kinds of caption.
    """
    return {
        kind: MissingModality(
            **{
                modality: ModalityScores(
                    text_to_image=summarize(ranks[f"text_to_{modality}/{kind}"], KS),
                    image_to_text=summarize(ranks[f"{modality}_to_text/{kind}"], KS),
                )
                for modality in MODALITIES
            },
            fused_minus={
                modality: paired_bootstrap(
                    ranks[f"text_to_fused/{kind}"] < 1, ranks[f"text_to_{modality}/{kind}"] < 1, TABLE_DRAWS
                )
                for modality in ("rgb", "ir")
            },
        )
        for kind in kinds
    }


def choose_fusion_weight(encoder: Encoder, part: EmbeddedRows) -> FusionChoice:
    """Chooses infrared's weight in the fused mean by the mean recall of fused <-> text, within bands.

    Args:
        encoder: Fuses.
        part: Rows of the validation split; captions of the scene count, where there are none the IR-aware ones.

    Returns:
        Of equal weights the nearest to a half; None where there are no captions, or the model's fusion is learned and
        has no weight.
    """
    kind = next(iter(part.texts), None)
    if kind is None or encoder.model.fusion is not None:
        return FusionChoice(None, FusionSearch({}, kind, encoder.model.config.fusion), "validation")
    bands = [part.select(np.flatnonzero(part.bands == band)) for band in np.unique(part.bands)]
    grid = {}
    for weight in FUSION_GRID:
        recalls = []
        for band in bands:
            if kind not in band.texts:
                continue
            band.images["fused"] = encoder.fuse(band.images["rgb"], band.images["ir"], weight)
            band.texts = {kind: band.texts[kind]}
            recalls += [summarize(values, KS)["mean_recall"] for values in text_ranks(band, ["fused"]).values()]
        grid[weight] = float(np.mean(recalls))
    best = min(grid, key=lambda weight: (-round(grid[weight], 12), abs(weight - 0.5)))
    return FusionChoice(best, FusionSearch(grid, kind, "mean"), "validation")
