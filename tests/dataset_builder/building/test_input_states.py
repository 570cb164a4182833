"""Inputs that change between the plan and the end of reading: told with both hashes, and nothing read is kept."""

import gzip
import hashlib
import json
import logging
import os
import shutil

import pytest

from dataset_builder.building import inputs
from dataset_builder.building.input_states import write_states
from dataset_builder.building.inputs import entries, write_listing
from dataset_builder.pipeline import build
from dataset_builder.recipe import BuildRecipe
from dataset_builder.sources import folder as folder_source
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.noise_images import noise, png
from tests.dataset_builder.made.tile_repository import digests

LINES = '{"file_name": "%d.png", "text": "a field with the number %d"}\n'


@pytest.fixture
def made(tmp_path):
    """Recipe of eight images with captions, two a shard; the folder of the inputs, and where to build."""
    images = tmp_path / "in" / "photos"
    images.mkdir(parents=True)
    for number in range(8):
        (images / f"{number}.png").write_bytes(png(noise(number, 3))["bytes"])
    (images / "metadata.jsonl").write_text("".join(LINES % (number, number) for number in range(8)))
    (tmp_path / "in" / "left_out.txt").write_text("nobody\n")
    values = {
        "name": "changing",
        "sources": [{"kind": "folder", "path": "photos", "rights": "CC0-1.0", "images_per_shard": 2}],
        "translate": {"band": "nir"},
        "exclude": "left_out.txt",
        "filters": {"rgb_ir_misaligned": False, "ir_is_gray_of_rgb": False},
    }
    return BuildRecipe.from_mapping(values, base=tmp_path / "in"), images, tmp_path / "out"


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def in_place_with_its_times(path):
    status = os.stat(path)
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replaced(path):
    other = path.with_name(".other")
    other.write_bytes(path.read_bytes()[:-1] + b"?")
    os.replace(other, path)


CHANGES = {
    "replaced": replaced,
    "grown": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "of the same size and times": in_place_with_its_times,
    "another by a link": lambda path: (path.unlink(), path.symlink_to(next(path.parent.rglob("3.png")))),
}


def change_while_reading(monkeypatch, moment, change):
    """Calls `change` when the image of a name is about to be read."""
    read_image = folder_source.read_image

    def reading(root, name):
        if name == moment and not done:
            done.append(name)
            change()
        return read_image(root, name)

    done = []
    monkeypatch.setattr(folder_source, "read_image", reading)


def interrupted(monkeypatch, recipe, out):
    """Builds until half of the images are read."""

    def stop():
        raise KeyboardInterrupt

    change_while_reading(monkeypatch, "4.png", stop)
    with pytest.raises(KeyboardInterrupt):
        build(recipe, out, workers=1)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("name", ["0.png", "5.png", "metadata.jsonl", "../left_out.txt"])
def test_a_file_that_changes_is_told_with_both_hashes_and_nothing_is_kept(made, monkeypatch, change, name):
    recipe, images, out = made
    path = (images / name).resolve()
    before = sha256(path)
    change_while_reading(monkeypatch, "4.png", lambda: change(path))
    with pytest.raises(InputError, match="1 input file changed while the build was reading") as error:
        build(recipe, out, workers=1)
    assert f"{path.name} (sha256 {before} when planned, {sha256(path)} now)" in str(error.value)
    assert str(error.value).endswith("run the same command again")
    assert not out.exists() or os.listdir(out) == []


def test_code_that_changes_is_told_as_inputs_are(made, tmp_path, monkeypatch):
    recipe, _, out = made
    code = tmp_path / "code.py"
    code.write_text("a = 1\n")
    found = inputs.code_files()
    monkeypatch.setattr(inputs, "code_files", lambda: [*found, ("zz/code.py", code)])
    change_while_reading(monkeypatch, "4.png", lambda: code.write_text("a = 2\n"))
    with pytest.raises(InputError, match="1 input file changed while the build was reading: zz/code.py"):
        build(recipe, out, workers=1)
    assert build(recipe, out, workers=1).rows_kept == 8


def test_the_same_command_then_builds_what_lies_there_now(made, monkeypatch):
    recipe, images, out = made
    change_while_reading(monkeypatch, "1.png", lambda: replaced(images / "0.png"))
    with pytest.raises(InputError, match="0.png"):
        build(recipe, out, workers=1)
    build(recipe, out, workers=1)
    build(recipe, out.with_name("fresh"), workers=1)
    assert digests(out) == digests(out.with_name("fresh"))


def test_a_file_that_goes_is_told(made, monkeypatch):
    recipe, images, out = made
    before = sha256(images / "6.png")
    change_while_reading(monkeypatch, "4.png", (images / "6.png").unlink)
    with pytest.raises(InputError, match=f"6.png .sha256 {before} when planned, none: not there now"):
        build(recipe, out, workers=1)


def test_many_files_are_one_line(made, monkeypatch):
    recipe, images, out = made
    change_while_reading(monkeypatch, "1.png", lambda: [replaced(images / f"{number}.png") for number in range(2, 8)])
    with pytest.raises(InputError, match=r"6 input files changed .*2\.png .*4\.png .*now\), \.\.\.; nothing"):
        build(recipe, out, workers=1)


def test_a_file_written_anew_with_the_same_bytes_is_no_change(made, monkeypatch, caplog):
    recipe, images, out = made

    def copied():
        shutil.copyfile(images / "2.png", images / ".copy")
        os.replace(images / ".copy", images / "2.png")

    change_while_reading(monkeypatch, "4.png", copied)
    with caplog.at_level(logging.WARNING):
        build(recipe, out, workers=1)
    assert "photos/2.png was written while the build was reading; it holds the same bytes" in caplog.text
    build(recipe, out.with_name("fresh"), workers=1)
    assert digests(out) == digests(out.with_name("fresh"))


def test_a_file_that_changes_between_two_runs_of_one_build_is_told(made, monkeypatch):
    recipe, images, out = made
    interrupted(monkeypatch, recipe, out)
    in_place_with_its_times(images / "1.png")  # read already, of a size that the identity takes for the same
    with pytest.raises(InputError, match="1.png"):
        build(recipe, out, workers=1)


def test_inputs_that_moved_with_their_bytes_continue(made, monkeypatch):
    recipe, images, out = made
    interrupted(monkeypatch, recipe, out)
    moved = out.with_name("moved")
    shutil.copytree(images.parent, moved, copy_function=shutil.copyfile)
    shutil.rmtree(images.parent)
    moved.rename(images.parent)
    build(recipe, out, workers=1)
    build(recipe, out.with_name("fresh"), workers=1)
    assert digests(out) == digests(out.with_name("fresh"))


def test_what_a_link_leads_to_outside_is_never_opened(made, tmp_path):
    recipe, images, out = made
    (tmp_path / "outside").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "outside" / name).write_bytes(b"secret")
    (images / "link.png").symlink_to(tmp_path / "outside" / "a.png")
    (images / "inside.png").symlink_to("0.png")
    (images / "folder").symlink_to(tmp_path / "outside")
    arguments = (recipe.sources, (), recipe.base, recipe.named(), out)
    write_listing(tmp_path / "listing", *arguments)
    write_states(tmp_path / "states", tmp_path / "listing", lambda: entries(*arguments))
    with gzip.open(tmp_path / "states", "rt") as lines:
        digests = {name: digest for _, _, name, _, digest in map(json.loads, lines)}
    linked = {name: digest for name, digest in digests.items() if "/folder/" in name or "link" in name}
    assert len(linked) == 3 and set(linked.values()) == {"-"}
    assert digests["photos/inside.png"] == digests["photos/0.png"] != "-"


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"1"), lambda path: path.unlink()])
@pytest.mark.parametrize("name", ["0.png", "7.png", "metadata.jsonl"])
def test_a_file_that_changes_while_a_build_is_planned_is_told(made, tmp_path, change, name):
    recipe, images, out = made
    write_listing(tmp_path / "listing", recipe.sources, (), recipe.base, recipe.named(), out)
    change(images / name)
    with pytest.raises(InputError, match="changed while the build was planned"):
        write_states(
            tmp_path / "states",
            tmp_path / "listing",
            lambda: entries(recipe.sources, (), recipe.base, recipe.named(), out),
        )
