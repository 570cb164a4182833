"""A repository that was changed after its release fails `verify`, and none of its code runs."""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

import fusionrs_hf.auto  # noqa: F401 - so that save_pretrained writes the remote code
from fusionrs_hf.errors import InputError
from tests.made import tiny
from tests.made.hub_server import call
from training.release import door, plan, verify

CARD = "---\nlicense: cc0-1.0\n---\n# Card\n"


@pytest.fixture
def in_client(hub_client: ProcessPoolExecutor) -> Callable[..., Any]:
    return lambda function, *arguments, **options: hub_client.submit(function, *arguments, **options).result()


@pytest.fixture(scope="module")
def released(hub_client: ProcessPoolExecutor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP's folder, released as tampered/clip."""
    folder = tmp_path_factory.mktemp("saved") / "clip"
    tiny.clip_model().save_pretrained(folder)
    tiny.clip_processor().save_pretrained(folder)
    (folder / "README.md").write_text(CARD)
    hub_client.submit(door.push, "clip", folder, "tampered/clip", tag="v1").result()
    return folder


def change(name: str, content: bytes, repo_id: str = "tampered/clip", base: str = "v1") -> str:
    """In the client: puts a file beside or in the place of a release's, on a branch of its own; returns the commit."""
    from huggingface_hub import HfApi

    branch = hashlib.sha1(name.encode() + content).hexdigest()
    HfApi().create_branch(repo_id, branch=branch, revision=base, exist_ok=True)
    return HfApi().upload_file(path_or_fileobj=content, path_in_repo=name, repo_id=repo_id, revision=branch).oid


def read(name: str) -> bytes:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download("tampered/clip", name, revision="v1")).read_bytes()


def spy(marker: Path) -> bytes:
    return f"\nimport os; open({str(marker)!r}, 'w').write(os.environ.get('HF_TOKEN', 'no token'))\n".encode()


def test_a_release_is_verified_by_who_has_no_folder(in_client, released: Path):
    report = in_client(verify.verify, "tampered/clip", "v1")
    assert report.equal and report.kind == "clip"
    assert in_client(verify.verify, "tampered/clip", "v1", release=report.release[:12]).equal
    other = in_client(verify.verify, "tampered/clip", "v1", release="0123456789ab")
    assert "expected 0123456789ab" in other.differences[0]


@pytest.mark.parametrize("name", ["modeling_fusionrs_clip.py", "configuration_fusionrs_clip.py"])
def test_code_that_was_changed_is_named_and_never_runs(in_client, released: Path, tmp_path: Path, name: str):
    marker = tmp_path / "ran"
    commit = in_client(change, name, (released / name).read_bytes() + spy(marker))
    report = in_client(verify.verify, "tampered/clip", commit)
    assert f"{name}: content differs" in report.differences
    assert any(line.startswith(f"{name}: not the code of fusionrs-hf") for line in report.differences)
    assert not marker.exists()


def test_code_never_runs_where_the_statement_was_changed_with_it(in_client, released: Path, tmp_path: Path):
    name, marker = "modeling_fusionrs_clip.py", tmp_path / "ran"
    content = (released / name).read_bytes() + spy(marker)
    stated = json.loads(in_client(read, "verification.json"))
    stated["files"][name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    stated["release"] = plan.release_hash("clip", stated["files"])
    first = in_client(change, name, content)
    commit = in_client(change, "verification.json", json.dumps(stated).encode(), base=first)
    report = in_client(verify.verify, "tampered/clip", commit)
    assert [line.split(": ")[0] for line in report.differences] == [name]
    assert not marker.exists()


def test_a_file_that_was_put_beside_is_named_and_never_runs(in_client, released: Path, tmp_path: Path):
    marker = tmp_path / "ran"
    commit = in_client(change, "sitecustomize.py", spy(marker))
    report = in_client(verify.verify, "tampered/clip", commit)
    assert "sitecustomize.py: not part of the release" in report.differences
    assert not marker.exists()


def test_a_configuration_that_was_changed_is_not_loaded(in_client, released: Path):
    config = json.loads((released / "config.json").read_text())
    config["auto_map"]["AutoModel"] = "elsewhere/repository--modeling.Model"
    commit = in_client(change, "config.json", json.dumps(config).encode())
    assert in_client(verify.verify, "tampered/clip", commit).differences == ("config.json: content differs",)


def test_weights_that_were_changed_are_named_also_where_the_statement_was(in_client, released: Path, tmp_path: Path):
    weights = load_file(released / "model.safetensors")
    weights["logit_scale"] += 1
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    content = (tmp_path / "model.safetensors").read_bytes()
    commit = in_client(change, "model.safetensors", content)
    assert in_client(verify.verify, "tampered/clip", commit).differences == ("model.safetensors: content differs",)
    stated = json.loads(in_client(read, "verification.json"))
    stated["files"]["model.safetensors"] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    stated["release"] = plan.release_hash("clip", stated["files"])
    commit = in_client(change, "verification.json", json.dumps(stated).encode(), base=commit)
    report = in_client(verify.verify, "tampered/clip", commit)
    assert [line.split(": ")[0] for line in report.differences] == ["tensor logit_scale"]


def test_a_pickle_in_a_release_is_refused_by_its_name(in_client, released: Path):
    stated = json.loads(in_client(read, "verification.json"))
    content = b"\x80\x04."
    stated["files"]["pytorch_model.bin"] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    stated["release"] = plan.release_hash("clip", stated["files"])
    first = in_client(change, "pytorch_model.bin", content)
    commit = in_client(change, "verification.json", json.dumps(stated).encode(), base=first)
    assert in_client(verify.verify, "tampered/clip", commit).differences == ("pytorch_model.bin: no file of a clip",)


@pytest.mark.parametrize("content", [b"[]", b"5", b"", b"{", b'{"format": 1}', b'{"files": {"a": 1}}', b"[" * 9999])
def test_a_statement_that_is_none_is_one_line(in_client, released: Path, content: bytes):
    commit = in_client(change, "verification.json", content)
    with pytest.raises(InputError, match="verification.json is none of this version's"):
        in_client(verify.verify, "tampered/clip", commit)


def test_a_repository_without_a_release_is_one_line(in_client):
    in_client(call, "create_repo", "tampered/bare", exist_ok=True)
    with pytest.raises(InputError, match="the model has no verification.json: it was not released by `fusionrs push`"):
        in_client(verify.verify, "tampered/bare")


def test_the_child_has_neither_token_nor_other_secrets(monkeypatch, tmp_path: Path):
    from training.release.stranger import fresh_environment

    for name in ("HF_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "hf_abcdefghijklmnopqrstu")
    environment = fresh_environment(tmp_path)
    assert "hf_abcdefghijklmnopqrstu" not in environment.values()
    assert environment["HF_HUB_OFFLINE"] == "1" and environment["HOME"] == str(tmp_path)


def test_the_child_reaches_no_network():
    from training.release.contents import refuse_network

    with pytest.raises(OSError, match="socket.connect is refused"):
        refuse_network("socket.connect", ())
    refuse_network("open", ())


@pytest.mark.slow
@pytest.mark.every_change
def test_a_squashed_history_verifies_as_before_and_its_tag_can_go(in_client, released: Path):
    before = in_client(verify.verify, "tampered/clip")
    in_client(call, "delete_tag", "tampered/clip", tag="v1")
    in_client(call, "super_squash_history", "tampered/clip")
    after = in_client(verify.verify, "tampered/clip")
    assert after.equal and after.release == before.release and after.revision != before.revision
    assert len(in_client(call, "list_repo_commits", "tampered/clip")) == 1
    with pytest.raises(InputError, match="has no release tampered/clip at v1"):
        in_client(verify.verify, "tampered/clip", "v1")
