"""Rows that are taken down leave the Hub: by another release, and from its history by a squash."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dataset_builder.publish.takedown import remove
from tests.dataset_builder.made.rights_rows import build_rows, write_source
from tests.made.hub_server import call
from training.release import door, verify


@pytest.fixture
def in_client(hub_client: ProcessPoolExecutor) -> Callable[..., Any]:
    return lambda function, *arguments, **options: hub_client.submit(function, *arguments, **options).result()


def ids(repo_id: str, revision: str) -> set[str]:
    """In the client: the rows that a revision holds."""
    from datasets import load_dataset

    return {name for rows in load_dataset(repo_id, revision=revision).values() for name in rows["sample_id"]}


@pytest.mark.slow
@pytest.mark.every_change
def test_rows_taken_down_are_in_no_commit_after_a_squash(in_client, tmp_path: Path):
    out, repo_id = tmp_path / "out", "takedown/rows"
    tiles = {0: ("train", "CC0-1.0"), 1: ("train", "CC0-1.0"), 2: ("validation", "CC0-1.0"), 3: ("test", "CC0-1.0")}
    build_rows(write_source(tmp_path / "source", tiles), out)
    in_client(door.push, "dataset", out, repo_id)
    (first,) = (ref.name for ref in in_client(call, "list_repo_refs", repo_id, repo_type="dataset").tags)
    before = in_client(ids, repo_id, first)
    gone = sorted(before)[0]

    remove(out, {gone: "asked for"}, workers=1)
    in_client(door.push, "dataset", out, repo_id)
    assert in_client(ids, repo_id, "main") == before - {gone} and gone in in_client(ids, repo_id, first)

    in_client(call, "delete_tag", repo_id, tag=first, repo_type="dataset")
    in_client(call, "super_squash_history", repo_id, repo_type="dataset")
    commits = in_client(call, "list_repo_commits", repo_id, repo_type="dataset")
    assert len(commits) == 1 and gone not in in_client(ids, repo_id, commits[0].commit_id)
    assert in_client(verify.verify, repo_id).equal
