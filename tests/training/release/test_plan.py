import json
from pathlib import Path

import pytest

from fusionrs_hf.atomic import write_json
from fusionrs_hf.errors import InputError
from fusionrs_hf.folder_manifest import MANIFEST
from training.release.kinds import KINDS
from training.release.plan import Plan, choose_files, code_of, files_of, list_entries, release_hash

CODE = "from .processing_two import two\nimport os\n"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps({"auto_map": {"AutoModel": "modeling_one.Model"}}))
    (tmp_path / "modeling_one.py").write_text(CODE)
    (tmp_path / "processing_two.py").write_text("two = 2\n")
    for name in ("README.md", "model.safetensors", "training_args.bin", "LICENSE-CC0"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def test_code_that_configurations_name_goes_up_with_what_it_imports(model):
    assert code_of(model, ("config.json",)) == {"modeling_one.py", "processing_two.py"}
    names = choose_files(KINDS["clip"], model)
    assert names == [
        "LICENSE-CC0",
        "README.md",
        "config.json",
        "model.safetensors",
        "modeling_one.py",
        "processing_two.py",
    ]


@pytest.mark.parametrize("stray", ["scratch.py", "notes.txt", "pytorch_model.bin", "data/rows.csv", "secrets.json"])
def test_a_stray_is_refused_by_its_name(model, stray):
    (model / stray).parent.mkdir(exist_ok=True)
    (model / stray).write_text("x")
    with pytest.raises(InputError, match=f"{stray} is a stray"):
        choose_files(KINDS["clip"], model)


def test_what_a_manifest_does_not_list_is_a_stray_whatever_its_name(model):
    listed = sorted(path.name for path in model.iterdir())
    write_json(model / MANIFEST, {"verb": "train clip", "finished": True, "files": listed, "format": 1})
    assert "model.safetensors" in choose_files(KINDS["clip"], model)
    (model / "vocab.json").write_text("{}")
    with pytest.raises(InputError, match="vocab.json is a stray"):
        choose_files(KINDS["clip"], model)
    (model / "vocab.json").unlink()
    (model / "processing_two.py").unlink()
    with pytest.raises(InputError, match="processing_two.py is missing, which `fusionrs train clip` wrote"):
        choose_files(KINDS["clip"], model)


def test_links_are_refused_also_in_the_place_of_folders(model, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "secret").write_text("secret")
    (model / "LICENSE-x").symlink_to(elsewhere / "secret")
    with pytest.raises(InputError, match="LICENSE-x is a link"):
        choose_files(KINDS["clip"], model)


def test_the_hash_is_of_names_and_contents(model):
    entries = list_entries(model, ["README.md", "config.json"])
    first = release_hash("clip", files_of(entries))
    assert release_hash("vlm", files_of(entries)) != first
    assert release_hash("clip", files_of(reversed(entries))) == first
    (model / "README.md").write_text("y")
    assert release_hash("clip", files_of(list_entries(model, ["README.md", "config.json"]))) != first
    plan = Plan("clip", model, entries, first, "a/b", "v1")
    assert plan.lines()[0].split() == ["1", "README.md"] and plan.branch == f"release/{first[:16]}"
