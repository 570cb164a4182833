"""Writes the committed results into README.md, between its markers: `python -m tests.benchmarks.readme`.

With `--demo runs/demo` it first takes the VLM's figures of that run into tests/benchmarks/results/demo_vlm.json.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.retrieval_controls import LABELS, RESULT

README = Path(__file__).parent.parent.parent / "README.md"
VLM_RESULT = RESULT.with_name("demo_vlm.json")
BEGIN, END = "<!-- results:begin -->\n", "<!-- results:end -->"
BANDS = {"nir": "near infrared", "swir": "shortwave infrared", "lwir": "thermal infrared"}
IMAGE_DIRECTIONS = {
    "rgb_to_ir": "RGB → IR",
    "ir_to_rgb": "IR → RGB",
    "rgb_to_ir_hard": "RGB → IR, hard",
    "ir_to_rgb_hard": "IR → RGB, hard",
}
CONDITIONS = {
    "own_images": "the VLM",
    "constant": "best constant caption",
    "ir_shuffled": "infrared of another tile",
    "ir_blanked": "infrared blanked",
    "rgb_shuffled": "RGB of another tile",
}


def take_vlm(demo: Path) -> None:
    """Copies accuracy and differences of a demo run, without its captions, into the committed results."""
    metrics = json.loads((demo / "vlm/metrics.json").read_text())
    log = json.loads((demo / "vlm/training_log.json").read_text())
    kept = {name: metrics[name] for name in ("pairs", "seed", "prompt", "accuracy", "differences")}
    kept |= {name: log[name] for name in ("hardware", "steps", "batch_size", "train_seconds", "versions")}
    VLM_RESULT.write_text(json.dumps(kept, indent=1) + "\n")


def retrieval_lines(report: Mapping) -> list[str]:
    """The table of R@1 between RGB and sensor infrared beside its controls."""
    controls = ("pretrained", "grayscale", "shuffled")
    lines = [
        f"R@1 in percent between RGB and sensor infrared within one band, mean of seeds {report['seeds']}; in",
        "brackets the 95 % paired bootstrap interval of ours minus the control. *Hard*: crops of all tiles shifted by",
        "a quarter join the gallery.",
        "",
        f"| held out, band | direction | queries | ours | {' | '.join(LABELS[name] for name in controls)} |",
        "|---|---|---:|---:|---|---|---|",
    ]
    for subset, part in report["subsets"].items():
        where, band = subset.removeprefix("held_out_").split("/")
        for direction, title in IMAGE_DIRECTIONS.items():
            row = part["directions"].get(direction)
            if row:
                ours = f"**{100 * row['sensor']['mean'][0]:.1f}**"
                cells = " | ".join(control_cell(row[name]) for name in controls)
                lines.append(f"| {where}, {BANDS[band]} | {title} | {part['queries']} | {ours} | {cells} |")
    return lines


def control_cell(control: Mapping) -> str:
    """A control's R@1 and the interval of ours minus it, in percent."""
    _, low, high = control["difference"]
    return f"{100 * control['mean'][0]:.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def text_lines(report: Mapping) -> list[str]:
    """The table of R@1 and R@10 between images and texts."""
    lines = [
        "Between images and texts of the held-out region (R@1 / R@10 in percent, mean of seeds; two captions an",
        "image). The text side is weak after 100 steps.",
        "",
        "| band | text | RGB → text | text → RGB | IR → text | text → IR | IR → text of (b) | IR → text of (c) |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for band, title in BANDS.items():
        directions = report["subsets"][f"held_out_region/{band}"]["directions"]
        for kind, words in (("scene", "scene"), ("ir_aware", "IR-aware")):
            shown = [("sensor", name) for name in ("rgb_to_text", "text_to_rgb", "ir_to_text", "text_to_ir")]
            shown += [("grayscale", "ir_to_text"), ("shuffled", "ir_to_text")]
            cells = []
            for view, name in shown:
                row = directions[f"{name}/{kind}"][view]
                cells.append(f"{100 * row['mean'][0]:.1f} / {100 * sum(row['R@10']) / len(row['R@10']):.1f}")
            lines.append(f"| {title} | {words} | {' | '.join(cells)} |")
    return lines


def vlm_lines(result: Mapping) -> list[str]:
    """The table of fact accuracy of generated captions."""
    kinds = ("level", "contrast", "brightest", "darkest", "relation")
    lines = [
        f"Share of generated captions that state a measured fact of the infrared rightly, {result['pairs']} held-out",
        "pairs, one seed; last column: the VLM minus the row, 95 % paired bootstrap interval.",
        "",
        f"| | {' | '.join(kinds)} | mean | difference |",
        f"|---|{'---:|' * (len(kinds) + 1)}---|",
    ]
    for name, title in CONDITIONS.items():
        scores, apart = result["accuracy"][name], result["differences"].get(name)
        difference = f"{apart['value']:+.3f} [{apart['low']:+.3f}, {apart['high']:+.3f}]" if apart else ""
        cells = " | ".join(f"{scores[kind]:.2f}" for kind in (*kinds, "mean"))
        lines.append(f"| {title} | {cells} | {difference} |")
    return lines


def results_block() -> str:
    """The Markdown between the markers, from the committed result files."""
    report, vlm = json.loads(RESULT.read_text()), json.loads(VLM_RESULT.read_text())
    parts = [
        "**Retrieval**",
        "\n".join(retrieval_lines(report)),
        "\n".join(text_lines(report)),
        "**Captions**",
        "\n".join(vlm_lines(vlm)),
        f"Measured on {report['hardware']}.",
    ]
    return "\n\n".join(parts) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    """Replaces what stands between the markers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo", type=Path, help="also take the VLM's figures of this run")
    demo = parser.parse_args(argv).demo
    if demo:
        take_vlm(demo)
    text = README.read_text()
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    README.write_text(head + BEGIN + results_block() + END + tail)


if __name__ == "__main__":
    main()
