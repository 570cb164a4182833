from pathlib import Path

import pytest

import dataset_builder
from dataset_builder.groups.grouping import RELATIONS
from dataset_builder.recipe import BuildRecipe, CaptionRecipe, load_recipe, read_caption_recipe
from fusionrs_hf.errors import InputError

RECIPES = sorted((Path(dataset_builder.__file__).parent / "recipes").glob("*.yaml"))


def written(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_values_left_out_are_the_defaults_and_paths_start_from_the_file(tmp_path):
    recipe = load_recipe(written(tmp_path, "name: x\nsources: [{kind: folder, path: a}]\ntranslate: {band: swir}\n"))
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
        ("sources: [{}]", "recipe.yaml needs name"),
        ("name: x\nsources: []", "at least one source, got none"),
        ("name: x\nsources: [{}]\nsplits: {by: coin}", "by 'source' or 'hash', got 'coin'"),
        ("name: x\nsources: [{}]\nsplits: {min_per_source: few}", "min_per_source must be a whole number, got 'few'"),
        ("name: x\nsources: [{}]\nsplits: {force_train: [a]}", r"force_train must be a text or a path, got \['a'\]"),
        ("name: x\nsources: [{}]\ngroups: {radius: many}", "groups: "),
        ("name: x\nsources: [{}]\ngroups: {relations: [colour]}", r"got \['colour'\]"),
        ("name: x\nsources: [{}]\nir_range: {lwir: [300, 250]}", r"got 'lwir': \[300, 250\]"),
        ("name: x\nsources: [{}]\nir_range: {thermal: [0, 1]}", "ir_range must map a band of"),
        ("name: x\nsources: [{}]\ncaption: {captoner: grounded}", "did you mean 'captioner'?"),
        ("name: x\nsources: [{}]\ncaption: {repairs: -1}", "repairs must be a whole number of at least 0, got -1"),
        ("name: x\nsources: [{}]\ncaption: {seed: true}", "seed must be a whole number, got True"),
        ("name: x\nsources: [{}]\ncaption: {options: [model]}", r"options must be a mapping .*, got \['model'\]"),
        ("name: x\nsources: [{}]\nmax_shard_bytes: 0", "max_shard_bytes must be positive, got 0"),
        ("- a\n- b", "must be a mapping of keys to values"),
        ("name: [", "is not YAML"),
    ],
)
def test_a_wrong_recipe_is_one_line_that_says_what_to_do(tmp_path, text, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        load_recipe(written(tmp_path, text))
    assert "\n" not in str(error.value)


def test_a_missing_recipe_or_a_folder_of_images_is_told_what_writes_one(tmp_path):
    with pytest.raises(InputError, match="none.yaml does not exist; `fusionrs inspect IMAGES > my.yaml` writes one"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="is a folder; `fusionrs inspect IMAGES"):
        load_recipe(tmp_path)


def test_the_echo_has_no_absolute_path(tmp_path):
    sources = [
        {"kind": "folder", "path": str(tmp_path / "images"), "rights": "CC0-1.0"},
        {"kind": "folder", "path": "b/c"},
    ]
    splits = {"force_train": str(tmp_path / "seen.txt"), "salt": "/salt"}
    echo = BuildRecipe.from_mapping({"name": "x", "sources": sources, "splits": splits}, base=tmp_path).echo()
    assert (echo["splits"]["force_train"], echo["splits"]["salt"]) == ("seen.txt", "/salt")
    assert [spec["path"] for spec in echo["sources"]] == ["images", "b/c"]
    assert str(tmp_path) not in str(echo)


def test_the_echo_of_options_has_no_absolute_path(tmp_path):
    caption = {"captioner": "endpoint", "options": {"model": "a/b", "cache": str(tmp_path / "answers")}}
    recipe = BuildRecipe.from_mapping({"name": "x", "sources": [{}], "caption": caption})
    assert recipe.echo()["caption"]["options"] == {"model": "a/b", "cache": "answers"}


def test_who_captions_is_read_from_a_build_recipe_or_from_its_part_alone(tmp_path):
    whole = (
        "name: x\nsources: [{}]\nir_range: {nir: [0, 9]}\ncaption: {captioner: endpoint, seed: 3, options: {model: a}}"
    )
    wanted = CaptionRecipe("endpoint", seed=3, options={"model": "a", "base_url": "u"})
    given = {"captioner": None, "seed": None, "options": {"base_url": "u"}}
    assert read_caption_recipe(written(tmp_path, whole), **given) == (wanted, {"nir": [0, 9]})
    part = "captioner: endpoint\nseed: 3\noptions: {model: a}"
    assert read_caption_recipe(written(tmp_path, part), **given) == (wanted, {})
    assert read_caption_recipe(written(tmp_path, "caption:\nir_range:\n")) == (CaptionRecipe(), {})
    assert read_caption_recipe(None, seed=4) == (CaptionRecipe(seed=4), {})


def test_the_command_line_wins_and_options_belong_to_their_captioner(tmp_path):
    path = written(tmp_path, "captioner: endpoint\nseed: 3\noptions: {model: a, base_url: u}")
    assert read_caption_recipe(path, captioner="local", options={"model": "b"})[0] == CaptionRecipe(
        "local", seed=3, options={"model": "b"}
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("captoner: local", "unknown key 'captoner'; did you mean 'captioner'?"),
        ("caption: {sed: 1}", "caption has the unknown key 'sed'; did you mean 'seed'?"),
        ("caption: {}\nsorces: []", "unknown key 'sorces'; did you mean 'sources'?"),
        ("caption: {}\nir_range: {nir: [9, 0]}", r"got 'nir': \[9, 0\]"),
        ("- a", "must be a mapping"),
    ],
)
def test_a_wrong_caption_recipe_is_one_line_that_says_what_to_do(tmp_path, text, sentence):
    with pytest.raises(InputError, match=sentence):
        read_caption_recipe(written(tmp_path, text))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_every_shipped_recipe_is_read(path):
    assert load_recipe(path).name


def test_recipes_are_shipped():
    assert {path.name for path in RECIPES} >= {"demo.yaml", "folder.yaml", "scene.yaml"}
