import hashlib
from pathlib import Path

import pytest
import yaml

from dataset_builder.sample.scenes import declared_scenes
from fusionrs_hf.errors import InputError
from tests.dataset_builder.sample.test_cut import DECLARED


def declared(folder: Path, path: str, sha256: dict[str, str]):
    """The scene of `test_cut`, of other files."""
    values = DECLARED | {"sha256": sha256, "source": DECLARED["source"] | {"path": path}}
    (folder / "scenes.yaml").write_text(yaml.safe_dump({"scenes": [values]}))
    (scene,) = declared_scenes(folder / "scenes.yaml")
    return scene


@pytest.mark.parametrize(("path", "names"), [("bands", ["B4.tif", "B5.tif"]), ("bands/B4.tif", ["B4.tif"])])
def test_a_scene_of_one_file_or_of_a_file_a_band_is_opened_after_each_is_compared(tmp_path, path, names):
    (tmp_path / "bands").mkdir()
    for name in names:
        (tmp_path / "bands" / name).write_text(name)
    sha256 = {name: hashlib.sha256(name.encode()).hexdigest() for name in names}
    source = declared(tmp_path, path, sha256).open(tmp_path)
    assert Path(source.path) == tmp_path / path and source.name == "made"

    other = sha256 | {names[-1]: "0" * 64}
    with pytest.raises(
        InputError, match=f"{names[-1]} has SHA-256 {sha256[names[-1]]}, expected 0+; install made 1.0 again"
    ):
        declared(tmp_path, path, other).open(tmp_path)
    (tmp_path / "bands" / names[-1]).unlink()
    with pytest.raises(InputError, match=f"{names[-1]} is missing; install requirements-scenes.txt"):
        declared(tmp_path, path, sha256).open(tmp_path)


def test_a_scene_of_other_pixels_than_its_captions_may_tell_of_has_a_rule_a_band(tmp_path):
    scene = declared(tmp_path, "made.tif", {})
    assert scene.name == "made" and {band: rule.name for band, rule in scene.rules.items()} == {
        "nir": "made/nir",
        "lwir": "made/lwir",
    }
    assert {"B2", "B3", "B4", "B5"} <= scene.rules["nir"].hidden and "B6" not in scene.rules["nir"].hidden
    assert {"B2", "B3", "B4", "B10"} <= scene.rules["lwir"].hidden and "B6" not in scene.rules["lwir"].hidden
