import pickle

import numpy as np
import pytest
from PIL import Image

from dataset_builder.sources import open_source
from dataset_builder.sources.folder import FolderSource
from fusionrs_hf.errors import InputError


@pytest.fixture
def images(tmp_path):
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    return tmp_path


def test_a_relative_path_starts_from_the_base(images):
    source = open_source({"kind": "folder", "path": "images", "rights": "CC0-1.0"}, images)
    assert isinstance(source, FolderSource)
    assert [row["sample_id"] for shard in source.shards() for row in source.read(shard)] == ["images/a.png"]


def test_an_absolute_path_stays(images, tmp_path_factory):
    spec = {"kind": "folder", "path": str(images / "images"), "rights": "CC0-1.0"}
    assert list(open_source(spec, tmp_path_factory.mktemp("elsewhere")).shards()) == [(("a.png", ()),)]


def test_sources_travel_by_pickle(images):
    source = open_source({"kind": "folder", "path": "images", "rights": "CC0-1.0"}, images)
    assert list(pickle.loads(pickle.dumps(source)).shards()) == list(source.shards())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"path": "images"}, "a source needs `kind`, one of repository, folder, pairs, table"),
        ({"kind": "foldr", "path": "images"}, "no source of kind 'foldr'; did you mean 'folder'?"),
        ({"kind": "folder", "pth": "images"}, "source of kind folder has the unknown key 'pth'; did you mean 'path'?"),
        ({"kind": "folder", "path": "images", "base": "/"}, "unknown key 'base'"),
        ({"kind": "folder", "path": "images"}, "source of kind folder needs rights, got path"),
        (
            {"kind": "folder", "path": "none", "rights": "x"},
            "none does not exist or is no folder; give one that holds",
        ),
        (
            {"kind": "repository", "path": "none"},
            "none does not exist; give a folder with Parquet by split, or a Hub id",
        ),
        ({"kind": "scene", "path": "none.tif", "rights": "x"}, "none.tif does not exist; give a GeoTIFF or a folder"),
    ],
)
def test_what_cannot_be_opened_is_told_in_one_line(images, spec, message):
    with pytest.raises(InputError, match=r"^[^\n]+$") as error:
        open_source(spec, images)
    assert message in str(error.value)
