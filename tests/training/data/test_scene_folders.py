import hashlib

import pytest

from fusionrs_hf.errors import InputError
from tests.made import scene_sets
from training.data.scene_folders import LAYOUTS, class_title, last_fifth, read_folder, scored_images


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_each_upstream_layout_is_read_from_the_archive_and_from_its_class_folders(layout, tmp_path):
    scene_sets.write_scenes(tmp_path, layout, images=3)
    root, classes, _ = scene_sets.ROOTS[layout]
    scenes = read_folder(tmp_path, LAYOUTS[layout])
    assert scenes.root == tmp_path / root and scenes.classes == sorted(classes)
    assert scenes.labels == [0, 0, 0, 1, 1, 1]
    assert read_folder(tmp_path / root, LAYOUTS[layout]).as_text() == scenes.as_text()


def test_remoteclip_scores_the_last_fifth_of_each_class_in_lexical_order(tmp_path):
    """Of airport_1 ... airport_10 the lexical order is 1, 10, 2, ..., 9: the last two are 8 and 9."""
    scenes = read_folder(scene_sets.write_scenes(tmp_path, "aid"), LAYOUTS["aid"])
    scored = scored_images(scenes, "remoteclip")
    names = ["Airport/airport_8.jpg", "Airport/airport_9.jpg", "BareLand/bareland_8.jpg", "BareLand/bareland_9.jpg"]
    assert scored.files == names and scored.labels == [0, 0, 1, 1]
    assert scored.sha256 == hashlib.sha256("".join(f"{name}\n" for name in names).encode()).hexdigest()
    assert scored_images(scenes, "skyscript").files == scenes.files


def test_the_two_parts_share_no_image_and_keep_every_class(tmp_path):
    rest, last = last_fifth(read_folder(scene_sets.write_scenes(tmp_path, "ucm", images=3), LAYOUTS["ucm"]))
    assert len(rest.files) == 4 and len(last.files) == 2 and not set(rest.files) & set(last.files)


@pytest.mark.parametrize(
    ("layout", "folder", "title"),
    [
        ("aid", "BareLand", "bare land"),
        ("nwpu", "basketball_court", "basketball court"),
        ("ucm", "mobilehomepark", "mobile home park"),
        ("eurosat", "SeaLake", "sea or lake"),
        ("patternnet", "christmas_tree_farm", "christmas tree farm"),
    ],
)
def test_class_names_are_cleaned_by_the_documented_rule(layout, folder, title):
    assert class_title(folder, LAYOUTS[layout]) == title


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(InputError, match="has no class folders with images; UC Merced"):
        read_folder(tmp_path, LAYOUTS["ucm"])
