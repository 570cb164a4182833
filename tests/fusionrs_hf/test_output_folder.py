import os
import subprocess
import sys

import pytest

from fusionrs_hf.errors import InputError
from fusionrs_hf.folder_manifest import MANIFEST, read_manifest, require_finished
from fusionrs_hf.folder_scratch import scratch
from fusionrs_hf.output_folder import files_below, reading, writing


def write(folder, verb="embed", names=("a.txt", "data/b.txt"), finish=True, **options):
    with writing(folder, verb, **options) as output:
        output.list_files(names)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)
        if finish:
            output.finish()


def content(folder):
    return {name: (folder / name).read_bytes() for name in files_below(folder) if name != MANIFEST}


def test_a_new_an_empty_and_an_own_folder_are_written(tmp_path):
    for folder in (tmp_path / "new" / "deep", tmp_path / "empty"):
        if folder.name == "empty":
            folder.mkdir()
        write(folder)
        manifest = read_manifest(folder)
        assert (manifest.verb, manifest.finished, manifest.files) == ("embed", True, ["a.txt", "data/b.txt"])
        write(folder)  # again: its own


@pytest.mark.parametrize("name", ["thesis.txt", ".hidden", ".work-notes/a", "data/train-00000.parquet"])
def test_a_folder_with_files_of_others_is_refused_and_stays(tmp_path, name):
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    path.write_text("thesis")
    with pytest.raises(InputError, match="is not empty and not of `fusionrs embed`"):
        write(tmp_path / "out")
    with pytest.raises(InputError, match="is not empty and not of `fusionrs embed`"):
        write(tmp_path / "out", overwrite=True)
    assert content(tmp_path / "out") == {name: b"thesis"}


def test_a_folder_of_another_verb_is_refused(tmp_path):
    write(tmp_path / "out", "build")
    before = content(tmp_path / "out")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="was written by `fusionrs build`; give `fusionrs embed` another folder"):
            write(tmp_path / "out", overwrite=overwrite)
    assert content(tmp_path / "out") == before


def test_overwriting_deletes_what_was_listed_and_nothing_else(tmp_path):
    out = tmp_path / "out"
    write(out)
    write(out, names=("c.txt",), overwrite=True)
    assert set(content(out)) == {"c.txt"}
    (out / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"did not write \(notes.txt\); move them away"):
        write(out, overwrite=True)
    assert set(content(out)) == {"c.txt", "notes.txt"}


def test_files_are_moved_in_unless_one_of_others_is_in_the_way(tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    for name in ("a.txt", "deep/b.txt"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    with writing(out, "embed") as output:
        (out / "a.txt").write_text("mine")
        with pytest.raises(InputError, match=r"holds files that `fusionrs embed` did not write \(a.txt\)"):
            output.move_in(source)
        assert content(out) == {"a.txt": b"mine"}
        (out / "a.txt").unlink()
        output.move_in(source)
        output.finish()
    assert read_manifest(out).files == ["a.txt", "deep/b.txt"] and set(content(out)) == {"a.txt", "deep/b.txt"}


def test_links_in_the_way_are_refused(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / "out").symlink_to(target)
    with pytest.raises(InputError, match="is a link"):
        write(tmp_path / "out")
    assert list(target.iterdir()) == []
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / MANIFEST).symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is a link"):
        write(tmp_path / "other")


@pytest.mark.parametrize(
    "text",
    [
        *("[]", "5", "", "{", "[" * 9999, "{}", '{"verb": 5}', '{"verb": "embed", "files": [5]}'),
        '{"verb": "embed", "command": "", "files": ["../x"]}',
    ],
)
def test_a_manifest_of_another_kind_is_one_line(tmp_path, text):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(InputError, match=r"\.fusionrs\.json .*; give a new folder$"):
        write(tmp_path)


HOLD = """
import sys
from pathlib import Path
from fusionrs_hf.output_folder import writing
with writing(Path(sys.argv[1]), "build"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold(tmp_path):
    """Starts a process that holds a folder until it is killed; returns what starts it."""
    running = []

    def start(folder):
        command = [sys.executable, "-c", HOLD, folder]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_one_writes_and_the_lock_ends_with_its_process(tmp_path, hold):
    out = tmp_path / "out"
    writer = hold(out)
    with pytest.raises(InputError, match=rf"is in use by .*process {writer.pid} on .*wait until it has ended"):
        write(out, "build")
    writer.kill()
    writer.wait()
    write(out, "build")
    assert read_manifest(out).finished


def test_readers_hold_a_folder_together_and_keep_writers_out(tmp_path):
    out = tmp_path / "out"
    write(out)
    with reading(out), reading(out) as folder:
        assert folder == out
        with pytest.raises(InputError, match=rf"is in use by .*process {os.getpid()} on .*; wait until it has ended"):
            write(out)
    write(out)


def test_a_folder_that_is_not_finished_is_read_by_nobody(tmp_path):
    out = tmp_path / "out"
    write(out, finish=False)
    with pytest.raises(InputError, match=r"is not finished: `fusionrs embed` .* finish it with: "), reading(out):
        pass
    with writing(out, "embed") as output:
        output.finish()
        output.reopen()
    with pytest.raises(InputError, match="is not finished"):
        require_finished(out)
    require_finished(tmp_path)  # says nothing of itself


def test_what_a_killed_process_left_half_prepared_is_in_nobodys_way(tmp_path):
    out = tmp_path / "out"
    code = (
        "import os, sys; from pathlib import Path; from fusionrs_hf.folder_scratch import scratch\n"
        "from fusionrs_hf.output_folder import writing\n"
        "with writing(sys.argv[1], 'export') as output, scratch(output.path) as place:\n"
        "    (place / 'half').write_text('half'); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(out)]).returncode == 9
    assert files_below(out) == [".fusionrs-scratch/half", MANIFEST]
    with writing(out, "export") as output, scratch(output.path) as place:
        assert not any(place.iterdir())
        (place / "whole").write_text("whole")
        output.make_way()
        output.move_in(place)
        output.finish()
    assert files_below(out) == [MANIFEST, "whole"]
    assert os.listdir(tmp_path) == ["out"]


def test_a_link_in_the_place_of_the_scratch_folder_is_refused(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis").write_text("thesis")
    write(tmp_path / "out")
    (tmp_path / "out" / ".fusionrs-scratch").symlink_to(tmp_path / "home")
    refused = pytest.raises(InputError, match="is in the way")
    with writing(tmp_path / "out", "embed") as output, refused, scratch(output.path):
        pass
    assert (tmp_path / "home" / "thesis").read_text() == "thesis"
