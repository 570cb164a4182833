import functools
import os
import signal

import pytest

from dataset_builder.engine import run_shards


class Squarer:
    """Squares numbers; leaves one line a build and one a task in a log, and may kill its process once."""

    def __init__(self, log, die_at=None):
        self.log, self.die_at = log, die_at
        self.note("built")

    def note(self, line):
        with open(self.log, "a") as file:
            file.write(f"{line} {os.getpid()}\n")

    def __call__(self, number):
        if number == self.die_at and not (flag := self.log.with_suffix(".died")).exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if number < 0:
            raise ValueError(f"{number} is negative")
        self.note(number)
        return {"square": number**2}


def lines(log):
    return [line.split() for line in log.read_text().splitlines()]


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_task_order_and_a_worker_is_built_once_per_process(tmp_path, workers):
    log = tmp_path / "log"
    results = run_shards(range(8), functools.partial(Squarer, log), workers, tmp_path / "manifest")
    assert results == [{"square": number**2} for number in range(8)]
    built = [pid for word, pid in lines(log) if word == "built"]
    assert len(built) == len(set(built)) <= workers
    assert (built == [str(os.getpid())]) is (workers == 1)


def test_finished_tasks_are_not_run_again(tmp_path):
    log = tmp_path / "log"
    make = functools.partial(Squarer, log)
    with pytest.raises(ValueError, match="-1 is negative"):
        run_shards([3, 4, -1], make, 1, tmp_path / "manifest")
    assert run_shards([3, 4, 5], make, 1, tmp_path / "manifest") == [{"square": 9}, {"square": 16}, {"square": 25}]
    assert [word for word, _ in lines(log) if word != "built"] == ["3", "4", "5"]


def test_nothing_left_to_do_builds_no_worker(tmp_path):
    log = tmp_path / "log"
    make = functools.partial(Squarer, log)
    first = run_shards([1, 2], make, 1, tmp_path / "manifest")
    assert run_shards([1, 2], make, 2, tmp_path / "manifest") == first
    assert [word for word, _ in lines(log)].count("built") == 1


def test_a_killed_worker_is_reported_and_the_run_continues(tmp_path):
    log = tmp_path / "log"
    make = functools.partial(Squarer, log, die_at=5)
    with pytest.raises(ChildProcessError, match="run the same command again to continue"):
        run_shards(range(6), make, 2, tmp_path / "manifest")
    assert run_shards(range(6), make, 2, tmp_path / "manifest") == [{"square": number**2} for number in range(6)]
    assert sorted(path.name for path in (tmp_path / "manifest").iterdir()) == [f"{i:06d}.json" for i in range(6)]


def test_an_error_in_a_process_reaches_the_caller(tmp_path):
    with pytest.raises(ValueError, match="-7 is negative"):
        run_shards([1, -7], functools.partial(Squarer, tmp_path / "log"), 2, tmp_path / "manifest")


def test_zero_workers_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 1, got 0"):
        run_shards([1], Squarer, 0, tmp_path)
