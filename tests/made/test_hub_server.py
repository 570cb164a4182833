"""The loopback Hub, as the unmodified huggingface_hub, datasets and transformers clients see it.

Functions without `test_` run in the client process (`hub_client`), whose environment names the Hub before any import.
"""

import hashlib
import json
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.made.hub_repository import git_oid
from tests.made.hub_server import LoopbackHub, call

SMALL, LARGE = b"two\nlines\n", bytes(range(256)) * 300


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a card, a small file in a subfolder and a file that goes by LFS."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "README.md").write_text("---\nlicense: cc0-1.0\n---\n# Card\n")
    (tmp_path / "notes" / "small.txt").write_bytes(SMALL)
    (tmp_path / "large.safetensors").write_bytes(LARGE)
    return tmp_path


def upload(folder: Path, repo_id: str, **options: Any) -> str:
    from huggingface_hub import HfApi

    HfApi().create_repo(repo_id, exist_ok=True, private=options.pop("private", None))
    return HfApi().upload_folder(folder_path=folder, repo_id=repo_id, **options).oid


def download(repo_id: str, revision: str | None = None) -> dict[str, bytes]:
    from huggingface_hub import snapshot_download

    root = Path(snapshot_download(repo_id, revision=revision))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_folder_with_small_and_lfs_files_comes_back_equal(hub_client: ProcessPoolExecutor, folder: Path):
    hub_client.submit(upload, folder, "tests/folder").result()
    found = hub_client.submit(download, "tests/folder").result()
    assert found.pop(".gitattributes")
    assert found == {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_tree_tells_git_and_lfs_ids_sizes_and_last_commits(hub_client: ProcessPoolExecutor, folder: Path):
    first = hub_client.submit(upload, folder, "tests/tree").result()
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    second = hub_client.submit(upload, folder, "tests/tree").result()
    entries = hub_client.submit(call, "list_repo_tree", "tests/tree", recursive=True, expand=True).result()
    entries = {entry.path: entry for entry in entries}
    assert set(entries) == {".gitattributes", "README.md", "large.safetensors", "notes", "notes/small.txt"}
    assert entries["notes/small.txt"].blob_id == git_oid(SMALL)
    assert entries["large.safetensors"].lfs["sha256"] == hashlib.sha256(LARGE).hexdigest()
    assert entries["large.safetensors"].size == len(LARGE)
    assert entries["README.md"].last_commit["oid"] == second
    assert entries["notes"].last_commit["oid"] == entries["large.safetensors"].last_commit["oid"] == first
    top = hub_client.submit(call, "list_repo_tree", "tests/tree").result()
    assert [entry.path for entry in top] == [".gitattributes", "README.md", "large.safetensors", "notes"]
    named = hub_client.submit(call, "get_paths_info", "tests/tree", ["notes", "notes/small.txt", "absent"]).result()
    assert [entry.path for entry in named] == ["notes", "notes/small.txt"]


def test_blob_ids_are_gits():
    assert git_oid(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"  # printed by `git hash-object`


def test_unchanged_files_are_neither_sent_nor_committed(
    hub: LoopbackHub, hub_client: ProcessPoolExecutor, folder: Path
):
    first = hub_client.submit(upload, folder, "tests/unchanged").result()
    before = len(hub.requests)
    assert hub_client.submit(upload, folder, "tests/unchanged").result() == first
    assert not [line for line in hub.requests[before:] if line.startswith("PUT") or "/commit/" in line]


def test_revisions_pin_and_history_lists_every_commit(hub_client: ProcessPoolExecutor, folder: Path):
    first = hub_client.submit(upload, folder, "tests/history", commit_message="one").result()
    (folder / "notes" / "small.txt").write_bytes(b"changed")
    second = hub_client.submit(upload, folder, "tests/history", commit_message="two").result()
    assert hub_client.submit(download, "tests/history", first).result()["notes/small.txt"] == SMALL
    assert hub_client.submit(download, "tests/history").result()["notes/small.txt"] == b"changed"
    commits = hub_client.submit(call, "list_repo_commits", "tests/history").result()
    assert [commit.title for commit in commits] == ["two", "one", "initial commit"]
    assert [commit.commit_id for commit in commits[:2]] == [second, first]


def test_branches_and_tags_move_apart_from_main(hub_client: ProcessPoolExecutor, folder: Path):
    first = hub_client.submit(upload, folder, "tests/refs").result()
    hub_client.submit(call, "create_tag", "tests/refs", tag="v1").result()
    hub_client.submit(call, "create_branch", "tests/refs", branch="feature/x").result()
    again = hub_client.submit(call, "create_branch", "tests/refs", branch="feature/x").result()
    assert again == ("HfHubHTTPError", 409)
    (folder / "notes" / "small.txt").write_bytes(b"on the branch")
    second = hub_client.submit(upload, folder, "tests/refs", revision="feature/x").result()
    refs = hub_client.submit(call, "list_repo_refs", "tests/refs").result()
    assert {ref.name: ref.target_commit for ref in refs.branches} == {"main": first, "feature/x": second}
    assert {ref.name: ref.target_commit for ref in refs.tags} == {"v1": first}
    assert hub_client.submit(download, "tests/refs", "v1").result()["notes/small.txt"] == SMALL
    assert hub_client.submit(download, "tests/refs", "feature/x").result()["notes/small.txt"] == b"on the branch"


def test_deleted_file_and_folder_are_gone_now_but_not_before(hub_client: ProcessPoolExecutor, folder: Path):
    first = hub_client.submit(upload, folder, "tests/delete").result()
    hub_client.submit(call, "delete_file", "large.safetensors", "tests/delete").result()
    hub_client.submit(call, "delete_folder", "notes", "tests/delete").result()
    assert set(hub_client.submit(download, "tests/delete").result()) == {".gitattributes", "README.md"}
    assert hub_client.submit(download, "tests/delete", first).result()["large.safetensors"] == LARGE
    absent = hub_client.submit(call, "delete_file", "absent.txt", "tests/delete").result()
    assert absent == ("RemoteEntryNotFoundError", 404)


def test_commit_on_an_outdated_parent_is_refused_whole(hub_client: ProcessPoolExecutor, folder: Path):
    first = hub_client.submit(upload, folder, "tests/parent").result()
    (folder / "notes" / "small.txt").write_bytes(b"changed")
    second = hub_client.submit(upload, folder, "tests/parent").result()
    options = {"path_or_fileobj": b"x", "path_in_repo": "x.txt", "repo_id": "tests/parent", "parent_commit": first}
    assert hub_client.submit(call, "upload_file", **options).result() == ("HfHubHTTPError", 412)
    assert hub_client.submit(call, "repo_info", "tests/parent").result().sha == second


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("repo_info", "tests/no-such"), ("RepositoryNotFoundError", 404)),
        (("list_repo_tree", "tests/errors", "no/folder"), ("RemoteEntryNotFoundError", 404)),
        (("hf_hub_download", "tests/errors", "absent.txt"), ("RemoteEntryNotFoundError", 404)),
        (("create_repo", "tests/errors"), ("HfHubHTTPError", 409)),
        (("delete_repo", "tests/no-such"), ("RepositoryNotFoundError", 404)),
    ],
)
def test_error_codes_become_the_clients_exceptions(hub_client: ProcessPoolExecutor, folder: Path, arguments, expected):
    hub_client.submit(upload, folder, "tests/errors").result()
    assert hub_client.submit(call, *arguments).result() == expected


def test_unknown_revision_is_told_from_unknown_file(hub_client: ProcessPoolExecutor, folder: Path):
    hub_client.submit(upload, folder, "tests/errors").result()
    found = hub_client.submit(call, "hf_hub_download", "tests/errors", "README.md", revision="0" * 40).result()
    assert found == ("RevisionNotFoundError", 404)
    assert not hub_client.submit(call, "file_exists", "tests/errors", "absent.txt").result()
    assert not hub_client.submit(call, "revision_exists", "tests/errors", "absent").result()
    assert hub_client.submit(call, "repo_exists", "tests/errors").result()


def test_writing_needs_the_token_and_private_reading_too(hub_client: ProcessPoolExecutor, folder: Path):
    hub_client.submit(upload, folder, "tests/private", private=True).result()
    assert hub_client.submit(call, "whoami").result()["name"] == "loopback"
    assert hub_client.submit(call, "whoami", token="hf_wrong").result() == ("HfHubHTTPError", 401)
    assert hub_client.submit(call, "create_repo", "tests/new", token="hf_wrong").result() == ("HfHubHTTPError", 401)
    assert hub_client.submit(call, "create_repo", "tests/new", token=False).result()[1] == 401
    hidden = hub_client.submit(call, "repo_info", "tests/private", token=False).result()
    assert hidden == ("RepositoryNotFoundError", 401)
    assert hub_client.submit(call, "repo_info", "tests/private").result().private


def test_kinds_of_one_name_are_apart_and_delete_removes_one(hub_client: ProcessPoolExecutor):
    for kind, more in (("model", {}), ("dataset", {}), ("space", {"space_sdk": "gradio"})):
        url = hub_client.submit(call, "create_repo", "tests/kinds", repo_type=kind, **more).result()
        assert (url.repo_type, url.repo_id) == (kind, "tests/kinds")
    hub_client.submit(call, "delete_repo", "tests/kinds", repo_type="dataset").result()
    exists = [
        hub_client.submit(call, "repo_exists", "tests/kinds", repo_type=kind).result()
        for kind in ("model", "dataset", "space")
    ]
    assert exists == [True, False, True]


def fetch(url: str, byte_range: str | None = None) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(url, headers={"Range": byte_range} if byte_range else {})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, dict(response.headers), response.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), b""


@pytest.mark.parametrize(
    ("byte_range", "start", "stop"),
    [
        ("bytes=10-19", 10, 20),
        ("bytes=76000-", 76000, 76800),
        ("bytes=-5", 76795, 76800),
        ("bytes=76799-99999", 76799, 76800),
    ],
)
def test_ranges_give_exactly_the_bytes_asked_for(
    hub: LoopbackHub, hub_client: ProcessPoolExecutor, folder: Path, byte_range, start, stop
):
    sha = hub_client.submit(upload, folder, "tests/range").result()
    status, headers, content = fetch(f"{hub.endpoint}/tests/range/resolve/main/large.safetensors", byte_range)
    assert (status, content) == (206, LARGE[start:stop])
    assert headers["Content-Range"] == f"bytes {start}-{stop - 1}/76800"
    assert headers["X-Repo-Commit"] == sha
    assert headers["ETag"] == headers["X-Linked-Etag"] == f'"{hashlib.sha256(LARGE).hexdigest()}"'


def test_range_past_the_end_is_416_with_the_size(hub: LoopbackHub, hub_client: ProcessPoolExecutor, folder: Path):
    hub_client.submit(upload, folder, "tests/range").result()
    status, headers, _ = fetch(f"{hub.endpoint}/tests/range/resolve/main/large.safetensors", "bytes=76800-")
    assert (status, headers["Content-Range"]) == (416, "bytes */76800")


def test_lfs_object_with_other_bytes_than_announced_is_refused(hub: LoopbackHub, hub_client: ProcessPoolExecutor):
    hub_client.submit(call, "create_repo", "tests/lfs", exist_ok=True).result()
    oid = hashlib.sha256(b"right").hexdigest()

    def send(method: str, path: str, body: bytes, token: str) -> int:
        request = urllib.request.Request(
            hub.endpoint + path, body, {"Authorization": f"Bearer {token}"}, method=method
        )
        try:
            with urllib.request.urlopen(request) as response:
                return response.status
        except urllib.error.HTTPError as error:
            return error.code

    assert send("PUT", f"/lfs/{oid}", b"right", hub.token) == 403  # nobody announced it
    batch = json.dumps({"operation": "upload", "objects": [{"oid": oid, "size": 5}]}).encode()
    assert send("POST", "/tests/lfs.git/info/lfs/objects/batch", batch, hub.token) == 200
    assert send("PUT", f"/lfs/{oid}", b"wrong", hub.token) == 400
    assert send("POST", f"/lfs/{oid}/verify", b"{}", hub.token) == 404
    line = json.dumps({"key": "lfsFile", "value": {"path": "a.bin", "algo": "sha256", "oid": oid, "size": 5}})
    payload = f'{{"key": "header", "value": {{"summary": "s"}}}}\n{line}\n'.encode()
    assert send("POST", "/api/models/tests/lfs/commit/main", payload, hub.token) == 400
    assert send("PUT", f"/lfs/{oid}", b"right", hub.token) == 200
    assert send("POST", f"/lfs/{oid}/verify", b"{}", hub.token) == 200
    assert send("POST", "/api/models/tests/lfs/commit/main", payload, hub.token) == 200


def push_rows(repo_id: str, rows: int) -> None:
    import numpy as np
    from datasets import Dataset, DatasetDict, Features, Image, Value

    features = Features({"n": Value("int64"), "captions": [Value("string")], "ir": Image()})
    pixels = [np.full((4, 4), n, np.uint8) for n in range(rows)]
    data = {"n": list(range(rows)), "captions": [[f"caption {n}"] for n in range(rows)], "ir": pixels}
    whole = Dataset.from_dict(data, features)
    DatasetDict(train=whole.select(range(1, rows)), test=whole.select(range(1))).push_to_hub(repo_id)


def pull_rows(repo_id: str, split: str, streaming: bool) -> list[tuple]:
    import numpy as np
    from datasets import load_dataset

    rows = load_dataset(repo_id, split=split, streaming=streaming)
    return [(row["n"], row["captions"], np.asarray(row["ir"]).tolist()) for row in rows]


@pytest.mark.parametrize("streaming", [False, True])
def test_dataset_pushed_to_the_hub_loads_equal(hub: LoopbackHub, hub_client: ProcessPoolExecutor, streaming: bool):
    hub_client.submit(push_rows, "tests/rows", 5).result()
    before = len(hub.requests)
    train = hub_client.submit(pull_rows, "tests/rows", "train", streaming).result()
    assert train == [(n, [f"caption {n}"], [[n] * 4] * 4) for n in range(1, 5)]
    assert [row[0] for row in hub_client.submit(pull_rows, "tests/rows", "test", streaming).result()] == [0]
    parquet = [line for line in hub.requests[before:] if line.startswith("GET") and ".parquet" in line]
    assert all("bytes=" in line for line in parquet) == streaming


def push_and_load_model(repo_id: str) -> bool:
    import torch
    from transformers import AutoModel, CLIPVisionConfig, CLIPVisionModel

    config = CLIPVisionConfig(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, image_size=8, patch_size=4
    )
    model = CLIPVisionModel(config)
    model.push_to_hub(repo_id)
    loaded = AutoModel.from_pretrained(repo_id).state_dict()
    return all(torch.equal(loaded[name], tensor) for name, tensor in model.state_dict().items())


def test_transformers_model_pushed_to_the_hub_loads_equal(hub_client: ProcessPoolExecutor):
    assert hub_client.submit(push_and_load_model, "tests/model").result()


def test_card_with_an_open_metadata_block_is_refused(hub_client: ProcessPoolExecutor, folder: Path):
    (folder / "README.md").write_text("---\nlicense: mit\n")
    with pytest.raises(ValueError, match="Invalid metadata"):
        hub_client.submit(upload, folder, "tests/card").result()


def test_repositories_outlive_the_server(hub_client: ProcessPoolExecutor, tmp_path: Path):
    with LoopbackHub(tmp_path) as first:
        body = json.dumps({"name": "kept", "organization": "tests"}).encode()
        request = urllib.request.Request(
            f"{first.endpoint}/api/repos/create", body, {"Authorization": f"Bearer {first.token}"}
        )
        urllib.request.urlopen(request).close()
    with LoopbackHub(tmp_path) as second:
        status, _, content = fetch(f"{second.endpoint}/tests/kept/resolve/main/.gitattributes")
    assert status == 200
    assert b"*.parquet filter=lfs" in content


def test_module_serves_from_the_command_line(tmp_path: Path):
    command = [sys.executable, "-m", "tests.made.hub_server", "--root", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as server:
        endpoint = server.stderr.readline().split()[0].removeprefix("HF_ENDPOINT=")
        status, headers, _ = fetch(f"{endpoint}/api/models/tests/absent")
        server.terminate()
    assert (status, headers["X-Error-Code"]) == (404, "RepoNotFound")
