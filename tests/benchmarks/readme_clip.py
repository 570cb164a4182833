"""Tables of the dual-modal CLIP's benchmarks, for the README of `training/`."""

import statistics
from collections.abc import Mapping

from model_cards.bands import BAND_NAMES
from tests.benchmarks.markdown import table

SETTINGS = {
    "same": "open_clip's settings on both sides",
    "fused": "the same, PyTorch's fused AdamW on both sides",
    "ships": "each as it ships",
}
RECIPES = {
    "trimodal": "published: trimodal",
    "dual_text": "published: dual text, no RGB-IR term",
    "ir_text": "published: infrared and text",
    "grayscale": "published control: grayscale of RGB (b)",
    "rgb_duplicate": "published control: RGB twice",
    "rgb_only": "published control: RGB and text",
    "shuffled": "control: infrared of other rows (c)",
    "group_aware": "trimodal, group-aware",
    "ir_aware_text": "trimodal, half of the texts IR-aware",
    "both_kinds": "trimodal, a scene and an IR-aware text a row",
    "modality_embedding": "trimodal, modality embedding",
    "modality_dropout": "trimodal, gated fusion, modality dropout",
    "fusionrs": "ours",
}
PEERS = {"open_clip": "open_clip", "clip_benchmark": "CLIP_benchmark"}


def ablation_table(report: Mapping, split: str, part: str) -> str:
    """Mean recall of every recipe on a part of a split, with the differences to the published trimodal recipe."""
    scores = report[split][part]
    measures = list(scores[report["reference"]])
    rows = []
    for name, cells in sorted(scores.items(), key=lambda item: -item[1][measures[0]]["mean"][0]):
        row = [f"**{RECIPES[name]}**" if name == report["chosen"] else RECIPES[name]]
        for measure in measures[:3] + measures[4:]:
            text = f"{100 * cells[measure]['mean'][0]:.1f}"
            if name != report["reference"]:
                low, high = cells[measure]["difference"][1:]
                text += f" [{100 * low:+.1f}, {100 * high:+.1f}]"
            row.append(text)
        seeds = [value for value, *_ in cells[measures[0]]["difference_by_seed"]]
        row.append("" if name == report["reference"] else f"{sum(value > 0 for value in seeds)} of {len(seeds)}")
        rows.append(row)
    return table(["recipe", *measures[:3], *measures[4:], "seeds above"], 1, rows)


def unseen_table(report: Mapping) -> str:
    """R@1 of both directions by scene and band, of scenes not trained on and of held-out regions, and pooled."""
    labels = report["labels"]
    rows = []
    for where, title in (("unseen", "never trained on"), ("region", "held-out region")):
        for name, part in report["parts"].items():
            place, band = name.split("/")
            if (place == "region") == (where == "region"):
                shown = title if place == "region" else place
                rows.append(
                    [shown, BAND_NAMES[band], part["tiles"], *(f"{100 * part[label]['both']:.1f}" for label in labels)]
                )
        pool, cells = report["pools"][where], []
        for label in labels:
            _, low, high = pool[label]["ours_minus"]
            text = f"{100 * pool[label]['R@1'][0]:.1f}"
            cells.append(f"**{text}**" if not cells else f"{text} [{100 * low:+.1f}, {100 * high:+.1f}]")
        rows.append([f"**{title}, together**", "", pool["tiles"], *cells])
    return table(["scene", "band", "tiles", *labels.values()], 2, rows)


def unseen_bars(report: Mapping) -> str:
    """What was asked for beforehand, as a list, with what was reached."""
    lines = []
    for bar in report["bars"]:
        value, *rest = bar["value"]
        ends = f" [{100 * rest[0]:+.1f}, {100 * rest[1]:+.1f}]" if len(rest) == 2 else f" ({rest[0]})"
        lines.append(f"- {bar['bar']}: {100 * value:+.1f} points{ends}, {'holds' if bar['holds'] else 'missed'}")
    return "\n".join(lines)


def unseen_text_table(report: Mapping) -> str:
    """R@1 between infrared and texts by scene beside chance."""
    rows = []
    for scene, directions in report["texts"].items():
        for direction, row in directions.items():
            if "ir" not in direction.split("/")[0].split("_"):
                continue
            cells = []
            for label in (label for label in report["labels"] if label in row):
                value, low, high = row[label]["R@1"]
                cells.append(f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}]")
            rows.append([scene, direction.replace("_", " ").replace("/", ", "), f"{100 * row['chance']:.1f}", *cells])
    some = next(row for directions in report["texts"].values() for row in directions.values())
    trained = [title for label, title in report["labels"].items() if label in some]
    return table(["scene", "direction", "chance", *trained], 2, rows)


def trials_table(report: Mapping) -> str:
    """R@1 on validation regions by trial, mean of the seeds: images and texts, of scenes trained on and left out."""
    places = ("left_out_images", "region_images", "left_out_texts", "region_texts")
    rows = []
    for name, scores in report["trials"].items():
        cells = [f"{100 * statistics.mean(scores[place]):.1f}" for place in places]
        rows.append([name, *cells])
    header = ["images, scene left out", "images, scene trained on", "texts, scene left out", "texts, scene trained on"]
    return table(["head", *header], 1, rows)


def slower(report: Mapping) -> float:
    """How many times as long as the reference the chosen recipe trains, by the medians over seeds."""
    chosen, reference = (statistics.median(report["train_seconds"][report[role]]) for role in ("chosen", "reference"))
    return chosen / reference


def step_table(report: Mapping) -> str:
    """Milliseconds of a step by settings, ours and open_clip's."""
    rows = []
    for name, title in SETTINGS.items():
        contest = report["contests"][name]
        spent = {side: one["median_ms"] for side, one in contest["sides"].items()}
        faster = contest["times_as_fast"]
        pair = [f"{spent['pair']:.0f}", f"{spent['open_clip']:.0f}", f"**{faster['pair']:.2f}**"]
        three = [f"{spent['trimodal']:.0f}", f"{2 * spent['open_clip']:.0f}", f"**{faster['trimodal']:.2f}**"]
        rows.append([title, *pair, *three])
    pair = ["RGB + text, ms", "open_clip, ms", "times as fast"]
    return table(["", *pair, "RGB + IR + text, ms", "two of open_clip, ms", "times as fast"], 1, rows)


def batch_table(report: Mapping) -> str:
    """Time and memory of a large batch, ours and open_clip's."""
    rows = []
    for part, contest in report["contest"].items():
        cells = []
        for side in (contest["ours"], contest["open_clip"]):
            cells += [f"{side['median_ms'] / 1000:.2f}", f"{side['peak_mib']:,}"]
        rows.append([part, *cells, f"**{contest['times_as_fast']:.2f}**", f"{contest['peak_share']:.2f}"])
    header = ["`encode_rows`, s", "peak MiB", "`--accum-freq`, s", "peak MiB", "times as fast", "share of its memory"]
    return table(["rows at a time", *header], 1, rows)


def flat_table(report: Mapping) -> str:
    """Peak memory by rows of a batch."""
    flat = report["flat"]
    rows = [
        ["the batch itself, MiB", *(one["batch_mib"] for one in flat)],
        ["all else at the peak, MiB", *(f"{one['rest_mib']:,}" for one in flat)],
    ]
    return table(["rows of a batch", *(f"{one['rows']:,}" for one in flat)], 1, rows)


def recall_table(report: Mapping) -> str:
    """Seconds and memory of recall, ours and the peers'."""
    rows = []
    for contest in report["contests"].values():
        peer = next((name for name in PEERS if name in contest), None)
        ours = [f"{contest['ours']['median_s']:.2f}", f"{contest['ours']['extra_peak_mib']:,}"]
        theirs = ["", "", "", ""]
        if peer:
            other = contest[peer]
            theirs = [PEERS[peer], f"{other['median_s']:.2f}", f"{other['extra_peak_mib']:,}"]
            theirs.append(f"**{contest['times_faster']:.1f}**")
        rows.append([f"{contest['items']:,} x {contest['texts']:,}", *ours, *theirs])
    return table(["images x texts", "ours, s", "MiB", "peer", "peer, s", "MiB", "times as fast"], 1, rows)
