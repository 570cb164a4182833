import pytest

from training.trainers.run_record import RunRecord

STEADY = {"lr_scheduler_type": "constant_with_warmup"}


def record(steps=3.0, inputs=None, goal="max_steps", **recipe):
    return RunRecord(recipe, inputs or {}, {goal: steps})


@pytest.mark.parametrize(
    ("recipe", "leads"),
    [
        (STEADY, True),
        ({"lr_scheduler_type": "inverse_sqrt"}, True),
        ({}, False),  # linear
        ({"lr_scheduler_type": "cosine"}, False),
        (STEADY | {"warmup_steps": 1}, True),
        (STEADY | {"warmup_steps": 20}, True),
        (STEADY | {"warmup_steps": 0.5}, False),  # a share of all steps, so that it asks where training ends
        (STEADY | {"warmup_steps": 0}, True),
        (STEADY | {"warmup_steps": None}, True),
        (STEADY | {"warmup_ratio": 0.1}, False),
    ],
)
def test_a_higher_goal_is_led_to_by_schedules_that_do_not_ask_for_the_end(recipe, leads):
    assert record(3, **recipe).leads_to(record(6, **recipe)) == leads
    assert not record(3, **recipe).leads_to(record(3, **recipe))
    assert not record(6, **recipe).leads_to(record(3, **recipe))
    assert not record(3, **recipe).leads_to(record(6, goal="num_train_epochs", **recipe))


def test_goals_are_told_in_words_and_only_where_they_differ():
    assert record(3).goal_difference(record(3)) is None
    assert record(3).goal_difference(record(2.5, goal="num_train_epochs")) == (
        "max_steps 3 there and num_train_epochs 2.5 here"
    )


def test_what_is_read_counts_by_its_contents_where_both_are_known_and_else_by_its_name():
    there, moved = record(inputs={"clip": "a"}, clip="/old"), record(inputs={"clip": "a"}, clip="/new")
    other, unknown = record(inputs={"clip": "b"}, clip="/old"), record(clip="/old")
    assert there.differences(moved) == []
    assert there.differences(other) == ["clip holds other files"]
    assert there.differences(unknown) == []
    assert unknown.differences(moved) == ["clip is /old there and /new here"]


def test_differences_are_of_either_recipe_sorted_and_short():
    found = record(b=1, long="x" * 61).differences(record(a=2, b=1, long="x" * 60))
    assert found == ["a is the default there and 2 here", f"long is {'x' * 57}... there and {'x' * 60} here"]
