"""Gathers what the journey left in its folder into the one page that shows it, `index.html`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, concatenate_datasets
from transformers import AutoModel, AutoProcessor

from dataset_builder.captioning.grounded import SENSOR_BANDS
from dataset_builder.claims.grounding import FACT_KINDS
from dataset_builder.schema import SPLITS, stable_seed
from fusionrs_hf.encoders import Encoder
from model_cards.charts import Curve
from model_cards.facts import BaseModel
from model_cards.report import Candidate, CaptionedPair, DatasetSummary, DemoResults, Pair, Search, write_report
from training.data.pairs import load_pairs
from training.release.result_rows import fact_scores, retrieval_rows
from training.scoring.clip_results import ClipResults, TrainedControls
from training.scoring.held_out import held_out
from training.scoring.vlm_results import CaptionExample, LongerReading, VlmResults
from training.trainers.run_log import read_run_log

SHOWN_PAIRS, SHOWN_SEARCHES, SHOWN_CAPTIONS, SHOWN_CANDIDATES = 6, 3, 9, 5


def write_page(
    out: Path,
    clip: ClipResults,
    vlm: VlmResults,
    trained_controls: TrainedControls | None,
    stages: Sequence[tuple[str, float]],
    longer: LongerReading | None = None,
) -> None:
    """Writes `out/index.html` from `out/dataset`, `out/clip` and `out/vlm`.

    Args:
        out: Folder of the journey.
        clip, vlm: What was scored of the two models.
        trained_controls: Of the controls that the journey does not train.
        stages: Name and seconds of each stage.
        longer: What the bench's longer recipe of the VLM reads; None: not shown.
    """
    dataset, clip_log, vlm_log = str(out / "dataset"), read_run_log(out / "clip"), read_run_log(out / "vlm")
    rows = {split: load_pairs(dataset, split, ir_origin=None) for split in SPLITS}
    hits, misses = searches(out / "clip", dataset)
    write_report(
        out / "index.html",
        DemoResults(
            dataset=summarize_dataset(rows, out / "dataset"),
            pairs=choose_pairs(rows["test"]),
            clip_curves=clip_curves(clip_log["history"]),
            vlm_curves=vlm_curves(vlm_log["history"]),
            retrieval=retrieval_rows(clip, trained_controls),
            control_source={
                "pretrained": "this run",
                "grayscale": "committed bench result, mean of its seeds",
                "shuffled": "committed bench result, mean of its seeds",
            },
            hits=hits,
            misses=misses,
            captions=captioned_pairs(vlm.examples, rows["test"]),
            fact_scores=fact_scores(vlm, longer),
            scored_pairs=vlm.pairs,
            base_models=[BaseModel(**model) for model in vlm_log["base_models"]],
            stages=stages,
            links={
                "Dataset card": "dataset/README.md",
                "CLIP card": "clip/README.md",
                "VLM card": "vlm/README.md",
                "All figures": "metrics.json",
            },
        ),
    )


def summarize_dataset(rows: Mapping[str, Dataset], folder: Path) -> DatasetSummary:
    """Counts rows by split, band and origin, and names the scenes they come from."""
    counts = {
        split: dict(
            sorted(Counter(f"{band}, {origin}" for band, origin in zip(part["ir_band"], part["ir_origin"])).items())
        )
        for split, part in rows.items()
    }
    facts = {
        (source, sensor, date, rights)
        for part in rows.values()
        for source, sensor, date, rights in zip(
            *(part[name] for name in ("source_dataset", "sensor", "acquired_at", "rights"))
        )
    }
    scenes = sorted(", ".join(str(value) for value in scene if value) for scene in facts)
    return DatasetSummary(rows=counts, scenes=scenes, quarantined=quarantined(folder))


def quarantined(folder: Path) -> dict[str, int]:
    """Counts the quarantined rows of a build by reason."""
    files = [str(path) for path in sorted((folder / "quarantine").glob("*.parquet"))]
    reasons = concatenate_datasets([Dataset.from_parquet(path) for path in files])["reason"] if files else []
    return dict(Counter(reasons).most_common())


def choose_pairs(test: Dataset) -> list[Pair]:
    """Takes sensor rows in a fixed random order, as many of each scene and band as come up first, not by quality."""
    origins, locators = np.asarray(test["ir_origin"]), np.asarray(test["source_locator"])
    order = sorted(np.flatnonzero(origins == "sensor"), key=lambda index: stable_seed(test["sample_id"][int(index)]))
    kinds = Counter()
    chosen = []
    for index in order:
        row = test[int(index)]
        kinds[kind := (row["source_dataset"], row["ir_band"])] += 1
        if kinds[kind] > 1:
            continue
        styled = np.flatnonzero((origins == "translated") & (locators == row["source_locator"]))
        chosen.append(
            Pair(
                sample_id=row["sample_id"],
                band=SENSOR_BANDS.get(row["ir_band"], row["ir_band"]),
                sensor=row["sensor"],
                rgb=row["rgb"],
                ir=row["ir"],
                ir_style=test[int(styled[0])]["ir"] if len(styled) else None,
                captions=row["captions"],
                ir_captions=row["ir_captions"],
            )
        )
        if len(chosen) == SHOWN_PAIRS:
            break
    return chosen


def series(history: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    """Returns `(step, value)` of a logged figure."""
    return [(entry["step"], float(entry[name])) for entry in history if name in entry]


def clip_curves(history: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """Loss and validation recall of the CLIP over steps."""
    recalls = {
        title: series(history, f"eval_{name}_R@1")
        for name, title in (("rgb_to_ir", "RGB → IR"), ("ir_to_rgb", "IR → RGB"), ("ir_to_text", "IR → text"))
    }
    return [
        Curve("Contrastive loss", {"training": series(history, "loss")}, "nats"),
        Curve(
            "Validation R@1 within a band",
            {name: points for name, points in recalls.items() if points},
            "R@1",
            percent=True,
        ),
    ]


def vlm_curves(history: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """Loss of the VLM's last stage, and the validation facts that it writes as measured, over steps."""
    facts = {kind: points for kind in FACT_KINDS if (points := series(history, f"eval_{kind}"))}
    loss = Curve("Loss of the VLM", {"training": series(history, "loss")}, "nats per token")
    return [loss, *([Curve("Validation facts written as measured", facts, "share", percent=True)] if facts else [])]


def searches(folder: Path, dataset: str) -> tuple[list[Search], list[Search]]:
    """Runs RGB to infrared on the largest held-out subset; returns the first hits and misses in its order."""
    encoder = Encoder.for_scores(AutoModel.from_pretrained(folder), AutoProcessor.from_pretrained(folder))
    subset, rows = max(held_out(dataset, "test").items(), key=lambda item: len(item[1]))
    images, infrared, groups = rows["rgb"][:], rows["ir"][:], np.asarray(rows["image_group_id"])
    scores = encoder.rgb(images) @ encoder.ir(infrared).T  # (queries, gallery)
    hits, misses = [], []
    for index, order in enumerate(np.argsort(-scores, axis=1, kind="stable")):
        rank = int(np.argmax(groups[order] == groups[index])) + 1
        candidates = [
            Candidate(item=infrared[i], similarity=float(scores[index, i]), right=groups[i] == groups[index])
            for i in map(int, order[:SHOWN_CANDIDATES])
        ]
        search = Search(
            direction="rgb_to_ir",
            subset=subset,
            query=images[index],
            candidates=candidates,
            rank=rank,
            gallery=len(rows),
        )
        (hits if rank == 1 else misses).append(search)
    return hits[:SHOWN_SEARCHES], misses[:SHOWN_SEARCHES]


def captioned_pairs(examples: Sequence[CaptionExample], test: Dataset) -> list[CaptionedPair]:
    """Takes generated captions evenly over the scored pairs, with their images, not by quality."""
    place = {sample_id: index for index, sample_id in enumerate(test["sample_id"])}
    chosen = [examples[i] for i in np.linspace(0, len(examples) - 1, SHOWN_CAPTIONS).round().astype(int)]
    pairs = []
    for example in chosen:
        row = test[place[example.sample_id]]
        pairs.append(
            CaptionedPair(
                sample_id=example.sample_id,
                band=SENSOR_BANDS.get(row["ir_band"], row["ir_band"]),
                rgb=row["rgb"],
                ir=row["ir"],
                reference=example.reference,
                generated=example.captions["own_images"],
                facts=example.matches,
            )
        )
    return pairs
