"""Tables of what the VLM reads, for the README of `training/`."""

from collections.abc import Mapping, Sequence

from dataset_builder.claims.grounding import FACT_KINDS
from tests.benchmarks.markdown import table
from training.data.fact_texts import PLACES
from training.scoring.image_need import NEEDS

CONDITIONS = {
    "own_images": "the VLM",
    "blind": "the same before it saw images",
    "constant": "best constant of the training rows",
    "constant_same_rows": "best constant of these very rows",
    "ir_shuffled": "infrared of another tile",
    "ir_blanked": "infrared blanked",
    "ir_inverted": "infrared inverted",
    "rgb_shuffled": "RGB of another tile",
    "rgb_gray": "RGB in gray",
}
ANSWERS = {
    "own_images": "the VLM",
    "blind": "the same before it saw images",
    "ir_shuffled": "infrared of another tile",
    "rgb_shuffled": "RGB of another tile",
}
SHOWN = {"both": "both images", "rgb": "RGB", "ir": "infrared", "none": "none"}
TEXTS = {"joint": "both images", "ir_aware": "the infrared"}
GROUPS = {
    "infrared_of_another_tile": "infrared of another tile",
    "infrared_inverted": "infrared inverted",
    "rgb_of_another_tile": "RGB of another tile",
}
NEEDED = {
    "both": "both images",
    "ir_alone": "infrared alone",
    "rgb_alone": "RGB alone",
    "neither": "neither",
    "ir_shuffled": "infrared of another tile",
    "rgb_shuffled": "RGB of another tile",
    "both_shuffled": "both of another tile",
}


def reading_table(part: Mapping) -> str:
    """Share of captions that state each kind of fact as measured, by condition; means over seeds."""
    rows = []
    for name, title in CONDITIONS.items():
        if (scores := part["mean"]["accuracy"].get(name)) is None:
            continue
        apart = part["mean"]["differences"].get(name)
        difference = f"{apart['value']:+.3f} [{apart['low']:+.3f}, {apart['high']:+.3f}]" if apart else ""
        rows.append([title, *(f"{scores[kind]:.2f}" for kind in (*FACT_KINDS, "mean")), difference])
    return table(["", *FACT_KINDS, "mean", "difference"], 1, rows)


def answers_table(part: Mapping) -> str:
    """The same of the likeliest of all values in sentences, and of all answers to questions."""
    rows = []
    for way, form in (("likelihood", "in the sentence"), ("questions", "to a question")):
        for name, title in ANSWERS.items():
            if scores := part["mean"][way].get(name):
                rows.append([form, title, *(f"{scores[kind]:.2f}" for kind in (*FACT_KINDS, "mean"))])
    return table(["likeliest", "", *FACT_KINDS, "mean"], 2, rows)


def places_table(part: Mapping) -> str:
    """How near named cells are to the extreme."""
    rows = []
    for way, title in (("places", "written"), ("likelihood_places", "likeliest answer")):
        for kind in PLACES:
            own, other = (part["mean"][way][name][kind] for name in ("own_images", "ir_shuffled"))
            cells = [f"{own[name]:.2f} ({other[name]:.2f})" for name in ("strict", "near", "row", "column", "rank")]
            rows.append([f"{kind}, {title}", *cells])
    return table(["", "the cell", "within five grey levels", "row", "column", "rank of nine"], 1, rows)


def groups_table(part: Mapping) -> str:
    """Group accuracy by what the pairs of a group do not share."""
    rows = []
    for name, title in GROUPS.items():
        for kind, score in part["mean"]["groups"][name].items():
            if score["accuracy"] is not None:
                low, high = score["interval"]
                asked = part["mean"]["question_groups"][name][kind]["accuracy"]
                cells = [f"{score['groups']:.0f}", f"{score['accuracy']:.2f} [{low:.2f}, {high:.2f}]", f"{asked:.2f}"]
                rows.append([title, kind, *cells, f"{score['chance']:.3f}"])
    return table(
        ["what differs", "fact", "groups", "both written rightly", "both answered rightly", "chance"], 2, rows
    )


def scores_by_seed(part: Mapping) -> str:
    """Mean accuracy of each seed, in words."""
    return ", ".join(f"{scores['accuracy']['own_images']['mean']:.3f}" for scores in part["by_seed"])


def minutes(report: Mapping) -> str:
    """How long each run trained, all stages, in words."""
    return " and ".join(f"{run['train_seconds'] / 60:.0f}" for run in report["runs"])


def needs_table(checks: Mapping) -> str:
    """What is right with both images, and what showing less or another tile's costs, with intervals."""
    facts, joint = checks["facts"], checks["joint"]
    rows = []
    for name, title in NEEDED.items():
        mean, claims = facts["facts"][name], joint["pair_claims"][name]["supported"]
        if name == "both":
            rows.append([title, f"{mean:.2f}", "", "", f"{claims:.2f}", ""])
            continue
        costs = facts["costs"][name]
        cells = [f"{mean:.2f}", cost(costs["mean"]), cost(costs["relation"])]
        rows.append([title, *cells, f"{claims:.2f}", cost(joint["costs"][name]["pair_claims"])])
    reference = joint["pair_claims"]["reference"]["supported"]
    rows.append(["the dataset's own captions", "", "", "", f"{reference:.2f}", ""])
    return table(["shown", "facts", "cost", "of relation", "claims about the pair", "cost"], 1, rows)


def cost(difference: Mapping) -> str:
    """A loss with its interval."""
    return f"{difference['value']:+.2f} [{difference['low']:+.2f}, {difference['high']:+.2f}]"


def need_table(checks: Mapping) -> str:
    """Which images a fact needed, in shares of the pairs."""
    rows = [[kind, *(f"{shares[name]:.2f}" for name in NEEDS)] for kind, shares in checks["facts"]["needed"].items()]
    titles = ["both", "infrared", "RGB", "either", "none", "wrong with both"]
    return table(["fact", *titles], 1, rows)


def arms_table(modalities: Mapping) -> str:
    """Scores of each arm with intervals, and what the arm shown both images has more."""
    rows = []
    for arm, scores in modalities["arms"].items():
        shown, text = arm.split("-")
        cells = [interval(scores[name]) for name in ("facts", "pair_claims", "things", "bleu")]
        more = "" if shown == "both" else interval(scores["both_minus"]["things"], "+")
        rows.append([TEXTS[text], SHOWN[shown], f"{scores['seeds']}", *cells, more])
    names = [
        "captions of",
        "shown",
        "seeds",
        "facts",
        "claims about the pair",
        "of parts alone",
        "BLEU",
        "both: more of parts",
    ]
    return table(names, 3, rows)


def changes_table(changes: Mapping) -> str:
    """Accuracy of the recipe without each of its parts, and what the whole recipe has more."""
    rows = []
    for name, scores in changes["variants"].items():
        more = "" if name == "whole" else interval(scores["whole_minus"], "+")
        kinds = [f"{scores['by_kind'][kind]:.2f}" for kind in FACT_KINDS]
        rows.append([scores["what"], *kinds, f"{scores['mean']:.2f}", more])
    return table(["", *FACT_KINDS, "mean", "the recipe has more"], 1, rows)


def short_tables(checks: Mapping, modalities: Mapping, changes: Mapping) -> dict[str, str]:
    """Tables of short runs, by name; of arms and changes where they were run."""
    tables = {
        "needs": needs_table(checks["joint"]),
        "need": need_table(checks["joint"]),
        "unseen_vlm": reading_table(checks["demo"]["unseen"]),
    }
    tables |= {"arms": arms_table(modalities)} if modalities else {}
    return tables | ({"changes": changes_table(changes)} if changes else {})


def interval(values: Sequence[float], sign: str = "") -> str:
    """A value with its interval."""
    value, low, high = values
    return f"{value:{sign}.2f} [{low:{sign}.2f}, {high:{sign}.2f}]"
