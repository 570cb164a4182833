import json

from training.trainers.checkpoints import last_whole_checkpoint


def write_checkpoint(folder, step, state):
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    if state is not None:
        (path / "trainer_state.json").write_text(state)
    return str(path)


def test_the_newest_checkpoint_that_was_written_to_its_end_is_taken(tmp_path):
    assert last_whole_checkpoint(tmp_path) is None and last_whole_checkpoint(tmp_path / "none") is None
    write_checkpoint(tmp_path, 5, json.dumps({"global_step": 5}))
    whole = write_checkpoint(tmp_path, 10, json.dumps({"global_step": 10}))
    write_checkpoint(tmp_path, 100, None)  # killed before the state was written
    write_checkpoint(tmp_path, 105, '{"global_st')  # killed while it was
    write_checkpoint(tmp_path, 110, "[]")
    write_checkpoint(tmp_path, 115, "[" * 9999)
    (tmp_path / "checkpoint-best").mkdir()
    assert last_whole_checkpoint(tmp_path) == whole
