import itertools
import json

import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.data import DataLoader
from transformers import AutoModel

from fusionrs_hf.errors import InputError
from tests.made import tiny_dataset
from tests.training.made.interrupted import interrupted
from tests.training.test_train_clip import (  # noqa: F401 - folders is a fixture
    command,
    folders,
    losses,
    train_in_two_processes,
    weights,
)
from training.data.pairs import load_pairs
from training.data.streaming import EndlessRows, read_facts, stream_pairs
from training.train_clip import main


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """14 training rows in two files of row groups of three rows: five row groups in all."""
    folder = tiny_dataset.write(tmp_path_factory.mktemp("stream") / "dataset", train=7)
    (path,) = (folder / "data").glob("train-*.parquet")
    table = pq.read_table(path)
    pq.write_table(table[:8], path.with_name("train-00000-of-00002.parquet"), row_group_size=3)
    pq.write_table(table[8:], path.with_name("train-00001-of-00002.parquet"), row_group_size=3)
    path.unlink()
    return str(folder)


def ids(rows):
    return [row["sample_id"] for row in rows]


def stream(dataset, **options):
    return stream_pairs(dataset, **{"ir_origin": "sensor", "seed": 0, "buffer_size": 4, **options})


def test_a_stream_gives_the_rows_that_are_loaded_otherwise(dataset):
    loaded = {row["sample_id"]: row for row in load_pairs(dataset, "train")}
    rows = list(stream(dataset))
    assert sorted(ids(rows)) == sorted(loaded) and ids(rows) != list(loaded)
    for row in rows:
        other = loaded[row["sample_id"]]
        assert all(row[name].tobytes() == other[name].tobytes() for name in ("rgb", "ir"))
        assert all(row[name] == other[name] for name in row if name not in ("rgb", "ir"))
    facts, table = read_facts(dataset, "sensor"), load_pairs(dataset, "train")
    assert all(list(facts[name]) == list(table[name]) for name in ("ir_band", "ir_origin", "image_group_id"))
    assert not list(stream(dataset, ir_origin="translated"))
    with pytest.raises(InputError, match="has no train rows with ir_origin=translated"):
        read_facts(dataset, "translated")


@pytest.mark.parametrize("processes", [1, 2, 4, 9])  # five row groups
def test_each_pass_gives_every_row_to_one_process_in_an_order_of_its_own(dataset, processes):
    orders = {}
    for epoch in (0, 1):
        parts = [stream(dataset, process=process, processes=processes) for process in range(processes)]
        for part in parts:
            part.set_epoch(epoch)
        orders[epoch] = [ids(part) for part in parts]
        found = list(itertools.chain(*orders[epoch]))
        assert len(found) == 14 and set(found) == set(ids(load_pairs(dataset, "train")))
    assert orders[0] != orders[1]


def test_passes_follow_each_other_and_every_row_says_its_own(dataset):
    rows = list(itertools.islice(EndlessRows(stream(dataset)), 35))
    assert [row["epoch"] for row in rows] == [0] * 14 + [1] * 14 + [2] * 7
    first, second = ids(rows[:14]), ids(rows[14:28])
    assert sorted(first) == sorted(second) and first != second
    assert ids(itertools.islice(EndlessRows(stream(dataset)), 35)) == ids(rows)
    assert ids(itertools.islice(EndlessRows(stream(dataset, seed=1)), 14)) != first


def test_workers_share_the_rows_and_one_without_any_ends(dataset):
    def read(rows, count):
        loader = DataLoader(EndlessRows(rows), batch_size=1, num_workers=2, collate_fn=lambda rows: rows[0])
        return list(itertools.islice(loader, count))

    first = [row for row in read(stream(dataset), 40) if row["epoch"] == 0]
    assert len(first) == 14 and set(ids(first)) == set(ids(load_pairs(dataset, "train")))
    alone = read(stream(dataset, process=0, processes=5), 7)  # one row group, of three rows or two
    assert {row["epoch"] for row in alone} >= {0, 1, 2}


def options(dataset):
    fixed = {"streaming": True, "shuffle_buffer": 4, "norm_rows": 6, "max_steps": 6, "save_steps": 5}
    return {"dataset": dataset, **fixed, "augment_flip": True}


def test_a_streamed_run_resumes_exactly_in_a_later_pass(folders, dataset, tmp_path):  # noqa: F811
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    main(command(folders, straight, **options(dataset)))  # passes end within steps 4 and 7
    interrupted(straight, resumed, 5)
    main(command(folders, resumed, **options(dataset)))
    assert losses(resumed) == losses(straight)
    last = weights(straight)
    for name, value in weights(resumed).items():
        torch.testing.assert_close(value, last[name], rtol=0, atol=0)
    log = json.loads((straight / "training_log.json").read_text())
    assert log["train_rows"] == 14 and log["bands"] == ["nir", "swir"] and log["ir_origins"] == ["sensor"]


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        ({"max_steps": -1}, "streaming needs max_steps, got -1; give the number"),
        (
            {"train_rows": 4},
            "train_rows, leave_out_scenes and ir_view: shuffled need all rows at hand; drop them, or streaming",
        ),
        ({"ir_view": "shuffled"}, "train_rows, leave_out_scenes and ir_view: shuffled need all rows"),
        ({"shuffle_buffer": 0}, "shuffle_buffer must be 1 or more, got 0"),
    ],
)
def test_what_a_stream_cannot_do_is_refused(folders, dataset, tmp_path, refused, message):  # noqa: F811
    with pytest.raises(InputError, match=message):
        main(command(folders, tmp_path, **options(dataset) | refused))


def upload_and_stream(folder, repo_id):
    from huggingface_hub import HfApi

    from training.data.streaming import read_facts, stream_pairs

    HfApi().create_repo(repo_id, repo_type="dataset")
    HfApi().upload_folder(folder_path=folder, repo_id=repo_id, repo_type="dataset")
    rows = list(stream_pairs(repo_id, "sensor", seed=0, buffer_size=4))
    return ids(rows), rows[0]["ir"].size, len(read_facts(repo_id, "sensor"))


@pytest.mark.slow
@pytest.mark.every_change
def test_a_repository_of_the_hub_streams_as_its_folder_does(hub_client, dataset):
    found, size, count = hub_client.submit(upload_and_stream, dataset, "tests/stream").result()
    rows = list(stream(dataset))
    assert (found, size, count) == (ids(rows), rows[0]["ir"].size, 14)


@pytest.mark.slow
@pytest.mark.every_change
def test_two_processes_stream_alike_and_resume_exactly(folders, dataset, tmp_path):  # noqa: F811
    def launch(output):
        arguments = command(folders, output, **options(dataset) | {"per_device_train_batch_size": 2})
        train_in_two_processes(arguments)

    launch(tmp_path / "straight")
    interrupted(tmp_path / "straight", tmp_path / "resumed", 5)
    launch(tmp_path / "resumed")
    assert losses(tmp_path / "resumed") == losses(tmp_path / "straight")
    last = AutoModel.from_pretrained(tmp_path / "straight").state_dict()
    for name, value in weights(tmp_path / "resumed").items():
        torch.testing.assert_close(value, last[name], rtol=0, atol=1e-6)
