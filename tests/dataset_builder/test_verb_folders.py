"""What verbs write into, replace and leave alone: folders of users, files beside ours, links, closed disks."""

import logging
import os
import shutil
import sys

import pytest

from fusionrs_hf.folder_manifest import read_manifest
from tests.dataset_builder.made.closed_disks import SmallFiles, obey_modes
from tests.dataset_builder.made.verb_folders import FORKS, OUTPUTS, VERBS, arguments, contents, run, write_home

pytest.importorskip("faiss")
MAKES = ("build", "caption", "publish", "embed")  # folders of their own


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    return write_home(tmp_path_factory.mktemp("home"))


@pytest.fixture
def home(origin, tmp_path):
    return shutil.copytree(origin, tmp_path / "home")


@pytest.fixture(scope="module")
def finished(origin, tmp_path_factory):
    """A home with all that verbs make."""
    home = shutil.copytree(origin, tmp_path_factory.mktemp("finished") / "home")
    for verb in ("caption", "embed"):
        assert run(home, verb) == 0
    return home


def with_index(home, verb):
    """An index says where its dataset is: that of a copy is made there."""
    if verb == "embed":
        shutil.rmtree(home / "I")
        assert run(home, verb) == 0
    return home


def told(capfd):
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize("verb", MAKES)
@pytest.mark.parametrize("name", [".work-notes/a", ".work/a", ".README.md.partial", "README.md", "data/a.parquet"])
def test_a_folder_of_a_user_is_refused_and_stays(home, verb, name, capfd):
    folder = home / OUTPUTS[verb]
    shutil.rmtree(folder, ignore_errors=True)
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text("thesis")
    before = contents(home)
    for options in ((), ("--overwrite",) if verb != "publish" else ()):
        assert run(home, verb, *options) == 2
        assert f"is not empty and not of `fusionrs {'build --publish' if verb == 'publish' else verb}" in told(capfd)
        assert contents(home) == before
    assert [path.name for path in folder.iterdir()] == [name.split("/")[0]]


@pytest.mark.parametrize("verb", MAKES)
def test_a_link_in_the_place_of_the_folder_is_refused(home, verb, tmp_path, capfd):
    folder, elsewhere = home / OUTPUTS[verb], tmp_path / "elsewhere"
    shutil.rmtree(folder, ignore_errors=True)
    elsewhere.mkdir()
    folder.symlink_to(elsewhere)
    assert run(home, verb) == 2
    assert "is a link" in told(capfd)
    assert os.listdir(elsewhere) == [] and folder.is_symlink()


def test_a_link_in_the_place_of_a_part_is_refused(home, tmp_path, capfd):
    shutil.rmtree(home / "D" / "publish")
    elsewhere = tmp_path / "elsewhere"
    shutil.move(home / "D" / "data", elsewhere)
    (home / "D" / "data").symlink_to(elsewhere)
    before = contents(home), {path.name: path.read_bytes() for path in elsewhere.iterdir()}
    assert run(home, "remove") == 2
    assert "D/data is in the way, expected a folder and no link; move it away" in told(capfd)
    assert run(home, "build", "--overwrite") == 2
    assert "did not write (data); move them away" in told(capfd)
    assert (contents(home), {path.name: path.read_bytes() for path in elsewhere.iterdir()}) == before
    assert (home / "D" / "data").is_symlink()


BESIDE = (".work/notes", ".work-notes/a", ".removal/notes", "notes.txt", "publish/mine/a", "publish/index/.work/notes")


def test_files_beside_ours_stay_whatever_runs(finished, tmp_path):
    home = shutil.copytree(finished, tmp_path / "home")
    names = [f"{folder}/{name}" for folder in ("D", "C", "I") for name in BESIDE] + ["D/..README.md.partial.partial"]
    for name in names:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("thesis")
    for verb in ("build", "caption", "embed", "remove", "publish"):
        assert run(home, verb) == 0 or verb in ("caption", "embed")
    assert [(home / name).read_text() for name in names] == ["thesis"] * len(names)


@pytest.mark.parametrize("name", ["data/train-mine.parquet", "README.md", ".README.md.partial"])
def test_a_file_of_the_user_in_the_way_of_an_unfinished_build_is_named(home, name, capfd):
    """The build stops before it; once it is away, the same command ends with the same bytes."""
    whole = {name: digest for name, digest in contents(home).items() if not name.startswith("D/publish")}
    shutil.rmtree(home / "D")
    assert run(home, "build", "--rank", "0", "--world-size", "1") == 0
    (home / "D" / name).parent.mkdir(exist_ok=True)
    (home / "D" / name).write_text("thesis")
    assert run(home, "build") == 2
    assert f"did not write ({name}); move them away" in told(capfd)
    assert (home / "D" / name).read_text() == "thesis"
    (home / "D" / name).unlink()
    assert run(home, "build") == 0
    assert contents(home) == whole


@pytest.mark.parametrize("verb", ["build", "caption", "embed"])
def test_overwriting_says_what_goes_and_leaves_what_was_not_ours(finished, tmp_path, verb, caplog, capfd):
    home = with_index(shutil.copytree(finished, tmp_path / "home"), verb)
    shutil.rmtree(home / "D" / "publish")
    folder, before = home / OUTPUTS[verb], contents(home)
    (folder / "notes.txt").write_text("thesis")
    assert run(home, verb, "--overwrite") == 2
    assert "did not write (notes.txt); move them away" in told(capfd)
    assert contents(home).items() >= before.items()
    (folder / "notes.txt").unlink()
    files = read_manifest(folder).files
    with caplog.at_level(logging.INFO):
        assert run(home, verb, "--overwrite") == 0
    assert f"replacing {len(files)} files that `fusionrs {verb}` wrote in {folder} ({files[0]}" in caplog.text
    assert contents(home) == before


def command(words, log, prepare):
    with open(log, "w") as file:
        os.dup2(file.fileno(), 2)
    sys.stderr = os.fdopen(2, "w")
    prepare()
    from fusionrs_hf.cli import main

    sys.exit(main(words))


def stops(home, verb, prepare):
    """Runs a verb that has to stop; returns its one line."""
    process = FORKS.Process(target=command, args=(arguments(home, verb), home / "log", prepare))
    process.start()
    process.join()
    lines = (home / "log").read_text().splitlines()
    assert process.exitcode == 2, lines
    assert not [line for line in lines if "Traceback" in line]
    return lines[-1]


WORK = {"build": "build", "caption": "captioning", "remove": "removal", "publish": "publishing", "embed": "embedding"}


@pytest.mark.parametrize("verb", VERBS)
def test_a_full_disk_stops_a_verb_in_a_line_and_the_same_command_ends(home, tmp_path, verb):
    if verb in ("build", "publish"):
        shutil.rmtree(home / OUTPUTS[verb])
    whole = shutil.copytree(home, tmp_path / "whole")
    assert run(whole, verb) == 0
    line = stops(home, verb, SmallFiles(3_000))
    folder = home / ("D" if verb == "publish" else OUTPUTS[verb])
    assert line.startswith(
        f"error: the {WORK[verb]} in {folder} stopped: File too large; what is finished is kept: make"
    )
    assert "then run the same command again to continue" in line
    assert run(home, verb) == 0
    (home / "log").unlink()
    assert contents(home) == contents(whole)


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are of Linux")
@pytest.mark.parametrize("verb", ["remove", "publish"])
def test_a_read_only_folder_stops_a_verb_in_a_line(home, verb):
    shutil.rmtree(home / "D" / "publish")
    folders = [home / "D", *(path for path in (home / "D").rglob("*") if path.is_dir())]
    before = contents(home)
    for folder in folders:
        folder.chmod(0o555)
    try:
        line = stops(home, verb, obey_modes)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert "Permission denied" in line and str(home / "D") in line and ("writable" in line or "can be made" in line)
    assert contents(home) == before


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are of Linux")
@pytest.mark.parametrize("verb", ["build", "caption", "embed"])
def test_what_is_finished_on_a_read_only_disk_is_already_done(finished, tmp_path, verb):
    home = with_index(shutil.copytree(finished, tmp_path / "home"), verb)
    folders = [path for name in ("D", "C", "I") for path in (home / name, *(home / name).rglob("*")) if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    process = FORKS.Process(target=command, args=(arguments(home, verb), home / "log", obey_modes))
    process.start()
    process.join()
    for folder in folders:
        folder.chmod(0o755)
    assert process.exitcode == 0, (home / "log").read_text()
    said = {"build": "already holds this build", "caption": "already holds these", "embed": "is complete"}[verb]
    assert said in (home / "log").read_text()
