"""Verbs that meet on one folder, and verbs that are killed: one order's exact result or a refusal, never a mixture."""

import random
import shutil
import signal

import pytest

from fusionrs_hf.errors import InputError
from fusionrs_hf.folder_manifest import require_finished
from tests.dataset_builder.made.verb_folders import OUTPUTS, VERBS, Stopped, contents, count_writes, run, write_home

pytest.importorskip("faiss")
READS_D = {"caption", "publish", "embed"}  # with each other, and with a build that is done already


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return write_home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def alone(home, tmp_path_factory):
    """What the home holds after one verb that nothing disturbed, and how often it writes."""
    results = {}
    for verb in VERBS:
        place = fresh(home, tmp_path_factory.mktemp(verb) / "home", verb)
        results[verb] = contents(place), count_writes(place, verb), contents(place)
    return results


def fresh(home, place, verb):
    """A copy of the home in which a verb has something to do."""
    shutil.copytree(home, place)
    if verb in ("build", "publish"):
        shutil.rmtree(place / OUTPUTS[verb])
    return place


def meet(home, tmp_path, alone, first, point, capfd):
    """Stops the first verb at a write, runs each verb beside it, and lets it go on."""
    place = fresh(home, tmp_path / f"{first}-{point}", first)
    stopped = Stopped(place, first, point, signal.SIGSTOP)
    try:
        assert stopped.wait_for_point()
        beside = {}
        for second in VERBS:
            before = contents(place)
            capfd.readouterr()
            code = run(place, second)
            if first in READS_D and second in READS_D - {first} | {"build"}:
                assert code == 0, (first, second, point)
                names = [name for name in alone[second][2] if name.startswith(f"{OUTPUTS[second]}/")]
                beside |= {} if second == "build" else {name: alone[second][2][name] for name in names}
            else:
                lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
                assert (code, len(lines)) == (2, 1), (first, second, point)
                assert "is in use by " in lines[0] or "is not finished: " in lines[0] or "has no data" in lines[0]
                assert contents(place) == before, (first, second, point)
        assert stopped.go_on() == 0
    finally:
        stopped.kill()
    assert contents(place) == alone[first][2] | beside


@pytest.mark.slow
@pytest.mark.every_change
@pytest.mark.parametrize("first", VERBS)
def test_what_meets_a_verb_at_work_is_refused_or_reads_what_stays(home, alone, tmp_path, first, capfd):
    meet(home, tmp_path, alone, first, alone[first][1] // 2, capfd)


@pytest.mark.slow
@pytest.mark.parametrize("first", VERBS)
def test_at_every_write_of_a_verb_all_verbs_are_refused_or_read_what_stays(home, alone, tmp_path, first, capfd):
    for point in range(2, alone[first][1] + 1):
        meet(home, tmp_path, alone, first, point, capfd)
        shutil.rmtree(tmp_path / f"{first}-{point}")


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_fifty_kills_of_a_verb_end_with_the_same_bytes_and_no_strays(home, alone, tmp_path, verb):
    before, writes, after = alone[verb]
    draw = random.Random(12)
    points = [*range(1, writes + 1)]
    points = sorted(draw.sample(points, 50)) if writes > 50 else [*points, *draw.choices(points, k=50 - writes)]
    for number, point in enumerate(points):
        place = fresh(home, tmp_path / str(number), verb)
        killed = Stopped(place, verb, point, signal.SIGKILL)
        assert killed.wait_for_point()
        killed.kill()
        read_as_whole(place, before, after)
        if number % 2:  # and once more on the way
            again = Stopped(place, verb, draw.randint(1, writes), signal.SIGKILL)
            again.wait_for_point()
            again.kill()
            read_as_whole(place, before, after)
        assert run(place, verb) == 0
        assert contents(place) == after, point
        shutil.rmtree(place)


def read_as_whole(place, before, after):
    """A folder that lets readers in holds what it held before or what it is to hold, and no part of both."""
    there = contents(place)
    for folder in ("D", "C", "I"):
        try:
            require_finished(place / folder)
        except InputError as error:
            assert "; finish it with: fusionrs " in str(error)
            continue
        data = {
            name: digest for name, digest in there.items() if name.startswith(f"{folder}/data/") and "/." not in name
        }
        assert data in [
            {n: d for n, d in state.items() if n.startswith(f"{folder}/data/")} for state in (before, after)
        ]
