"""One push of each kind while any request of it fails: afterwards main is old or new and whole, and a push goes on."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from random import Random

import pytest

from tests.made.hub_faults import FAULTS
from tests.training.release.made.faulty_pushes import LAST, attempt, begin, draw, prepare, sweep
from training.release.kinds import KINDS


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessPoolExecutor]:
    root = str(tmp_path_factory.mktemp("faults"))
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=begin, initargs=(root,)) as pool:
        yield pool


@pytest.mark.parametrize("fault", FAULTS)
def test_a_space_is_old_or_new_whatever_fails(client: ProcessPoolExecutor, tmp_path: Path, fault: str):
    folder, requests = client.submit(prepare, "space", str(tmp_path)).result()
    drawn = Random(fault).sample(range(requests), 4)
    for place in drawn:
        assert client.submit(attempt, "space", folder, fault, place, LAST).result() == ""


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_request_of_a_push_may_fail(client: ProcessPoolExecutor, tmp_path: Path, kind: str):
    tried, wrong = client.submit(sweep, kind, str(tmp_path), 0, 1).result()
    assert tried > 100
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_push_that_loads_all_anew_may_fail_anywhere(client: ProcessPoolExecutor, tmp_path: Path, kind: str):
    assert client.submit(draw, kind, str(tmp_path), 20).result() == (20, [])
