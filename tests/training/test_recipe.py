import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fusionrs_hf.errors import InputError
from training.recipe import parse_recipe, read_mapping, read_recipe


@dataclass
class Fields:
    dataset: str = field(metadata={"help": "Where."})
    steps: int = 3
    fast: bool = True
    limit: float | None = 1.5
    names: list[str] | None = None

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError(f"steps must be positive, got {self.steps}")


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("dataset: here\nsteps: 5\n")
    return str(path)


def test_the_command_line_wins_over_the_recipe(recipe):
    assert parse_recipe((Fields,), ["--config", recipe, "--steps", "7"]) == (Fields("here", 7),)
    assert parse_recipe((Fields,), ["--config", recipe, "--no_fast"]) == (Fields("here", 5, False),)


def test_null_unsets_a_field(tmp_path, recipe):
    """None where the field may be None, else its default; in the recipe as on the command line."""
    for options in (["--limit", "null"], ["--limit=null"]):
        assert parse_recipe((Fields,), ["--config", recipe, *options]) == (Fields("here", 5, limit=None),)
    whole = ["--config", recipe, "--steps", "null", "--names", "a", "b", "--limit", "null"]
    assert parse_recipe((Fields,), whole) == (Fields("here", 3, limit=None, names=["a", "b"]),)
    nulls = tmp_path / "nulls.yaml"
    nulls.write_text("base: recipe.yaml\nsteps: null\nlimit: null\nfast: false\n")
    assert parse_recipe((Fields,), ["--config", str(nulls)]) == (Fields("here", 3, False, None),)
    assert parse_recipe((Fields,), ["--config", str(nulls), "--limit", "2"]) == (Fields("here", 3, False, 2.0),)
    with pytest.raises(InputError, match="arguments are required: --dataset"):
        parse_recipe((Fields,), ["--config", recipe, "--dataset", "null"])
    with pytest.raises(InputError, match="unknown key 'limits' in the command line; did you mean 'limit'"):
        parse_recipe((Fields,), ["--config", recipe, "--limits", "null"])


def test_a_recipe_sets_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("OF_A_RECIPE", "before")
    path = tmp_path / "env.yaml"
    path.write_text("dataset: here\nenv: {OF_A_RECIPE: 3}\n")
    assert parse_recipe((Fields,), ["--config", str(path)]) == (Fields("here"),)
    assert os.environ["OF_A_RECIPE"] == "3"
    path.write_text("dataset: here\nenv: [OF_A_RECIPE]\n")
    with pytest.raises(InputError, match="env must be a mapping"):
        parse_recipe((Fields,), ["--config", str(path)])


def test_numbers_of_a_recipe_may_be_texts_that_yaml_takes_for_no_numbers(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("dataset: here\nlimit: 1e-4\n")  # YAML 1.1 wants 1.0e-4
    assert parse_recipe((Fields,), ["--config", str(path)]) == (Fields("here", limit=1e-4),)


def test_a_value_of_the_wrong_kind_is_refused_without_the_usage(recipe, capsys):
    with pytest.raises(InputError, match="the recipe is refused: argument --steps: invalid int value: 'many'"):
        parse_recipe((Fields,), ["--config", recipe, "--steps", "many"])
    assert capsys.readouterr().err == ""


def test_an_unknown_key_or_option_names_the_nearest(tmp_path, recipe):
    typo = tmp_path / "typo.yaml"
    typo.write_text("dataset: here\nstep: 5\n")
    with pytest.raises(InputError, match="unknown key 'step' in .*typo.yaml; did you mean 'steps'"):
        parse_recipe((Fields,), ["--config", str(typo)])
    with pytest.raises(InputError, match="unknown key 'stepz' in the command line"):
        parse_recipe((Fields,), ["--config", recipe, "--stepz", "4"])


def test_a_refused_value_keeps_its_reason(recipe):
    with pytest.raises(InputError, match="steps must be positive, got -2"):
        parse_recipe((Fields,), ["--config", recipe, "--steps", "-2"])


@pytest.mark.parametrize("content", ["- a\n- b\n", "just words\n"])
def test_a_recipe_that_is_no_mapping_is_refused(tmp_path, content):
    path = tmp_path / "recipe.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match="must be a YAML mapping"):
        read_mapping(path)


def test_a_recipe_that_is_no_yaml_names_the_line(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("dataset: here\nsteps 5\n")
    with pytest.raises(InputError, match="recipe.yaml is not YAML .*line 3"):
        read_mapping(path)


def test_config_without_a_path_is_refused():
    with pytest.raises(InputError, match="needs the path"):
        parse_recipe((Fields,), ["--config"])


def test_a_recipe_says_what_differs_from_its_base(tmp_path, recipe):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "slow.yaml").write_text("base: ../recipe.yaml\nfast: false\n")
    (tmp_path / "more" / "short.yaml").write_text("base: slow.yaml\nsteps: 1\n")
    short = str(tmp_path / "more" / "short.yaml")
    assert parse_recipe((Fields,), ["--config", short]) == (Fields("here", 1, False),)
    assert parse_recipe((Fields,), ["--config", short, "--dataset", "there"]) == (Fields("there", 1, False),)


def test_recipes_that_are_each_others_base_are_refused(tmp_path):
    for name, base in (("one", "two"), ("two", "one")):
        (tmp_path / f"{name}.yaml").write_text(f"base: {base}.yaml\n")
    with pytest.raises(InputError, match="one.yaml is its own base, by one.yaml and two.yaml"):
        read_recipe(tmp_path / "one.yaml")


def test_a_base_that_is_missing_is_named(tmp_path):
    (tmp_path / "one.yaml").write_text("base: gone.yaml\n")
    with pytest.raises(InputError, match="gone.yaml does not exist"):
        read_recipe(tmp_path / "one.yaml")


def test_a_recipe_that_ships_is_named_alike_from_any_folder_and_one_s_own_goes_before(tmp_path, monkeypatch):
    name = Path("training/recipes/clip_demo.yaml")
    ours = read_recipe(name)
    monkeypatch.chdir(tmp_path)
    assert read_recipe(name) == ours and ours["text_pooling"] == "mean"
    with pytest.raises(InputError, match="recipes/clip_dome.yaml does not exist; those that ship are in"):
        read_recipe(name.with_name("clip_dome.yaml"))
    name.parent.mkdir(parents=True)
    name.write_text("text_pooling: cls")
    assert read_recipe(name) == {"text_pooling": "cls"}
