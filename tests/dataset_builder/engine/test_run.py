import functools
import os
import signal
import subprocess
import sys
import time
import tracemalloc

import pytest

from dataset_builder.engine.run import run_shards, run_tasks
from dataset_builder.engine.tasks import Launch, TaskFile, finished, results
from fusionrs_hf.errors import InputError


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


def test_a_plan_is_read_back_as_it_was_written_with_tuples_for_lists(tmp_path):
    tasks = [(0, "a\u2028b", 1.5), (1, ["x", ("y", None)])]
    TaskFile.write(tmp_path / "plan", iter(tasks))
    plan = TaskFile(tmp_path / "plan")
    assert len(plan) == 2
    assert list(plan) == list(plan) == [(0, "a\u2028b", 1.5), (1, ("x", ("y", None)))]


class Nothing:
    def __call__(self, task):
        return None


def test_neither_writing_a_plan_nor_looking_for_what_is_left_of_it_holds_the_tasks(tmp_path):
    tracemalloc.start()
    TaskFile.write(tmp_path / "plan", ((number, "name" * 250) for number in range(5000)))  # 5 MB
    plan = TaskFile(tmp_path / "plan")
    run_tasks(plan, Nothing, 1, tmp_path / "manifest", launch=Launch(rank=4999, world_size=5000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert finished(tmp_path / "manifest") == {4999}
    assert peak < 1_000_000


def test_ranks_share_the_tasks_without_overlap_and_any_other_run_does_the_rest(tmp_path):
    log, manifest = tmp_path / "log", tmp_path / "manifest"
    make = functools.partial(Squarer, log)
    for rank in (2, 0):
        run_tasks(range(8), make, 1, manifest, launch=Launch(rank=rank, world_size=3))
    assert finished(manifest) == {0, 2, 3, 5, 6}
    run_tasks(range(8), make, 1, manifest)
    assert list(results(manifest, 8)) == [{"square": number**2} for number in range(8)]
    assert [word for word, _ in lines(log) if word != "built"] == list("25036147")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"engine": "dask"}, "one of local, ray, got 'dask'"),
        ({"ray_address": "auto"}, "add --engine ray"),
        ({"gpus_per_worker": 1}, "add --engine ray"),
        ({"engine": "ray", "gpus_per_worker": -1}, "0 or more, got -1"),
        ({"rank": 1}, "go together"),
        ({"world_size": 2}, "go together"),
        ({"rank": 2, "world_size": 2}, "0 to 1 in a world of 2, got 2"),
        ({"rank": 0, "world_size": 2, "finish": True}, "neither --finish nor --engine ray"),
        ({"rank": 0, "world_size": 2, "engine": "ray"}, "neither --finish nor --engine ray"),
    ],
)
def test_launches_that_cannot_be_are_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        Launch(**options)


def test_without_ray_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r'pip install "fusionrs-hf\[ray\]"'):
        run_tasks([1], Nothing, 1, tmp_path, launch=Launch(engine="ray"))


class Sleeper:
    """Tells its process and stays at work."""

    def __init__(self, log):
        self.log = log

    def __call__(self, number):
        with open(self.log, "a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(60)


def running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_when_the_main_process_is_killed_its_workers_end(tmp_path):
    log = tmp_path / "log"
    code = (
        "import functools, pathlib, sys\n"
        "from dataset_builder.engine.run import run_shards\n"
        "from tests.dataset_builder.engine.test_run import Sleeper\n"
        "if __name__ == '__main__':\n"
        f"    log = pathlib.Path({str(log)!r})\n"
        "    run_shards(range(4), functools.partial(Sleeper, log), 2, log.with_name('manifest'))\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, ["", *sys.path]))}
    main = subprocess.Popen([sys.executable, script], stderr=subprocess.DEVNULL, env=environment)
    end = time.monotonic() + 30
    while (not log.exists() or len(log.read_text().split()) < 2) and time.monotonic() < end:
        time.sleep(0.01)
    main.kill()
    main.wait()
    workers = [int(pid) for pid in log.read_text().split()]
    while any(map(running, workers)) and time.monotonic() < end:
        time.sleep(0.01)
    assert len(workers) == 2 and not any(map(running, workers))


NOTED = """
import os, pathlib
from dataset_builder.engine.run import run_tasks
from dataset_builder.engine.tasks import results

class Asks:
    def __call__(self, name):
        import noted
        return [os.environ.get(name), os.getpid()]

if __name__ == "__main__":
    here = pathlib.Path(__file__).parent
    for name in ("FIRST", "SECOND"):
        os.environ[name] = "set"
        run_tasks([name] * 8, Asks, 2, here / name, modules=["noted"])
        found = list(results(here / name, 8))
        print([value for value, _ in found] == ["set"] * 8, os.getpid() in {pid for _, pid in found})
        del os.environ[name]
"""


@pytest.mark.skipif(sys.platform == "darwin", reason="there each process is started by itself")
def test_processes_import_once_for_all_and_see_the_environment_of_today(tmp_path):
    log = tmp_path / "log"
    (tmp_path / "noted.py").write_text(f"with open({str(log)!r}, 'a') as file:\n    file.write('x')\n")
    (tmp_path / "script.py").write_text(NOTED)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, ["", *sys.path])])}
    command = [sys.executable, tmp_path / "script.py"]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment, cwd=tmp_path).stdout
    assert told.splitlines() == ["True False"] * 2
    assert log.read_text() == "x"


class Elsewhere(Squarer):
    """Adds which GPUs the process may use."""

    def __call__(self, number):
        return super().__call__(number) | {"gpus": os.environ.get("CUDA_VISIBLE_DEVICES"), "pid": os.getpid()}


@pytest.fixture(scope="module")
def ray():
    """A Ray of two processors and two GPUs that are not there: it only counts them."""
    ray = pytest.importorskip("ray")
    ray.init("local", num_cpus=2, num_gpus=2, include_dashboard=False, logging_level="warning")
    yield ray
    ray.shutdown()


@pytest.mark.slow
class TestRay:
    def test_actors_build_a_worker_once_and_do_every_task(self, ray, tmp_path):
        log = tmp_path / "log"
        make = functools.partial(Elsewhere, log)
        run_tasks(range(9), make, None, tmp_path / "manifest", launch=Launch(engine="ray"))
        found = list(results(tmp_path / "manifest", 9))
        assert [result["square"] for result in found] == [number**2 for number in range(9)]
        built = [pid for word, pid in lines(log) if word == "built"]
        assert len(built) == len(set(built)) <= 2 and str(os.getpid()) not in built

    def test_an_actor_has_the_gpus_it_asks_for(self, ray, tmp_path):
        launch = Launch(engine="ray", gpus_per_worker=1)
        run_tasks(range(6), functools.partial(Elsewhere, tmp_path / "log"), None, tmp_path / "manifest", launch=launch)
        gpus = {(result["pid"], result["gpus"]) for result in results(tmp_path / "manifest", 6)}
        assert sorted(device for _, device in gpus) in (["0"], ["1"], ["0", "1"])

    def test_actors_without_room_are_left_out(self, ray, tmp_path):
        launch = Launch(engine="ray", gpus_per_worker=2)
        run_tasks(range(5), functools.partial(Elsewhere, tmp_path / "log"), 3, tmp_path / "manifest", launch=launch)
        assert {result["gpus"] for result in results(tmp_path / "manifest", 5)} == {"0,1"}

    def test_more_gpus_than_there_are_is_an_error(self, ray, tmp_path):
        with pytest.raises(InputError, match="2 CPUs and 2 GPUs, but a worker asks for 1 CPU and 4 GPUs"):
            run_tasks([1], Nothing, None, tmp_path, launch=Launch(engine="ray", gpus_per_worker=4))

    def test_an_error_reaches_the_caller_and_a_killed_actor_is_reported(self, ray, tmp_path):
        launch, manifest = Launch(engine="ray"), tmp_path / "manifest"
        with pytest.raises(ValueError, match="^-7 is negative$"):
            run_tasks([1, -7], functools.partial(Squarer, tmp_path / "log"), 2, manifest, launch=launch)
        make = functools.partial(Squarer, tmp_path / "log", die_at=5)
        with pytest.raises(ChildProcessError, match="run the same command again to continue"):
            run_tasks(range(6), make, 2, tmp_path / "died", launch=launch)
        run_tasks(range(6), make, 2, tmp_path / "died", launch=launch)
        assert finished(tmp_path / "died") == set(range(6))
