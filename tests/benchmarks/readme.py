"""Writes the committed results into the READMEs and tests/benchmarks/RESULTS.md: `python -m tests.benchmarks.readme`.

The front page shows one table between its markers, the README of each folder the tables of what is in it, RESULTS.md
more of retrieval and captions; the prose is in `templates/`. With `--demo runs/demo` it first takes the VLM's figures
of that run into tests/benchmarks/results/demo_vlm.json.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from model_cards.bands import BAND_NAMES
from tests.benchmarks import readme_build, readme_captions, readme_clip, readme_front, readme_translator, readme_vlm
from tests.benchmarks.markdown import table
from training.recipe import read_recipe
from training.scoring.vlm_results import VlmResults

HERE = Path(__file__).parent
ROOT, RESULTS = HERE.parent.parent, HERE / "RESULTS.md"
BLOCKS = {  # name in the markers -> the page that shows it; its template is `templates/readme_{name}.md`
    "front": ROOT / "README.md",
    "build": ROOT / "dataset_builder" / "README.md",
    "captions": ROOT / "dataset_builder" / "captioning" / "README.md",
    "clip": ROOT / "training" / "README.md",
    "speed": ROOT / "training" / "README.md",
    "translator": ROOT / "training" / "README.md",
    "vlm": ROOT / "training" / "README.md",
}
FRONT_RESULTS = (
    *("build_throughput", "split_leaks", "caption_specificity", "grounded_claims_sealed_second", "retrieval_controls"),
    *("grounded_claims_things_sealed_second", "translator_quality"),
    *("unseen_scenes", "ablation", "caption_effect", "vlm_reading", "train_step", "recall_speed"),
)
IMAGE_DIRECTIONS = {
    "rgb_to_ir": "RGB → IR",
    "ir_to_rgb": "IR → RGB",
    "rgb_to_ir_hard": "RGB → IR, hard",
    "ir_to_rgb_hard": "IR → RGB, hard",
}
CONTROLS = {
    "pretrained": "(a) towers as loaded",
    "grayscale": "(b) trained on the grayscale of RGB",
    "shuffled": "(c) trained on shuffled pairs",
}
CONDITIONS = {
    "own_images": "the VLM",
    "blind": "the same before it saw images",
    "constant": "best constant caption",
    "ir_shuffled": "infrared of another tile",
    "ir_blanked": "infrared blanked",
    "rgb_shuffled": "RGB of another tile",
}
POLICIES = {
    "scene_only": "scene captions only",
    "mix_25": "a quarter IR-aware",
    "mix_50": "half IR-aware",
    "mix_75": "three quarters IR-aware",
    "ir_aware_only": "IR-aware captions only",
    "wrong_facts": "half IR-aware, the facts of other tiles",
    "grayscale": "half IR-aware, on the grayscale of RGB",
    "shuffled": "half IR-aware, on shuffled pairs",
}
TEXT_DIRECTIONS = {
    "ir_to_text/scene": "IR → scene",
    "text_to_ir/scene": "scene → IR",
    "ir_to_text/ir_aware": "IR → IR-aware",
    "text_to_ir/ir_aware": "IR-aware → IR",
}
REGIONS = {"validation": "Validation region", "held_out_region": "Held-out region", "held_out_scene": "Held-out scene"}


def read(name: str, default: dict | None = None) -> dict:
    """A committed result file, or the default where there is none yet."""
    path = HERE / "results" / f"{name}.json"
    return json.loads(path.read_text()) if default is None or path.is_file() else default


def take_vlm(demo: Path) -> None:
    """Copies accuracy and differences of a demo run, without its captions, into the committed results."""
    metrics = VlmResults.load(demo / "vlm/metrics.json").as_dict()
    log = json.loads((demo / "vlm/training_log.json").read_text())
    kept = {name: metrics[name] for name in ("pairs", "seed", "prompt", "accuracy", "differences")}
    kept |= {name: log[name] for name in ("hardware", "steps", "batch_size", "train_seconds", "versions")}
    (HERE / "results" / "demo_vlm.json").write_text(json.dumps(kept, indent=1) + "\n")


def interval(low: float, high: float) -> str:
    """An interval of shares in signed percent."""
    return f"[{100 * low:+.1f}, {100 * high:+.1f}]"


def retrieval_table(report: Mapping, whole: bool) -> str:
    """R@1 between RGB and sensor infrared beside its controls; if not `whole`, plain galleries of the region."""
    rows = []
    for subset, part in report["subsets"].items():
        where, band = subset.removeprefix("held_out_").split("/")
        for direction, title in IMAGE_DIRECTIONS.items():
            row = part["directions"].get(direction)
            if row is None or not (whole or (where == "region" and "hard" not in direction)):
                continue
            cells = [f"{100 * row[name]['mean'][0]:.1f} {interval(*row[name]['difference'][1:])}" for name in CONTROLS]
            place = f"{where}, {BAND_NAMES[band]}" if whole else BAND_NAMES[band]
            rows.append([place, title, part["queries"], f"**{100 * row['sensor']['mean'][0]:.1f}**", *cells])
    return table(["held out, band" if whole else "band", "direction", "queries", "ours", *CONTROLS.values()], 2, rows)


def text_table(report: Mapping) -> str:
    """R@1 and R@10 between images and texts."""
    shown = [("sensor", name) for name in ("rgb_to_text", "text_to_rgb", "ir_to_text", "text_to_ir")]
    shown += [("grayscale", "ir_to_text"), ("shuffled", "ir_to_text")]
    rows = []
    for band, title in BAND_NAMES.items():
        if f"held_out_region/{band}" not in report["subsets"]:
            continue
        directions = report["subsets"][f"held_out_region/{band}"]["directions"]
        for kind, words in (("scene", "scene"), ("ir_aware", "IR-aware")):
            scores = [directions[f"{name}/{kind}"][view] for view, name in shown]
            cells = [f"{100 * row['mean'][0]:.1f} / {100 * sum(row['R@10']) / len(row['R@10']):.1f}" for row in scores]
            rows.append([title, words, *cells])
    header = ["RGB → text", "text → RGB", "IR → text", "text → IR", "IR → text of (b)", "IR → text of (c)"]
    return table(["band", "text", *header], 2, rows)


def effect_table(report: Mapping, where: str, cutoff: str) -> str:
    """Recall by caption policy on one region, with intervals against `scene_only` and `wrong_facts`."""
    rows = []
    for policy, title in POLICIES.items():
        cells = []
        for direction in TEXT_DIRECTIONS:
            cell = report[where][policy][direction][cutoff]
            text = f"{100 * cell['mean'][0]:.1f}"
            for other, sign in (("scene_only", "s"), ("wrong_facts", "w")):
                if f"minus_{other}" in cell:
                    text += f" {sign}{interval(*cell[f'minus_{other}'][1:])}"
            cells.append(text)
        rows.append([f"**{title}**" if policy == report["chosen"] else title, *cells])
    return table(["training captions", *TEXT_DIRECTIONS.values()], 5, rows)


def judge_table(results: Mapping[str, Mapping]) -> str:
    """The judge's confusion tables, by name of the part."""
    verdicts = ("contradicted", "supported", "abstained")
    rows = []
    for title, result in results.items():
        for truth in ("false", "true"):
            counts = [result["confusion"][truth][verdict] for verdict in verdicts]
            name = {"false": "recall", "true": "precision"}[truth]
            rows.append([title, truth, *counts, f"{name} {percent(result[name])}"])
    return table(["", "a statement that is", "contradicted", "supported", "not judged", ""], 2, rows)


def quality_table(result: Mapping) -> str:
    """What the default captioner writes on the sample."""
    rows = []
    for form, row in result["forms"].items():
        recall = row["identification"]["nir"]
        ranks = " / ".join(f"{100 * recall[f'R@{k}']:.0f} ({100 * recall[f'chance_R@{k}']:.1f})" for k in (1, 10))
        variety = f"{row['distinct_1']:.3f} / {row['distinct_2']:.3f}"
        distinct = f"{100 * row['distinct_texts']:.0f} %"
        rows.append(
            [form, f"{100 * row['accepted']:.2f} %", row["mean_words"], variety, row["self_bleu_4"], distinct, ranks]
        )
    header = [
        "accepted",
        "words",
        "distinct-1 / -2",
        "self-BLEU",
        "distinct texts",
        "finds its tile at 1 / 10, % (chance)",
    ]
    return table(["form", *header], 1, rows)


def vlm_table(result: Mapping) -> str:
    """Fact accuracy of generated captions."""
    kinds = ("level", "contrast", "brightest", "darkest", "relation", "mean")
    rows = []
    for name, title in CONDITIONS.items():
        apart = result["differences"].get(name)
        difference = f"{apart['value']:+.3f} [{apart['low']:+.3f}, {apart['high']:+.3f}]" if apart else ""
        rows.append([title, *(f"{result['accuracy'][name][kind]:.2f}" for kind in kinds), difference])
    return table(["", *kinds, "difference"], 1, rows)


def percent(part: Mapping) -> str:
    """A share and its interval in words."""
    low, high = part["interval"]
    return f"{100 * part['share']:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def render(template: str) -> str:
    """Fills a template of `templates/` from the committed result files."""
    retrieval, effect = read("retrieval_controls"), read("caption_effect")
    sealed = {"sealed": read("grounded_claims_sealed"), "sealed, second": read("grounded_claims_sealed_second")}
    things, sentences = read("grounded_claims_things_sealed_second"), read("grounded_claims_model_sentences")
    first = read("grounded_claims_things_sealed")
    quality, vlm, reading = read("caption_quality"), read("demo_vlm"), read("vlm_reading")
    checks, modalities, changes = read("vlm_checks"), read("vlm_modalities", {}), read("vlm_changes", {})
    tables = {
        "front": readme_front.front_table({name: read(name) for name in FRONT_RESULTS}),
        "retrieval_main": retrieval_table(retrieval, whole=False),
        "retrieval_whole": retrieval_table(retrieval, whole=True),
        "text": text_table(retrieval),
        "effect_main": effect_table(effect, "held_out_region", "R@10"),
        "judge": judge_table(sealed),
        "judge_things": judge_table({"sealed": first, "sealed, second": things, **things["by_scene"]}),
        "quality": quality_table(quality),
        "specificity": readme_captions.specificity_table(read("caption_specificity")),
        "variety": readme_captions.variety_table(read("caption_specificity")),
        "vlm": vlm_table(vlm),
        "reading": readme_vlm.reading_table(reading["held_out_region"]),
        "reading_scene": readme_vlm.reading_table(reading["held_out_scene"]),
        "answers": readme_vlm.answers_table(reading["held_out_region"]),
        "places": readme_vlm.places_table(reading["held_out_region"]),
        "groups": readme_vlm.groups_table(reading["held_out_region"]),
        **readme_vlm.short_tables(checks, modalities, changes),
    }
    building, built = build_tables()
    step, large, recall, ablation = read("train_step"), read("large_batch"), read("recall_speed"), read("ablation")
    unseen, trials = read("unseen_scenes"), read("unseen_trials")
    tables |= {
        "unseen": readme_clip.unseen_table(unseen),
        "unseen_bars": readme_clip.unseen_bars(unseen),
        "unseen_text": readme_clip.unseen_text_table(unseen),
        "trials": readme_clip.trials_table(trials),
        "ablation": readme_clip.ablation_table(ablation, "validation", "held_out_region"),
        "ablation_region": readme_clip.ablation_table(ablation, "test", "held_out_region"),
        "ablation_scene": readme_clip.ablation_table(ablation, "test", "held_out_scene"),
        "step": readme_clip.step_table(step),
        "batch": readme_clip.batch_table(large),
        "flat": readme_clip.flat_table(large),
        "recall": readme_clip.recall_table(recall),
    }
    environment = Environment(loader=FileSystemLoader(HERE / "templates"), undefined=StrictUndefined, autoescape=False)
    return environment.get_template(template).render(
        tables=tables | building,
        text=built,
        model_sentences=sentences["sealed_second"],
        percent=percent,
        salience=read("caption_salience")["revisions"],
        throughput=read("build_throughput"),
        leaks=read("split_leaks"),
        ablation=ablation | {"slower": readme_clip.slower(ablation)},
        step=step,
        large=large,
        recall=recall,
        retrieval=retrieval,
        unseen=unseen,
        trials=trials,
        effect=effect,
        quality=quality,
        vlm=vlm,
        reading=reading,
        **{"checks": checks, "modalities": modalities, "changes": changes},
        joint_recipe=read_recipe(ROOT / "training/recipes/vlm_joint.yaml"),
        reading_seeds={name: readme_vlm.scores_by_seed(reading[name]) for name in list(REGIONS)[1:]},
        reading_minutes=readme_vlm.minutes(reading),
        reading_runs=", ".join(map(str, reading["seeds"])),
        rates=read("caption_throughput"),
        specificity=read("caption_specificity"),
        translator=readme_translator.facts(
            read("translator_quality"), read("translator_speed"), read("translator_downstream")
        ),
        titles=POLICIES,
        regions=REGIONS,
        effect_table=lambda where, cutoff: effect_table(effect, where, cutoff),
    )


def build_tables() -> tuple[dict[str, str], dict[str, str]]:
    """Tables and sentences of the dataset builder."""
    throughput, grouping = read("build_throughput"), read("grouping_scale")
    tables = {
        "throughput": readme_build.throughput_table(throughput),
        "stages": readme_build.stages_table(throughput),
        "grouping": readme_build.grouping_table(grouping),
        "memory": readme_build.memory_table(read("build_memory")),
        "leaks": readme_build.leaks_table(read("split_leaks")),
    }
    text = {"bytes": readme_build.bytes_sentence(throughput), "peer": readme_build.peer_sentence(grouping)}
    return tables, text


def block_in(text: str, name: str) -> str:
    """What a page shows between a block's markers."""
    return text.split(begin(name))[1].split(end(name))[0]


def with_block(text: str, name: str) -> str:
    """A page's text with the block written anew between its markers."""
    return text.split(begin(name))[0] + begin(name) + block(name) + end(name) + text.split(end(name))[1]


def begin(name: str) -> str:
    """Marker of a block's start."""
    return f"<!-- {name}:begin -->\n"


def end(name: str) -> str:
    """Marker of a block's end."""
    return f"<!-- {name}:end -->"


def block(name: str) -> str:
    """The Markdown that belongs between a block's markers."""
    return render(f"readme_{name}.md").rstrip() + "\n"


def results_page() -> str:
    """RESULTS.md."""
    return render("results.md").rstrip() + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    """Writes every page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo", type=Path, help="also take the VLM's figures of this run")
    demo = parser.parse_args(argv).demo
    if demo:
        take_vlm(demo)
    for name, page in BLOCKS.items():
        page.write_text(with_block(page.read_text(), name))
    RESULTS.write_text(results_page())


if __name__ == "__main__":
    main()
