"""Releases go up through `push` and come back through `verify`, on the loopback Hub and with real clients."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

import fusionrs_hf.auto  # noqa: F401 - so that save_pretrained writes the remote code
from dataset_builder.publish.copies import publish_dataset
from dataset_builder.schema import FEATURES
from dataset_builder.shards.parquet import file_sha256
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.rights_rows import build_rows, write_source
from tests.made import tiny, tiny_vlm
from tests.made.hub_server import call
from tests.training.release.made.folders import CARD, space, write_split
from training.release import checks, door, verify
from training.release.kinds import KINDS
from training.release.pictures import PICTURE
from training.release.plain_clip import write_plain_clip

PUBLIC = "https://hub.example"


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Three rows to train, one to test, one that was quarantined."""
    folder = tmp_path / "dataset"
    (folder / "data").mkdir(parents=True)
    (folder / "quarantine").mkdir()
    (folder / "README.md").write_text(CARD)
    write_split(folder, "train", range(3))
    write_split(folder, "test", range(3, 4))
    shutil.copy(folder / "data" / "test-00000-of-00001.parquet", folder / "quarantine" / "rows.parquet")
    return folder


@pytest.fixture(scope="module")
def saved_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "clip"
    tiny.clip_model(feature_norm=True, pooling="grid").save_pretrained(folder)
    tiny.clip_processor().save_pretrained(folder)
    (folder / "README.md").write_text(CARD)
    (folder / "training_args.bin").write_bytes(b"a pickle")
    return folder


@pytest.fixture
def clip(saved_clip: Path, tmp_path: Path) -> Path:
    return shutil.copytree(saved_clip, tmp_path / "clip")


@pytest.fixture
def in_client(hub_client: ProcessPoolExecutor) -> Callable[..., Any]:
    """Calls a function in the process that knows the loopback Hub."""
    return lambda function, *arguments, **options: hub_client.submit(function, *arguments, **options).result()


@pytest.fixture
def files_on_hub(in_client) -> Callable[[str, str], set[str]]:
    return lambda repo_id, kind: (
        set(in_client(call, "list_repo_files", repo_id, repo_type=kind))
        - {
            ".gitattributes",
            "verification.json",
        }
    )


def test_dataset_comes_back_equal_without_its_quarantine(in_client, files_on_hub, dataset: Path):
    url = in_client(door.push, "dataset", dataset, "release/rows")
    report = in_client(verify.verify, "release/rows")
    assert report.differences == ()
    assert url.endswith(f"/datasets/release/rows/commit/{report.revision}")
    facts = 2 * (len(FEATURES) + 2)  # of train and test: each column, the features, the row count
    assert report.compared == facts + 4
    names = {"README.md", PICTURE, "data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"}
    assert files_on_hub("release/rows", "dataset") == names


def test_second_release_removes_shards_of_the_first_and_an_equal_one_commits_nothing(
    in_client, files_on_hub, dataset: Path
):
    in_client(door.push, "dataset", dataset, "release/again")
    (dataset / "data" / "train-00000-of-00001.parquet").rename(dataset / "data" / "train-00000-of-00002.parquet")
    second = in_client(door.push, "dataset", dataset, "release/again")
    found = files_on_hub("release/again", "dataset")
    assert found == {"README.md", PICTURE, "data/train-00000-of-00002.parquet", "data/test-00000-of-00001.parquet"}
    assert in_client(door.push, "dataset", dataset, "release/again") == second


def test_release_on_a_branch_leaves_main_alone(in_client, files_on_hub, dataset: Path):
    in_client(door.push, "dataset", dataset, "release/branch", revision="next")
    assert files_on_hub("release/branch", "dataset") == set()
    report = in_client(verify.verify, "release/branch", "next")
    assert report.equal
    info = in_client(call, "repo_info", "release/branch", repo_type="dataset", revision="next")
    assert report.revision == info.sha


def test_clip_comes_back_equal_where_the_project_is_not_installed(in_client, files_on_hub, clip: Path):
    in_client(door.push, "clip", clip, "release/clip")
    report = in_client(verify.verify, "release/clip")
    assert report.differences == ()
    tensors = tiny.clip_model(feature_norm=True, pooling="grid")
    names = {name for name, _ in (*tensors.named_parameters(), *tensors.named_buffers())}
    files = files_on_hub("release/clip", "model")
    # and configuration, processor, tokenizer, chat template; embeddings of three kinds
    assert report.compared == len(names) + 4 + 3 + len(files)
    assert "training_args.bin" not in files_on_hub("release/clip", "model")


def test_code_that_needs_the_project_installed_is_refused(hub, in_client, clip: Path):
    modeling = clip / "modeling_fusionrs_clip.py"
    modeling.write_text(f"{modeling.read_text()}\nimport fusionrs_hf.errors\n")
    before = len(hub.requests)
    with pytest.raises(InputError, match="does not load where this package is not installed.*fusionrs_hf"):
        in_client(door.push, "clip", clip, "release/needy")
    assert len(hub.requests) == before


@pytest.mark.slow
@pytest.mark.every_change
def test_weights_that_are_missing_are_refused(in_client, clip: Path):
    weights = load_file(clip / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, clip / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match="visual_projection.weight"):
        in_client(door.push, "clip", clip, "release/holes")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("README.md", "README.md is missing, expected the card"),
        ("model.safetensors", "no \\*.safetensors"),
        ("config.json", "config.json is missing"),
        ("processor_config.json", "processor_config.json is missing"),
        ("modeling_fusionrs_clip.py", "modeling_fusionrs_clip.py is missing, expected the remote code"),
        ("configuration_fusionrs_clip.py", "configuration_fusionrs_clip.py is missing, expected the remote code"),
        ("processing_fusionrs_clip.py", "processing_fusionrs_clip.py is missing, expected the remote code"),
    ],
)
def test_incomplete_model_is_refused_before_anything_goes_up(hub, in_client, clip: Path, name: str, sentence: str):
    (clip / name).unlink()
    before = len(hub.requests)
    with pytest.raises(InputError, match=sentence):
        in_client(door.push, "clip", clip, "release/incomplete")
    assert len(hub.requests) == before


def test_model_saved_without_registration_is_refused(in_client, clip: Path):
    config = json.loads((clip / "config.json").read_text())
    del config["auto_map"]
    (clip / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="no auto_map entry for AutoModel.*import fusionrs_hf.auto"):
        in_client(door.push, "clip", clip, "release/unregistered")


def test_clip_is_no_vlm(in_client, clip: Path):
    with pytest.raises(InputError, match="AutoModelForImageTextToText"):
        in_client(door.push, "vlm", clip, "release/clip-as-vlm")


def test_adapter_of_a_local_folder_is_refused(in_client, clip: Path):
    (clip / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(clip)}))
    with pytest.raises(InputError, match="expected owner/name of a base on the Hub"):
        in_client(door.push, "vlm", clip, "release/adapter")


def test_dataset_without_parquet_is_refused(in_client, dataset: Path):
    shutil.rmtree(dataset / "data")
    with pytest.raises(InputError, match="no data/\\*.parquet"):
        in_client(door.push, "dataset", dataset, "release/empty")


def test_rows_that_their_rights_forbid_go_nowhere_not_even_to_a_loopback_hub(hub, in_client, dataset: Path):
    write_split(dataset, "test", range(3, 4), rights="RSICD")
    before = len(hub.requests)
    with pytest.raises(
        InputError, match="1 rows: 'RSICD': images of 1, infrared of 1, captions of 1 rows not allowed"
    ):
        in_client(door.push, "dataset", dataset, "release/forbidden")
    write_split(dataset, "test", range(3, 4), rights="found somewhere")
    with pytest.raises(InputError, match="'found somewhere': 1 rows, code not listed .test/3.*add it with licence"):
        in_client(door.push, "dataset", dataset, "release/forbidden")
    write_split(dataset, "test", range(3, 4), rights="CC-BY-4.0")
    with pytest.raises(InputError, match="NOTICE.md does not hold the notice that rows of code 'CC-BY-4.0' ask for"):
        in_client(door.push, "dataset", dataset, "release/forbidden")
    assert len(hub.requests) == before


def test_a_published_copy_goes_up_with_its_notices(in_client, files_on_hub, tmp_path: Path):
    build_rows(write_source(tmp_path / "source"), tmp_path / "out")
    for level in ("redacted", "index"):
        copy = publish_dataset(tmp_path / "out", level, workers=1)
        in_client(door.push, "dataset", copy, f"release/{level}")
        assert {"README.md", "NOTICE.md", "croissant.json", "build_report.json", "eval.yaml"} < files_on_hub(
            f"release/{level}", "dataset"
        )
    assert in_client(verify.verify, "release/index").differences == ()


@pytest.mark.parametrize(
    ("card", "sentence"),
    [
        ("---\nlicense: other\nlicense_name: demo-only\ndemo_only: true\n---\n", "for the demo only"),
        ("# No metadata\n", "states no licence"),
        ("---\nlicense: unknown\n---\n", "states no licence"),
        ("---\nlicense: other\n---\n", "states no licence"),
        ("---\nlicense: other\nlicense_name: unstated\n---\n", "states no licence"),
    ],
)
def test_unstated_rights_are_for_a_loopback_hub_only(tmp_path: Path, card: str, sentence: str):
    (tmp_path / "README.md").write_text(card)
    checks.check_rights(tmp_path, "http://127.0.0.1:8000")
    with pytest.raises(InputError, match=f"{sentence}.*not a loopback address"):
        checks.check_rights(tmp_path, PUBLIC)


def test_converted_checkpoint_of_unstated_origin_stays_whatever_its_card_says(tmp_path: Path):
    (tmp_path / "README.md").write_text(CARD)
    checks.check_rights(tmp_path, PUBLIC)
    (tmp_path / "origin.json").write_text('{"demo_only": true}')
    with pytest.raises(InputError, match="for the demo only"):
        checks.check_rights(tmp_path, PUBLIC)


@pytest.mark.parametrize("kind", KINDS)
def test_every_way_up_checks_the_rights_first(tmp_path: Path, kind: str):
    (tmp_path / "README.md").write_text("---\ndemo_only: true\n---\n")
    with pytest.raises(InputError, match="for the demo only"):  # this process knows the public Hub only
        door.push(kind, tmp_path, "release/demo")


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:80", True),
        ("http://localhost:8000", True),
        ("https://hub.example", False),
        ("http://127.0.0.1.hub.example", False),
        ("http://localhost.hub.example", False),
        ("http://10.0.0.1", False),
        ("http://127.0.0.1@hub.example", False),
    ],
)
def test_only_this_machine_is_loopback(endpoint: str, expected: bool):
    assert checks.is_loopback(endpoint) == expected


def test_private_release_is_private_and_never_lands_in_a_public_repository(in_client, files_on_hub, clip: Path):
    in_client(door.push, "clip", clip, "release/secret", private=True)
    assert in_client(call, "repo_info", "release/secret").private
    in_client(call, "create_repo", "release/open")
    with pytest.raises(InputError, match="exists and is public"):
        in_client(door.push, "clip", clip, "release/open", private=True)
    assert files_on_hub("release/open", "model") == set()


def test_unknown_kind_repository_and_revision_are_input_errors(in_client, dataset: Path):
    with pytest.raises(InputError, match="kind is 'model', expected one of dataset, clip, vlm, translator, metric"):
        door.push("model", dataset, "release/kind")
    with pytest.raises(InputError, match="has no release release/absent"):
        in_client(verify.verify, "release/absent")
    in_client(door.push, "dataset", dataset, "release/present")
    with pytest.raises(InputError, match="has no release release/present at v9"):
        in_client(verify.verify, "release/present", "v9")


@pytest.fixture(scope="module")
def saved_vlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "vlm"
    tiny_vlm.vlm_model().save_pretrained(folder)
    tiny_vlm.vlm_processor().save_pretrained(folder)
    (folder / "README.md").write_text(CARD)
    return folder


def test_vlm_comes_back_equal_where_the_project_is_not_installed(in_client, files_on_hub, saved_vlm: Path):
    in_client(door.push, "vlm", saved_vlm, "release/vlm")
    report = in_client(verify.verify, "release/vlm")
    assert report.differences == ()
    model = tiny_vlm.vlm_model()
    # and configuration, generation configuration, processor, tokenizer, chat template; logits
    files = files_on_hub("release/vlm", "model")
    assert report.compared == len([*model.named_parameters(), *model.named_buffers()]) + 5 + 1 + len(files)


@pytest.mark.slow
@pytest.mark.every_change
def test_adapter_comes_back_equal_on_its_base(in_client, files_on_hub, saved_vlm: Path, tmp_path: Path):
    from training.train_vlm import LANGUAGE_LINEARS
    from training.trainers.captioning import PROJECTOR  # here, as it takes seconds

    in_client(door.push, "vlm", saved_vlm, "release/base")
    config = LoraConfig(r=2, target_modules=LANGUAGE_LINEARS, modules_to_save=[PROJECTOR], init_lora_weights=False)
    adapted = get_peft_model(tiny_vlm.vlm_model(), config)
    adapted.peft_config["default"].base_model_name_or_path = "release/base"
    for name, value in adapted.named_parameters():
        if "modules_to_save" in name:
            torch.nn.init.normal_(value)  # as if trained: what comes back must not be the base's projector
    adapted.save_pretrained(tmp_path)
    tiny_vlm.vlm_processor().save_pretrained(tmp_path)
    (tmp_path / "README.md").write_text(CARD)
    in_client(door.push, "vlm", tmp_path, "release/adapter")
    report = in_client(verify.verify, "release/adapter")
    assert report.differences == ()
    # and configuration, generation configuration, processor, tokenizer, chat template; logits; files
    files = files_on_hub("release/adapter", "model")
    assert report.compared == len([*adapted.named_parameters(), *adapted.named_buffers()]) + 5 + 1 + len(files)


def saved_plain(folder: Path) -> Path:
    """A default dual-modal CLIP with its card."""
    tiny.clip_model().save_pretrained(folder)
    tiny.clip_processor().save_pretrained(folder)
    (folder / "README.md").write_text(CARD + "\n## Use\n\nremote code\n\n## Results\n\nsome\n")
    return folder


def load_plain(repo_id: str, inputs: dict) -> tuple:
    from transformers import CLIPModel, CLIPProcessor

    model, processor = CLIPModel.from_pretrained(repo_id).eval(), CLIPProcessor.from_pretrained(repo_id)
    with torch.no_grad():
        embeds = model(**inputs).image_embeds
    return embeds, processor(text="dry ground", images=tiny.rgb_image(), return_tensors="pt")["pixel_values"].shape


def test_a_shared_tower_goes_up_as_a_plain_clip_without_code(in_client, files_on_hub, tmp_path: Path):
    folder = saved_plain(tmp_path / "clip")
    in_client(door.push, "clip", folder, "release/plain", as_clip=True)
    names = files_on_hub("release/plain", "model")
    assert not [name for name in names if name.endswith(".py")]
    inputs = tiny.clip_processor()(images=tiny.rgb_image(), text="dry ground")
    embeds, shape = in_client(load_plain, "release/plain", dict(inputs))
    with torch.no_grad():
        expected = tiny.clip_model()(**inputs).rgb_embeds
    torch.testing.assert_close(embeds, expected, rtol=0, atol=1e-6)
    assert shape == (1, 3, tiny.IMAGE_PX, tiny.IMAGE_PX)


def test_the_plain_card_says_how_to_use_it_and_keeps_the_results(tmp_path: Path):
    out = write_plain_clip(saved_plain(tmp_path / "clip"), tmp_path / "out")
    text = (out / "README.md").read_text()
    assert "remote code\n" not in text and "CLIPModel.from_pretrained" in text and "## Results\n\nsome" in text
    assert "auto_map" not in (out / "config.json").read_text()


def test_what_clip_cannot_be_is_refused(saved_clip: Path, tmp_path: Path):
    with pytest.raises(InputError, match="no plain CLIP .*feature_norm=True.* without --as-clip"):
        write_plain_clip(saved_clip, tmp_path / "out")
    with pytest.raises(InputError, match="--as-clip goes with a dual-modal CLIP, got kind 'vlm'"):
        door.push("vlm", saved_clip, "release/vlm", as_clip=True)


def test_shards_that_are_not_the_report_s_stay_at_home(dataset: Path):
    digests = {path: file_sha256(path) for path in dataset.glob("data/*.parquet")}
    files = {path.relative_to(dataset).as_posix(): {"sha256": digest} for path, digest in digests.items()}
    (dataset / "build_report.json").write_text(json.dumps({"files": files}))
    checks.check_shards(dataset)
    write_split(dataset, "test", range(3, 5))
    with pytest.raises(InputError, match="test-00000-of-00001.parquet differ; build it again"):
        checks.check_shards(dataset)
    (dataset / "data" / "test-00000-of-00001.parquet").unlink()
    with pytest.raises(InputError, match="test-00000-of-00001.parquet differ"):
        checks.check_shards(dataset)


def test_a_hub_that_is_not_there_is_one_line(in_client, dataset: Path):
    assert "cannot reach http://127.0.0.1:9 (" in in_client(push_to_nowhere, dataset)


def push_to_nowhere(dataset: Path) -> str:
    from unittest.mock import patch

    from huggingface_hub import HfApi

    with patch("training.release.hub.HfApi", lambda: HfApi(endpoint="http://127.0.0.1:9")), patch("time.sleep"):
        try:
            door.push("dataset", dataset, "release/nowhere")
        except InputError as error:
            return str(error)
    return "pushed"


def test_a_dry_run_says_once_what_would_go_up_and_asks_no_hub(tmp_path, hub, caplog, monkeypatch):
    folder = space(tmp_path / "space")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("stays")
    asked = list(hub.requests)
    monkeypatch.setattr("training.release.releasing.release", lambda *given: pytest.fail("it is released"))
    caplog.set_level("INFO")
    lines = door.push("space", folder, "dry/run", tag="v1", dry_run=True).splitlines()
    sizes = {line.split("  ")[1]: int(line.split("  ")[0].replace(",", "")) for line in lines[:-1]}
    assert sizes == {name: (folder / name).stat().st_size for name in ("README.md", "app.py", "requirements.txt")}
    assert lines[-1].strip() == f"{sum(sizes.values())}  bytes in 3 files -> dry/run, tag v1"
    assert hub.requests == asked and "app.py" not in caplog.text
