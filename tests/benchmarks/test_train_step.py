import io
import sys

import pytest
import torch

from tests.benchmarks import sides
from tests.benchmarks.fusionrs_side import batch_of
from tests.benchmarks.large_batch import batch_mib, compared
from tests.benchmarks.open_clip_peer import Batches
from tests.benchmarks.readme_clip import batch_table, flat_table, recall_table, step_table
from tests.benchmarks.recall_speed import Contest, summary
from tests.benchmarks.sides import Side, per_step, take_turns
from tests.benchmarks.train_step import ratios, write_captions


def test_a_pair_is_compared_with_one_step_of_the_peer_and_three_modalities_with_two():
    spent = {"pair": {"median_ms": 400.0}, "trimodal": {"median_ms": 800.0}, "open_clip": {"median_ms": 600.0}}
    assert ratios(spent) == {"pair": 1.5, "trimodal": 1.5}


def test_a_side_sums_up_as_the_median_of_its_turns_a_step():
    runs = [
        {"seconds": seconds, "cpu_seconds": 2 * seconds, "steps": 2, "peak_mib": 10.4 + seconds, "start_mib": 5.0}
        for seconds in (1.0, 3.0, 2.0)
    ]
    assert per_step(runs) == {
        "median_ms": 1000.0,
        "runs_ms": [500.0, 1500.0, 1000.0],
        "cpu_ms": 2000.0,
        "peak_mib": 12,
        "start_mib": 5,
    }


def test_sides_answer_in_turns_and_one_that_dies_is_told(monkeypatch):
    order = []

    class Recorded(Side):
        def __init__(self, name):
            self.name = name

        def measure(self, line):
            order.append((self.name, line))
            return {"line": line}

        def close(self):
            order.append((self.name, "closed"))

    found = take_turns({"a": Recorded("a"), "b": Recorded("b")}, 2, 6, warm=2)
    rounds = [("a", 6), ("b", 6)]
    assert order == [("a", 2), ("b", 2), *rounds, *rounds, ("a", "closed"), ("b", "closed")]
    assert found == {"a": [{"line": 6}] * 2, "b": [{"line": 6}] * 2}
    dead = Side(sys.executable, "antigravity_that_is_not_there")
    dead.process.wait()
    with pytest.raises(RuntimeError, match="ended without an answer"):
        dead.measure("run")
    dead.close()


def test_the_pace_answers_after_the_steps_it_was_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("2\n1\n"))
    pace = sides.Pace()
    taken = 0
    while pace.goes_on():
        taken += 1
    assert taken == 3
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()] == ['{"steps": 2', '{"steps": 1']


def test_a_batch_of_ours_masks_what_follows_the_end_and_may_be_cut_to_the_longest_text():
    ids = torch.tensor([[5, 9, 0, 0], [5, 6, 9, 0]])  # 9 ends a text
    whole, cut = (batch_of(torch.zeros(2, 3, 4, 4), None, ids, shortest) for shortest in (False, True))
    assert whole["input_ids"].tolist() == ids.tolist()
    assert whole["attention_mask"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 0]]
    assert cut["input_ids"].tolist() == [[5, 9, 0], [5, 6, 9]]
    assert "ir_pixel_values" not in whole


def test_the_peer_gets_every_batch_in_parts(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("3\n"))
    images, ids = torch.arange(8).view(2, 4), torch.arange(8, 16).view(2, 4)
    parts = [(image.tolist(), text.tolist()) for image, text in Batches(images, ids, 2)]
    assert parts == [([0, 1], [8, 9]), ([2, 3], [10, 11]), ([4, 5], [12, 13]), ([6, 7], [14, 15]), *parts[:2]]


def test_captions_come_from_the_sample_and_too_few_are_told(tmp_path):
    write_captions(tmp_path, 3)
    assert (tmp_path / "captions.json").read_text().count('."') == 3
    with pytest.raises(RuntimeError, match="100000 are needed"):
        write_captions(tmp_path, 100_000)


def test_a_large_batch_is_compared_by_time_and_by_the_whole_peak():
    ours, theirs = {"median_ms": 2.0, "peak_mib": 90}, {"median_ms": 3.0, "peak_mib": 100}
    found = compared(ours, theirs)
    assert found == {"ours": ours, "open_clip": theirs, "times_as_fast": 1.5, "peak_share": 0.9}
    assert batch_mib(1) == (2 * 3 * 128 * 128 * 4 + 2 * 77 * 8 + 16) / 2**20


def test_recalls_that_differ_are_refused():
    def run(recall, seconds):
        return [{"seconds": seconds, "recalls": {"R@1": recall}, "extra_peak_mib": 1.2}]

    contest = Contest("open_clip", 100, 1)
    same = summary(contest, {"ours": run(0.5, 1.0), "open_clip": run(0.500001, 6.0)})
    assert same["times_faster"] == 6.0 and same["identical"]
    with pytest.raises(RuntimeError, match="R@1: 0.5 here, 0.51 of open_clip"):
        summary(contest, {"ours": run(0.5, 1.0), "open_clip": run(0.51, 6.0)})


def test_tables_show_ratios_and_leave_out_a_peer_that_was_not_measured():
    spent = {"pair": {"median_ms": 400.0}, "trimodal": {"median_ms": 800.0}, "open_clip": {"median_ms": 600.0}}
    contest = {"sides": spent, "times_as_fast": ratios(spent)}
    shown = step_table({"contests": dict.fromkeys(("same", "fused", "ships"), contest)})
    assert "| each as it ships | 400 | 600 | **1.50** | 800 | 1200 | **1.50** |" in shown
    side = {"median_ms": 1500.0, "peak_mib": 2000, "start_mib": 500}
    shown = batch_table({"contest": {"64": compared(side, side)}})
    assert "| 64 | 1.50 | 2,000 | 1.50 | 2,000 | **1.00** | 1.00 |" in shown
    assert "| all else at the peak, MiB | 1,500 |" in flat_table(
        {"flat": [{"rows": 64, "batch_mib": 1, "rest_mib": 1500}]}
    )
    alone = {"items": 25000, "texts": 25000, "ours": {"median_s": 10.0, "extra_peak_mib": 132}}
    assert "| 25,000 x 25,000 | 10.00 | 132 |  |  |  |  |" in recall_table({"contests": {"25000": alone}})
