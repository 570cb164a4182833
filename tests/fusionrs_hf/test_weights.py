import json
import re
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from fusionrs_hf.encoders import load_clip
from fusionrs_hf.errors import InputError
from fusionrs_hf.translator import load_pipeline
from fusionrs_hf.weights import (
    check_archive,
    check_folder,
    check_model,
    check_tensors,
    check_tokenizer_files,
    load_tensors,
    load_tokenizer,
    loading,
    safetensors_header,
    safetensors_metadata,
)
from tests.made import tiny


def test_plain_tensors_pass_and_buffers_of_whole_numbers_with_them():
    check_tensors(
        {
            "a": torch.ones(2, 3),
            "b": torch.ones(2, 3).T,
            "c": torch.ones(3, dtype=torch.bfloat16),
            "d": torch.tensor(0.5, dtype=torch.float64),
            "embeddings.position_ids": torch.arange(4),
            "empty": torch.ones(0),
        },
        "made",
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (torch.tensor([1.0, float("nan")]), "holds NaN or infinity"),
        (torch.tensor([float("-inf")], dtype=torch.float16), "holds NaN or infinity"),
        (torch.tensor([1e300], dtype=torch.float64), "holds NaN or infinity"),
        (torch.ones(2, dtype=torch.complex64), "is of torch.complex64"),
        (torch.ones(2, dtype=torch.int8), "is of torch.int8"),
        (torch.ones(2, dtype=torch.bool), "is of torch.bool"),
        (torch.ones(2).to(torch.float8_e4m3fn), "is of torch.float8_e4m3fn"),
        (torch.ones(2, 2).to_sparse(), "is torch.sparse_coo"),
        (torch.ones(1).expand(1000, 1000), "repeats its memory"),
        (torch.ones(2, device="meta"), "is meta"),
        (torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "is quantised"),
        ([1.0], "holds list under 'x.weight'"),
        (None, "holds NoneType"),
    ],
)
def test_any_other_tensor_is_refused_by_name(value, said):
    with pytest.raises(InputError, match=f"^made.*x.weight.*{said}|^made {said}"):
        check_tensors({"a": torch.ones(1), "x.weight": value}, "made")


def test_a_name_that_is_no_text_is_refused():
    with pytest.raises(InputError, match="under 5, expected tensors by name"):
        check_tensors({5: torch.ones(1)}, "made")


def test_a_loaded_model_is_finite():
    model = torch.nn.Linear(2, 2)
    check_model(model, "made")
    model.bias.data[1] = float("nan")
    with pytest.raises(InputError, match="made: 'bias' holds NaN"):
        check_model(model, "made")


def test_a_folder_is_refused_by_the_headers_of_its_files(tmp_path):
    save_file({"a": torch.ones(2), "x.position_ids": torch.arange(2)}, tmp_path / "model.safetensors")
    check_folder(tmp_path)
    save_file({"a.weight": torch.ones(2, dtype=torch.int64)}, tmp_path / "more.safetensors")
    with pytest.raises(InputError, match=r"more.safetensors holds 'a.weight' as 'I64'"):
        check_folder(tmp_path)


@pytest.mark.parametrize("data", [b"", b"\xff" * 8, (5).to_bytes(8, "little") + b"[1,2]", b"\x02" + bytes(7) + b"{"])
def test_a_header_that_is_none_is_told(tmp_path, data):
    (tmp_path / "a.safetensors").write_bytes(data)
    with pytest.raises(InputError, match="is no safetensors file"):
        safetensors_header(tmp_path / "a.safetensors")


def test_tensors_that_a_training_kept_are_read_with_their_counts(tmp_path):
    file = tmp_path / "a.safetensors"
    save_file({"0": torch.ones(2), "step": torch.tensor([7])}, file, {"format": "pt"})
    assert load_tensors(file, counts=("step",))["step"].item() == 7
    assert safetensors_metadata(file) == {"format": "pt"}
    with pytest.raises(InputError, match="a.safetensors: 'step' is of torch.int64"):
        load_tensors(file)
    save_file({"0": torch.tensor([float("nan")])}, file)
    with pytest.raises(InputError, match="a.safetensors: '0' holds NaN"):
        load_tensors(file)
    file.write_bytes(file.read_bytes()[:-1])  # the header is whole
    with pytest.raises(InputError, match="a.safetensors cannot be loaded as tensors"):
        load_tensors(file)


def test_an_archive_that_unpacks_to_much_more_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(1_000_000))
    with pytest.raises(InputError, match="unpacks to 1000000 bytes"):
        check_archive(tmp_path / "a.pt")
    torch.save({"a": torch.ones(1000)}, tmp_path / "b.pt")
    check_archive(tmp_path / "b.pt")


def test_what_a_library_raises_becomes_one_line_and_a_missing_file_stays():
    with (
        pytest.raises(InputError, match=r"^x cannot be loaded as a CLIP \(first\); bring it again$"),
        loading("x", "a CLIP"),
    ):
        raise RuntimeError("first\nsecond")
    with pytest.raises(FileNotFoundError), loading("x", "a CLIP"):
        raise FileNotFoundError
    with pytest.raises(InputError, match="^mine$"), loading("x", "a CLIP"):
        raise InputError("mine")


@pytest.mark.parametrize("name", ["nothere", "runs/not/here", "./nothere", "/nothere", "a b/c", ""])
def test_what_is_no_folder_and_no_hub_id_is_told_before_the_network_is_asked(name):
    for load in (load_clip, load_tokenizer, load_pipeline):
        with pytest.raises(InputError, match=f"there is no folder '{re.escape(name)}'; give one, or a Hub id such as"):
            load(name)


def test_what_the_hub_does_not_give_says_what_was_tried():
    said = "there is no folder owner/name, and the Hub did not give a CLIP of that name (no such host)"
    with pytest.raises(InputError, match=re.escape(said)), loading(("a folder", "owner/name"), "a CLIP"):
        raise OSError("no such host")


def test_a_tokenizer_is_tried(tmp_path):
    tiny.tokenizer().save_pretrained(tmp_path)
    assert len(load_tokenizer(str(tmp_path))) == len(tiny.tokenizer())
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="cannot be loaded as a tokenizer"):
        load_tokenizer(str(tmp_path))


def test_a_tokenizer_that_names_code_is_refused_and_nothing_of_it_runs(tmp_path):
    tiny.tokenizer().save_pretrained(tmp_path)
    config = tmp_path / "tokenizer_config.json"
    config.write_text(
        json.dumps(json.loads(config.read_text()) | {"auto_map": {"AutoTokenizer": ["mine.Mine", None]}})
    )
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(InputError, match="names code of its own"):
        check_tokenizer_files(tmp_path)
    with pytest.raises(InputError, match="names code of its own"):
        load_tokenizer(str(tmp_path))
    assert not (tmp_path / "ran").exists()
