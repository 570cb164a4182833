from pathlib import Path

import pytest

import dataset_builder
from dataset_builder.grouping import RELATIONS
from dataset_builder.recipe import BuildRecipe
from fusionrs_hf.errors import InputError

RECIPES = sorted((Path(dataset_builder.__file__).parent / "recipes").glob("*.yaml"))


def written(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_values_left_out_are_the_defaults_and_paths_start_from_the_file(tmp_path):
    recipe = BuildRecipe.from_yaml(
        written(tmp_path, "name: x\nsources: [{kind: folder, path: a}]\ntranslate: {band: swir}\n")
    )
    assert recipe.base == tmp_path
    assert recipe.translate.band == "swir"
    assert recipe.translate.translator == "radiometric"
    assert recipe.caption is None
    assert recipe.groups.radius == 4
    assert tuple(recipe.groups.relations) == RELATIONS
    assert recipe.splits.by == "source"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name: x\nsorces: []", "unknown key 'sorces'; did you mean 'sources'?"),
        ("name: x\nsources: [{}]\nsplits: {bye: hash}", "splits has the unknown key 'bye'; did you mean 'by'?"),
        ("name: x\nsources: [{}]\nbase: /", "unknown key 'base'"),
        ("sources: [{}]", "missing 1 required positional argument: 'name'"),
        ("name: x\nsources: []", "at least one source, got none"),
        ("name: x\nsources: [{}]\nsplits: {by: coin}", "by 'source' or 'hash', got 'coin'"),
        ("name: x\nsources: [{}]\ngroups: {radius: many}", "groups: "),
        ("name: x\nsources: [{}]\ngroups: {relations: [colour]}", r"got \['colour'\]"),
        ("name: x\nsources: [{}]\nir_range: {lwir: [300, 250]}", r"got lwir: \[300, 250\]"),
        ("name: x\nsources: [{}]\nir_range: {thermal: [0, 1]}", "ir_range must map a band of"),
        ("name: x\nsources: [{}]\nmax_shard_bytes: 0", "max_shard_bytes must be positive, got 0"),
        ("- a\n- b", "must be a mapping of keys to values"),
        ("name: [", "is not YAML"),
    ],
)
def test_a_wrong_recipe_is_one_line_that_says_what_to_do(tmp_path, text, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        BuildRecipe.from_yaml(written(tmp_path, text))
    assert "\n" not in str(error.value)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        BuildRecipe.from_yaml(tmp_path / "none.yaml")


def test_the_echo_has_no_absolute_path(tmp_path):
    sources = [
        {"kind": "folder", "path": str(tmp_path / "images"), "rights": "CC0-1.0"},
        {"kind": "folder", "path": "b/c"},
    ]
    echo = BuildRecipe.from_mapping({"name": "x", "sources": sources}, base=tmp_path).echo()
    assert [spec["path"] for spec in echo["sources"]] == ["images", "b/c"]
    assert str(tmp_path) not in str(echo)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_every_shipped_recipe_is_read(path):
    assert BuildRecipe.from_yaml(path).name


def test_recipes_are_shipped():
    assert {path.name for path in RECIPES} >= {"demo.yaml", "folder.yaml", "scene.yaml"}
