import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from fusionrs_hf.errors import InputError
from training.release.leaks import check_leaks
from training.release.plan import list_entries

TOKEN = "hf_" + "aB3" * 10


def check(folder: Path, own: dict[str, bytes] | None = None) -> None:
    check_leaks(list_entries(folder, [path.name for path in folder.iterdir()]), own or {}, folder)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (f"token = {TOKEN}", "Hugging Face token"),
        ("api_key: abcd-1234-efgh", "value of a key"),
        ("https://me:pass@host.example/x", "password in a URL"),
        ("-----BEGIN PRIVATE KEY-----", "private key"),
        ("see /home/somebody/data/x.parquet", "path of a machine"),
        ("trained in ~/runs/clip", "path of a machine"),
        ("C:\\Users\\me\\clip", "path of a machine"),
        ("file:///srv/x", "path of a machine"),
    ],
)
def test_a_leak_is_named_by_file_line_and_kind_and_not_repeated(tmp_path, line, kind):
    (tmp_path / "README.md").write_text(f"# Card\n\nfine\n{line}\n")
    with pytest.raises(InputError, match=f"README.md line 4 holds a {kind}") as caught:
        check(tmp_path)
    assert TOKEN not in str(caught.value) and "abcd-1234" not in str(caught.value)


def test_the_folder_s_own_place_is_found_wherever_it_lies(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"text_config": {"_name_or_path": str(tmp_path)}}))
    with pytest.raises(InputError, match="config.json line 1 holds a path of"):
        check(tmp_path)


def test_texts_in_parquet_and_metadata_of_weights_are_read(tmp_path):
    table = pa.table({"caption": [["a field"], [f"key {TOKEN}"]], "n": [1, 2]})
    pq.write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(InputError, match="rows.parquet column caption, rows 0 to 1, holds a Hugging Face token"):
        check(tmp_path)
    (tmp_path / "rows.parquet").unlink()
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors", {"from": "/home/somebody/run"})
    with pytest.raises(InputError, match="model.safetensors, metadata, holds a path of a machine"):
        check(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "https://host.example/home/x and RGB/IR, and/or, 1/2",
        '{"eos_token": "</s>", "auto_map": {"AutoModel": "modeling.Model"}}',
        "runs/demo/clip, data/train-*.parquet, ./here, a/b",
        "x = a / b  # see /usr",
    ],
)
def test_what_tells_nothing_of_a_machine_passes(tmp_path, text):
    (tmp_path / "README.md").write_text(text)
    check(tmp_path)


def test_a_program_may_read_a_token_and_hold_none(tmp_path):
    (tmp_path / "app.py").write_text("login(token=os.environ['HF_TOKEN'], api_key=read_key())\nroot = '/data/kept'\n")
    check(tmp_path)
    (tmp_path / "app.py").write_text("client = Client(api_key='abcd-1234-efgh')\n")
    with pytest.raises(InputError, match="app.py line 1 holds a value of a key"):
        check(tmp_path)


def test_own_code_passes_and_a_copy_that_was_changed_does_not(tmp_path):
    code = f"EXAMPLE = '{TOKEN}'\n".encode()
    (tmp_path / "modeling_x.py").write_bytes(code)
    check(tmp_path, {"modeling_x.py": code})
    with pytest.raises(InputError):
        check(tmp_path, {"modeling_x.py": code + b"\n"})


def test_words_of_a_vocabulary_are_no_secrets(tmp_path):
    (tmp_path / "vocab.json").write_text('{"password": 17, "secret": 2345, "/home/": 9}')
    check(tmp_path)
