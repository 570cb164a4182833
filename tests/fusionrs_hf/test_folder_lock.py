import os
import shutil
import subprocess
import sys

import pytest

from fusionrs_hf import folder_lock
from fusionrs_hf.folder_lock import ALONE, TOGETHER, FolderInUseError, command_line, held, share


def test_one_holds_alone_or_several_together(tmp_path):
    refused = pytest.raises(FolderInUseError)
    with held(tmp_path, TOGETHER), held(tmp_path, TOGETHER), refused, held(tmp_path, ALONE):
        pass
    with held(tmp_path, ALONE) as lock:
        with pytest.raises(FolderInUseError), held(tmp_path, TOGETHER):
            pass
        share(lock, tmp_path)
        with held(tmp_path, TOGETHER):
            pass
    assert os.listdir(tmp_path) == []  # a lock leaves nothing


def test_a_folder_that_was_deleted_meanwhile_is_made_and_held_again(tmp_path, monkeypatch):
    folder, take, calls = tmp_path / "out", folder_lock._take, []

    def late(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            shutil.rmtree(folder)
        take(*arguments)

    monkeypatch.setattr(folder_lock, "_take", late)
    with held(folder, ALONE) as lock:
        assert os.path.samestat(os.fstat(lock), os.stat(folder))
    assert len(calls) == 2


@pytest.mark.parametrize("is_told", [True, False])
def test_who_holds_a_folder_is_named(tmp_path, monkeypatch, is_told):
    code = "import sys; from pathlib import Path; from fusionrs_hf.folder_lock import ALONE, held\n"
    code += "with held(Path(sys.argv[2]), ALONE): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, "fusionrs_hf.cli", tmp_path, "--option", "api_key=secret"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    if not is_told or not folder_lock.LOCKS.exists():
        monkeypatch.setattr(folder_lock, "LOCKS", tmp_path / "none")
        named = "is in use by whoever the manifest names; wait until it has ended, or stop it"
    else:
        named = rf"is in use by `fusionrs {tmp_path} --option api_key=...` \(process {process.pid} on .*\); wait until"
    try:
        with (
            pytest.raises(FolderInUseError, match=named),
            held(tmp_path, ALONE, lambda: "whoever the manifest names"),
        ):
            pass
    finally:
        process.kill()
        process.communicate()
    with held(tmp_path, ALONE):
        pass


def test_a_command_is_told_as_it_is_typed_without_secrets():
    words = ["/usr/bin/python", "/home/me/bin/fusionrs", "caption", "D", "my out", "--option", 'extra={"key": "s"}']
    assert command_line(words) == "fusionrs caption D 'my out' --option extra=..."
    assert command_line(["fusionrs", "caption", "--option=a=s", "D"]) == "fusionrs caption --option=a=... D"
    assert command_line(["python", "-m", "fusionrs_hf.cli", "build", "r.yaml"]) == "fusionrs build r.yaml"
    assert command_line(["/tmp/script.py", "x"]) == "script.py x"
    assert command_line(["-c"]) == "the same call again"
