"""What a CLIP run refuses in its dataset, and runs on texts longer than the text tower's table."""

import io
import json

import numpy as np
import pytest
import torch
from datasets import Dataset
from PIL import Image
from transformers import AutoModel, AutoProcessor

import fusionrs_hf.auto  # noqa: F401
from dataset_builder.schema import FEATURES
from fusionrs_hf.errors import InputError
from tests.made import tiny, tiny_dataset
from training import evaluate_clip
from training.train_clip import main


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start") / "clip"
    text = tiny.text_config()
    text.max_position_embeddings = 40
    tiny.clip_model(text_config=text).save_pretrained(folder)
    tiny.clip_processor().save_pretrained(folder)
    return folder


def dataset_with(folder, change, split="train"):
    """Writes the tiny dataset with its first row of a split changed."""
    tiny_dataset.write(folder)
    rows = tiny_dataset.rows(split, 4 if split == "train" else 3, 0 if split == "train" else 100)
    rows[0] |= change
    Dataset.from_list(rows, features=FEATURES).to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder


def run(dataset, start, output, **options):
    given = {"dataset": dataset, "clip": start, "output_dir": output, "max_steps": 1, "report_to": "none"}
    given |= {"per_device_train_batch_size": 8, "use_cpu": True, "save_strategy": "no", **options}
    main([part for name, value in given.items() for part in (f"--{name}", str(value))])


@pytest.mark.parametrize("split", ["train", "validation"])
def test_training_refuses_rows_without_a_group_before_it_starts(start, tmp_path, split):
    dataset = dataset_with(tmp_path / "dataset", {"image_group_id": None}, split)
    with pytest.raises(InputError, match="1 of [68] rows have no image_group_id.*fusionrs build"):
        run(dataset, start, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_that_is_not_group_aware_needs_no_groups(start, tmp_path):
    dataset = dataset_with(tmp_path / "dataset", {"image_group_id": None})
    run(dataset, start, tmp_path / "out", group_aware=False)
    assert (tmp_path / "out" / "model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.every_change
def test_texts_longer_than_the_table_train_once_its_positions_are_stretched(start, tmp_path):
    long = "dark water over the ground and " * 8  # 49 tokens with the last
    dataset = dataset_with(tmp_path / "dataset", {"captions": [long], "ir_captions": []})
    with pytest.raises(ValueError, match="49 tokens but the text tower reads 16"):
        run(dataset, start, tmp_path / "out", per_device_train_batch_size=8)
    run(dataset, start, tmp_path / "out", text_positions=64)
    model, processor = (kind.from_pretrained(tmp_path / "out") for kind in (AutoModel, AutoProcessor))
    assert model.text_limit == processor.tokenizer.model_max_length == 64
    assert model.get_text_features(**processor(text=long)).shape == (1, 8)


@pytest.mark.slow
@pytest.mark.every_change
def test_infrared_above_8_bit_is_trained_and_scored_by_declared_limits(start, tmp_path, capsys):
    """The same grey levels in 16 bit, 100 counts a level, give the run of the 8-bit dataset."""
    folder = tiny_dataset.write(tmp_path / "deep")
    for number, split in enumerate(("train", "validation", "test")):
        rows = tiny_dataset.rows(split, 3 if number else 4, 100 * number)
        for row in rows:
            levels = np.asarray(Image.open(io.BytesIO(row["ir"]["bytes"]))).astype(np.uint16)
            row |= {"ir": tiny_dataset.encoded(Image.fromarray(levels * 100)), "ir_unit": "dn"}
        Dataset.from_list(rows, features=FEATURES).to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    plain = tiny_dataset.write(tmp_path / "plain")
    limits = json.dumps({"nir": [0, 25500], "swir": [0, 25500]})
    fixed = ["--clip", str(start), "--max_steps", "1", "--report_to", "none", "--use_cpu", "True"]
    fixed += ["--save_strategy", "no", "--per_device_train_batch_size", "4", "--ir_caption_probability", "0"]
    with pytest.raises(ValueError, match="infrared of dtype uint16 needs limits"):
        main([*fixed, "--dataset", str(folder), "--output_dir", str(tmp_path / "none")])
    main([*fixed, "--dataset", str(folder), "--output_dir", str(tmp_path / "a"), "--ir_range", limits])
    main([*fixed, "--dataset", str(plain), "--output_dir", str(tmp_path / "b")])
    (folder / "README.md").write_text(f"---\nfusionrs: {{ir_range: {limits}}}\n---\n")  # as a build writes it
    main([*fixed, "--dataset", str(folder), "--output_dir", str(tmp_path / "c")])
    assert AutoProcessor.from_pretrained(tmp_path / "c").ir_range == json.loads(limits)
    scores = []
    for name, data in (("a", folder), ("b", plain), ("c", folder), ("b", folder)):
        output = str(tmp_path / f"{name}.json")
        evaluate_clip.main(["--model", str(tmp_path / name), "--dataset", str(data), "--output", output])
        scores.append(json.loads((tmp_path / f"{name}.json").read_text())["by_band"])
    assert scores == scores[:1] * 4
    deep, shallow, told = (AutoModel.from_pretrained(tmp_path / name).state_dict() for name in ("a", "b", "c"))
    assert all(torch.equal(value, shallow[name]) and torch.equal(value, told[name]) for name, value in deep.items())


def test_a_dataset_without_validation_trains_where_the_recipe_asks_for_none_and_the_log_tells_its_scenes(
    start, tmp_path
):
    dataset = tiny_dataset.write(tmp_path / "dataset")
    (dataset / "data" / "validation-00000-of-00001.parquet").unlink()
    with pytest.raises(InputError, match="eval_strategy is steps; give --eval_strategy no"):
        run(dataset, start, tmp_path / "out", eval_strategy="steps", eval_steps=1)
    run(dataset, start, tmp_path / "out", eval_strategy="no")
    log = json.loads((tmp_path / "out" / "training_log.json").read_text())
    assert (log["scenes"], log["source_datasets"], log["recipe"]["ir_origin"]) == (["scene"], ["scene"], "auto")
