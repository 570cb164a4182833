import pytest

from tests.benchmarks.readme_vlm import arms_table
from tests.benchmarks.vlm_modalities import RECIPE, SCORES, jobs_of, options_of, summarised
from training.recipe import parse_recipe
from training.train_vlm import RECIPE as FIELDS


def test_the_first_seed_runs_all_arms_and_the_second_those_shown_both_or_rgb():
    jobs = jobs_of([0, 1])
    assert len(jobs) == len({*jobs}) == 12
    assert {arm.split("-")[0] for arm, seed in jobs if seed == 1} == {"both", "rgb"}
    assert {arm.split("-")[0] for arm, seed in jobs if seed == 0} == {"both", "rgb", "ir", "none"}


def test_arms_differ_in_what_is_shown_and_in_which_captions_are_learnt():
    for arm, _ in jobs_of([0]):
        named = [str(part) for option, value in options_of(arm, 80).items() for part in (f"--{option}", value)]
        arguments, training = parse_recipe(FIELDS, ["--config", RECIPE, "--dataset", "d", *named])
        shown, text = arm.split("-")
        shares = {"facts": 0.4, "questions": 0.15}
        assert arguments.images == shown and training.max_steps == 80
        assert training.lr_scheduler_kwargs == {"num_decay_steps": 26, "decay_type": "cosine"}
        assert (arguments.joint_after, training.eval_steps) == (50, 40)
        captions = {"captions": 0.1, "joint": 0.35} if text == "joint" else {"captions": 0.45, "joint": 0}
        assert arguments.shares == shares | captions


def test_an_arm_is_told_beside_the_one_that_is_shown_both_and_learns_the_same_captions():
    def result(right, supported):
        matches = [[right] * 5] * 4
        first = {"sample_id": "a", "reference": "x", "caption": "y"}
        row = {"tiles": [*"abcd"], "matches": matches, "pair_claims": [supported] * 4, "claims": [2] * 4}
        row["things"] = [supported / 2] * 4
        return row | {"bleu": [0.1] * 4, "first": first}

    results = {("both-joint", 0): result(1, 0.8), ("both-joint", 1): result(0, 0.6), ("rgb-joint", 0): result(0, 0.2)}
    told = summarised(results | {("both-ir_aware", 0): result(1, 1.0)})
    arms = told["arms"]
    assert arms["both-joint"]["facts"][0] == 0.5 and arms["both-joint"]["seeds"] == 2
    assert arms["both-joint"]["both_minus"] == {name: pytest.approx([0, 0, 0]) for name in SCORES}
    assert arms["rgb-joint"]["both_minus"]["pair_claims"] == pytest.approx([0.5] * 3)
    assert arms["rgb-joint"]["both_minus"]["facts"] == pytest.approx([0.5] * 3)
    row = "| both images | RGB | 1 | 0.00 [0.00, 0.00] | 0.20 [0.20, 0.20] | 0.10 [0.10, 0.10] | 0.10 [0.10, 0.10] |"
    assert f"{row} +0.25 [+0.25, +0.25] |" in arms_table(told)
