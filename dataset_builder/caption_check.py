"""Scores infrared-aware captions that anyone wrote: the rules of the build, and every claim against the image."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from dataset_builder.captioning.funnel import VERDICTS, CaptionTally, merged_report
from dataset_builder.captioning.protocol import Written
from dataset_builder.captioning.rules.caption_rules import make_caption_rules
from dataset_builder.captioning.stage import CaptionStage
from dataset_builder.claims.grounding import InfraredFacts
from dataset_builder.engine.run import run_shards
from dataset_builder.images.decoding import DecodeStage
from dataset_builder.schema import REQUIRED
from dataset_builder.shards.batches import read_batches
from dataset_builder.shards.folder import find_shards
from dataset_builder.shards.limits import declared_ir_range
from dataset_builder.shards.opening import open_dataset
from fusionrs_hf.atomic import write_json
from fusionrs_hf.errors import InputError
from model_cards.markdown import visible

COLUMNS = ("sample_id", "source_dataset", "rgb", "ir", "ir_captions", "captions", "ir_origin", "ir_band", "ir_unit")
WIDTH = 100  # of an example


def check_captions(
    dataset: Path | str,
    *,
    rules: Mapping[str, Any] | None = None,
    ir_range: Mapping[str, Sequence[float]] | None = None,
    workers: int | None = None,
    report: Path | str | None = None,
) -> dict[str, Any]:
    """Asks of every infrared-aware caption of a dataset what a build asks; the dataset stays as it is.

    Args:
        dataset: Folder with `data/{split}-*.parquet` in the record's schema, or the id of such a dataset on the Hub.
        rules: Thresholds of the rules, as in `CaptionRecipe`.
        ir_range: Limits by `ir_band` for infrared above 8 bit, where the dataset's own build report does not say.
        workers: Processes; None: one per CPU.
        report: JSON file for the result, outside the dataset.

    Returns:
        As `Funnel.report`.

    Raises:
        InputError: There is no such dataset, it has no infrared-aware captions, or `report` lies within it.
    """
    rules = rules or {}
    with open_dataset(dataset) as folder:
        if report is not None and Path(os.path.realpath(folder)) in Path(os.path.realpath(report)).parents:
            raise InputError(f"{report} lies within the dataset, which stays as it is; give a file elsewhere")
        shards = find_shards(folder, (*REQUIRED, "ir", "ir_captions"))
        stage = CaptionStage(AsWritten(), make_caption_rules(rules))
        with tempfile.TemporaryDirectory(prefix="fusionrs-check-") as manifest:
            make_worker = partial(CheckWorker, folder, rules, declared_ir_range(folder, ir_range))
            parts = run_shards(shards, make_worker, workers, Path(manifest), "checking")
        scores = merged_report(stage, [part["funnel"] for part in parts])
    if not any(part["captions"] for part in parts):
        raise InputError(
            f"none of {scores['total']['rows']} rows of {dataset} has an infrared-aware caption; write some with "
            "`fusionrs caption`"
        )
    if report is not None:
        write_json(Path(report), scores)
    return scores


class AsWritten:
    """The captioner that writes what the row has already."""

    name, revision = "given", ""
    settings: Mapping[str, Any] = {}

    def caption(
        self,
        rows: Sequence[Mapping[str, Any]],
        facts: Sequence[InfraredFacts],
        faults: Sequence[str | None] | None = None,
    ) -> list[Written]:
        """Returns each row's `ir_captions`."""
        return [Written([text or "" for text in row["ir_captions"]]) for row in rows]


class CheckWorker:
    """Checks one shard; returns the funnel, and how many captions there were."""

    def __init__(self, folder: Path, rules: Mapping[str, Any], ir_range: Mapping[str, Sequence[float]]) -> None:
        self.folder = folder
        self.stages = DecodeStage(ir_range, {}), CaptionStage(AsWritten(), make_caption_rules(rules))

    def __call__(self, name: str) -> dict:
        """Does the shard of this name."""
        decode, stage = self.stages
        tally, captions = CaptionTally(), 0
        for _, batch in read_batches(self.folder / "data" / name, COLUMNS):
            captions += sum(map(len, batch["ir_captions"]))
            tally.caption(stage, decode(batch))
        return {"captions": captions, "funnel": tally.funnel.as_dict()}


def check_table(scores: Mapping[str, Any]) -> str:
    """Returns the scores of `check_captions` as lines for a terminal, plain text."""
    total, variety = scores["total"], scores["variety"]
    lines = [
        f"{total['rows']} rows, {total['captioned']} with an accepted caption",
        f"{total['accepted']} of {total['written']} captions accepted "
        f"({total['accepted'] / max(total['written'], 1):.2%})",
        "",
        f"{'claims':<24}{'accepted':>10}{'rejected':>10}   of captions",
    ]
    lines += [
        f"{name:<24}{total['claims'].get(name, 0):>10}{total['rejected_claims'].get(name, 0):>10}" for name in VERDICTS
    ]
    for title, kind in (("captions rejected for", "rejected"), ("rows not checked for", "failed")):
        if total[kind]:
            lines += ["", f"{title:<24}{'all':>10}   by source"]
        for reason, count in total[kind].items():
            parts = ((name, counts[kind].get(reason, 0)) for name, counts in scores["sources"].items())
            lines.append(f"{reason:<24}{count:>10}   {', '.join(f'{visible(name)} {n}' for name, n in parts if n)}")
            for item in scores["examples"].get(reason, [])[:1] if kind == "rejected" else []:
                lines += [f"    {visible(item['text'], WIDTH)}", f"    -> {visible(item['detail'], WIDTH)}"]
    if total["accepted"]:
        lines += [
            "",
            f"words a caption {variety['mean_words']}; of {variety['captions']} drawn: distinct-1 "
            f"{variety['distinct_1']}, distinct-2 {variety['distinct_2']}, self-BLEU {variety['self_bleu']}",
        ]
    return "\n".join(lines)
