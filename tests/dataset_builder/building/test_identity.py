import json

from dataset_builder.building.identity import fingerprint
from tests.dataset_builder.made.identities import build_identity, recipe


def test_an_identity_does_not_depend_on_where_the_inputs_lie(inputs, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (inputs / "in").rename(elsewhere / "in")
    moved = build_identity(recipe(elsewhere), elsewhere / "out")
    (elsewhere / "in").rename(inputs / "in")
    assert build_identity(recipe(inputs), inputs / "out") == moved
    assert json.loads(json.dumps(moved)) == moved


def test_a_new_longer_or_renamed_file_changes_it_and_a_recipe_change_too(inputs):
    seen = {fingerprint(build_identity(recipe(inputs), inputs / "out"))}
    (inputs / "in" / "b.png").write_bytes(b"1")
    seen.add(fingerprint(build_identity(recipe(inputs), inputs / "out")))
    (inputs / "in" / "b.png").write_bytes(b"12")
    seen.add(fingerprint(build_identity(recipe(inputs), inputs / "out")))
    (inputs / "in" / "b.png").rename(inputs / "in" / "c.png")
    seen.add(fingerprint(build_identity(recipe(inputs), inputs / "out")))
    seen.add(fingerprint(build_identity(recipe(inputs, max_shard_bytes=7), inputs / "out")))
    assert len(seen) == 5


def test_hidden_files_byte_code_and_the_output_are_no_inputs(inputs):
    before = build_identity(recipe(inputs), inputs / "in" / "out")
    for name in (".lock", "__pycache__/a.pyc", "out/data/train.parquet"):
        (inputs / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (inputs / "in" / name).write_bytes(b"1")
    assert build_identity(recipe(inputs), inputs / "in" / "out") == before
