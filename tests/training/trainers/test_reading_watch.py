import math
from collections import Counter

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from tests.made import tiny_vlm
from training.trainers.reading_watch import ReadingWatch, unread_cost


class Reading:
    """Costs as told, one a call."""

    def __init__(self, *costs):
        self.costs = list(costs)

    def cost(self, model, with_images=True):
        return self.costs.pop(0)


def watch_of(*costs, after=3, stop=False):
    return ReadingWatch(Reading(*costs), 0.5, 0.4, vocabulary=100, after=after, stop=stop)


def step(watch, tmp_path, number):
    control, state = TrainerControl(), TrainerState(global_step=number)
    watch.on_step_end(TrainingArguments(tmp_path, use_cpu=True), state, control, model=tiny_vlm.vlm_model())
    return control


def test_it_warns_once_where_images_have_not_helped_by_the_stated_step(tmp_path, caplog):
    watch = watch_of(0.6)
    controls = [step(watch, tmp_path, number) for number in (1, 2, 3, 4)]
    assert caplog.text.count("after 3 steps images have not lowered") == 1
    assert "0.600 against 0.500" in caplog.text
    assert not any(control.should_training_stop for control in controls)


def test_it_stops_only_if_asked(tmp_path):
    assert step(watch_of(0.6, stop=True), tmp_path, 3).should_training_stop
    assert not step(watch_of(0.4, stop=True), tmp_path, 3).should_training_stop


def test_it_says_nothing_where_images_help(tmp_path, caplog):
    step(watch_of(0.4), tmp_path, 3)
    assert "images have not" not in caplog.text


def test_the_start_is_logged_beside_what_no_reader_would_pay(tmp_path):
    state = TrainerState()
    watch_of(2.5).on_train_begin(
        TrainingArguments(tmp_path, use_cpu=True), state, TrainerControl(), model=tiny_vlm.vlm_model()
    )
    (entry,) = state.log_history
    assert entry == {
        "step": 0,
        "start_loss": 2.5,
        "uniform_loss": pytest.approx(math.log(100)),
        "unread_loss": 0.4,
        "blind_loss": 0.5,
    }


def test_unread_sentences_cost_their_facts_spread_over_their_tokens():
    counts = {kind: Counter({"north": 1, "south": 1}) for kind in ("level", "contrast", "brightest", "darkest")}
    counts["relation"] = Counter({"follows": 5})
    values = dict.fromkeys(("level", "contrast", "brightest", "darkest", "relation")) | {"level": "dark"}
    tokens = len(tiny_vlm.tokenizer()("Infrared: dark.")["input_ids"]) + 1
    assert unread_cost(counts, values, tiny_vlm.tokenizer()) == pytest.approx(4 * math.log(2) / tokens)
