"""What a wheel holds: every tracked file of the four packages, and no test."""

import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.house import PACKAGES, ROOT


def tracked_files() -> list[str]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout: what is tracked is not known")
    return [name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.slow
@pytest.mark.every_change
def test_a_wheel_holds_every_file_of_the_packages_and_no_test(tmp_path):
    tree = tmp_path / "tree"
    for name in tracked_files():
        if name.split("/")[0] in PACKAGES or "/" not in name:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", tmp_path, tree], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {name for name in tracked_files() if name.split("/")[0] in PACKAGES}
    assert sorted(expected - held) == [], "not in the wheel; see package_data in setup.cfg"
    assert sorted(held - expected) == []
