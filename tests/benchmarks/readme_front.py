"""The one table of the front page: a line a capability, its control beside it, and a link to the tables behind it."""

from collections.abc import Mapping

from tests.benchmarks.markdown import table
from tests.benchmarks.readme_clip import slower

BUILDER = "[datasets](dataset_builder/README.md#what-a-build-costs)"
LEAKS = "[datasets](dataset_builder/README.md#leaks)"
CAPTIONS = "[captions](dataset_builder/captioning/README.md#results)"
CLIP = "[CLIP](training/README.md#results-of-the-clip)"
SPEED = "[speed](training/README.md#speed-and-memory)"
TRANSLATOR = "[translator](training/README.md#results-of-the-translator)"
VLM = "[VLM](training/README.md#results-of-the-vlm)"
HEADER = ["what it does", "result", "beside its control", "all tables"]


def front_table(results: Mapping[str, Mapping]) -> str:
    """The table, from the committed result files by name."""
    rows = [
        build_row(results["build_throughput"]),
        leaks_row(results["split_leaks"]),
        captions_row(results["caption_specificity"]),
        judge_row(results["grounded_claims_sealed_second"], "infrared"),
        judge_row(results["grounded_claims_things_sealed_second"], "things and lines in it"),
        translator_row(results["translator_quality"]),
        retrieval_row(results["retrieval_controls"]),
        unseen_row(results["unseen_scenes"]),
        recipe_row(results["ablation"]),
        effect_row(results["caption_effect"]),
        vlm_row(results["vlm_reading"]),
        step_row(results["train_step"]),
        recall_row(results["recall_speed"]),
    ]
    return table(HEADER, len(HEADER), rows)


def build_row(report: Mapping) -> list[str]:
    """Rows a second of a build from paired files."""
    rates = {name: f"{rate['median']:.0f}" for name, rate in report["rows_per_second"].items()}
    others = (
        f"`datasets.map` with the same outputs {rates['map pairs']}, with our rules and encoder "
        f"{rates['map-quick pairs']}; img2dataset, which does less, {rates['img2dataset http']}"
    )
    return ["Builds datasets, rows a second", rates["build pairs"], others, BUILDER]


def leaks_row(report: Mapping) -> list[str]:
    """Share of test rows that leak."""
    rates = {name: f"{100 * method['leak_rate']:.1f} %" for name, method in report["methods"].items()}
    control = f"`train_test_split` of `datasets` {rates['datasets']}"
    return ["Splits tiles with planted copies, test rows that leak", rates["fusionrs"], control, LEAKS]


def captions_row(report: Mapping) -> list[str]:
    """How much of what captions say of their own tile holds on another's infrared."""
    verdicts = report["forms"]["fluent"]["kinds"]["all"]["another infrared"]
    control = f"{100 * verdicts['contradicted']:.0f} % are contradicted there; all hold on their own tile"
    what = "Writes IR-aware captions; their claims that hold on another tile's infrared as well"
    return [what, f"{100 * verdicts['supported']:.0f} %", control, CAPTIONS]


def judge_row(report: Mapping, about: str) -> list[str]:
    """Precision and recall of the judge on the newest sealed part of its kind."""
    shares = {name: 100 * report[name]["share"] for name in ("precision", "recall")}
    best = f"{shares['precision']:.1f} % precision, {shares['recall']:.1f} % recall"
    wrong = sum(report["confusion"]["false"].values())
    control = f"sealed statements by new annotators, {wrong} false of {report['claims']}"
    return [f"Contradicts false statements about {about}", best, control, CAPTIONS]


def translator_row(report: Mapping) -> list[str]:
    """R2 against the sensor's near infrared, on the held-out region of a known scene."""
    methods = report["scenes"]["s2_virginia"]["bands"]["nir"]["methods"]
    r2 = {name: f"{method['r2']:.2f}" for name, method in methods.items()}
    control = (
        f"boosted trees a pixel {r2['trees']}, the formula {r2['radiometric']}, gray {r2['gray']}; on scenes it never "
        "saw no better than formula and gray, and flagged there"
    )
    return ["Translates RGB to near infrared, R2 against the sensor", r2["learned"], control, TRANSLATOR]


def retrieval_row(report: Mapping) -> list[str]:
    """R@1 from RGB to thermal infrared."""
    subset = report["subsets"]["held_out_region/lwir"]
    views = subset["directions"]["rgb_to_ir"]
    recall = {name: f"{100 * view['mean'][0]:.1f}" for name, view in views.items()}
    control = (
        f"towers as loaded {recall['pretrained']}, trained on the grayscale of RGB {recall['grayscale']}, "
        f"on shuffled pairs {recall['shuffled']}"
    )
    what = f"CLIP: finds the thermal image of an RGB tile, R@1 in % of {subset['queries']}"
    return [what, recall["sensor"], control, CLIP]


def recipe_row(report: Mapping) -> list[str]:
    """Mean recall of the chosen recipe beside the reference, on the held-out region."""
    measures = report["test"]["held_out_region"]
    name = next(iter(measures[report["reference"]]))
    chosen, reference = (measures[report[role]][name] for role in ("chosen", "reference"))
    low, high = chosen["difference"][1:]
    control = (
        f"published recipe {100 * reference['mean'][0]:.1f}, difference [{100 * low:+.1f}, {100 * high:+.1f}]; "
        f"takes {slower(report):.1f} times as long"
    )
    what = "CLIP: our recipe, mean recall on the held-out region in %"
    return [what, f"{100 * chosen['mean'][0]:.1f}", control, CLIP]


def unseen_row(report: Mapping) -> list[str]:
    """R@1 between RGB and infrared on scenes that were not trained on."""
    pool = report["pools"]["unseen"]
    share = {label: f"{100 * pool[label]['R@1'][0]:.1f}" for label in report["labels"]}
    seeds = "one seed" if len(report["seeds"]) == 1 else f"{len(report['seeds'])} seeds"
    control = (
        f"towers as loaded {share['loaded']}, the demo's recipe {share['demo']}, the same head before training "
        f"{share['start']}; {pool['tiles']} tiles, {seeds}"
    )
    what = "CLIP: finds infrared by RGB and back on scenes never trained on, R@1 in %"
    return [what, share["whitened"], control, CLIP]


def effect_row(report: Mapping) -> list[str]:
    """R@10 from infrared to IR-aware captions, and what it costs towards scene captions."""
    policies, chosen = report["held_out_region"], report["chosen"]

    def recall(policy: str, direction: str) -> str:
        return f"{100 * policies[policy][direction]['R@10']['mean'][0]:.1f}"

    there, cost = "ir_to_text/ir_aware", "text_to_ir/scene"
    control = (
        f"scene captions only {recall('scene_only', there)}, half with the facts of other tiles "
        f"{recall('wrong_facts', there)}; costs scene → IR {recall('scene_only', cost)} → {recall(chosen, cost)}"
    )
    return ["CLIP: trained with IR-aware captions, IR → caption R@10 in %", recall(chosen, there), control, CLIP]


def vlm_row(report: Mapping) -> list[str]:
    """Share of measured facts that sentences state rightly."""
    accuracy = report["held_out_region"]["mean"]["accuracy"]
    share = {name: f"{scores['mean']:.2f}" for name, scores in accuracy.items()}
    unseen = report["held_out_scene"]["mean"]["accuracy"]["own_images"]["mean"]
    control = (
        f"blind model {share['blind']}, best constant {share['constant_same_rows']}, another tile's infrared "
        f"{share['ir_shuffled']}; on a scene never seen {unseen:.2f}"
    )
    return ["VLM: states measured facts of the infrared rightly, share", share["own_images"], control, VLM]


def step_row(report: Mapping) -> list[str]:
    """A training step at equal settings."""
    faster = report["contests"]["same"]["times_as_fast"]
    control = f"open_clip {report['open_clip']}, RGB and text, equal settings, on CPU"
    return ["Trains a CLIP, times as fast", f"{faster['pair']:.2f}", control, SPEED]


def recall_row(report: Mapping) -> list[str]:
    """Recall between embeddings."""
    contest = report["contests"]["pairs"]
    control = f"open_clip's `get_clip_metrics`, {contest['items']:,} pairs, identical results"
    return ["Scores retrieval, times as fast", f"{contest['times_faster']:.1f}", control, SPEED]
