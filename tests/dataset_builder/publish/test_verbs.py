"""`fusionrs build` with `--publish`, `--remove` and the recipe keys that go with them."""

import json
import shutil

import pytest
import yaml

from fusionrs_hf.cli import main
from tests.dataset_builder.made.rights_rows import TILES, recipe_of, rows_of, write_source


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    root = tmp_path_factory.mktemp("verbs")
    source = write_source(root / "source", {tile: TILES[tile] for tile in (0, 2, 7)})
    recipe = recipe_of(source).echo() | {"sources": [{"kind": "repository", "path": "source"}]}
    (root / "recipe.yaml").write_text(yaml.safe_dump({name: value for name, value in recipe.items() if value}))
    assert main(["build", str(root / "recipe.yaml"), str(root / "out"), "--workers", "1"]) == 0
    return root


@pytest.fixture
def home(origin, tmp_path):
    return shutil.copytree(origin, tmp_path / "home")


def run(home, *arguments):
    return main(["build", *(str(home / a) if (home / a).exists() else a for a in arguments), "--workers", "1"])


def told(capsys):
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


def test_a_finished_folder_is_published_with_and_without_its_recipe(home, capsys):
    assert run(home, "out", "--publish", "index") == 0
    assert run(home, "recipe.yaml", "out", "--publish", "redacted") == 0
    assert rows_of(home / "out/publish/redacted")["t2/nir"]["rgb"] is None
    assert run(home, "out", "--publish", "full") == 2
    assert "'RSICD': images of 3, infrared of 1" in told(capsys)


def test_the_recipes_policy_decides_and_is_kept(home):
    recipe = home / "recipe.yaml"
    recipe.write_text(recipe.read_text() + "rights_policy: mine.yaml\n")
    allowed = "RSICD: {images: yes, infrared: yes, captions: yes, ir_captions: yes, licence: written permission}"
    (home / "mine.yaml").write_text(allowed)
    assert run(home, "recipe.yaml", "out", "--publish", "full") == 0
    assert "written permission" in (home / "out/publish/full/NOTICE.md").read_text()
    (home / "mine.yaml").unlink()
    assert run(home, "out", "--publish", "full") == 0


def test_rows_are_removed_with_and_without_the_recipe(home, capsys):
    (home / "ids.txt").write_text("t7/nir\tasked by its owner\n")
    assert run(home, "out", "--remove", "ids.txt", "--date", "2026-03-01") == 0
    assert "t7/nir" not in rows_of(home / "out")
    (home / "ids.txt").write_text("t0/nir\n")
    assert run(home, "recipe.yaml", "out", "--remove", "ids.txt", "--publish", "index") == 0
    assert (
        set(rows_of(home / "out/publish/index"))
        == set(rows_of(home / "out"))
        == {
            "t0/lwir",
            "t0/rgb",
            "t2/nir",
            "t2/lwir",
            "t2/rgb",
            "t7/lwir",
            "t7/rgb",
        }
    )
    stones = [json.loads(line) for line in (home / "out/tombstones.jsonl").read_text().splitlines()]
    assert [(stone["sample_id"], stone["reason"], stone["date"]) for stone in stones] == [
        ("t7/nir", "asked by its owner", "2026-03-01"),
        ("t0/nir", None, None),
    ]
    assert run(home, "recipe.yaml", "out") == 0
    (home / "ids.txt").write_text("t0/nir\nnone\n")
    assert run(home, "out", "--remove", "ids.txt") == 2
    assert "t0/nir (removed in version 1.0.2), none; nothing was removed" in told(capsys)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["out"], "give RECIPE and OUT; OUT alone goes with --publish or --remove"),
        (["out", "--publish", "all"], "there is no level 'all' to publish; known are full, redacted, index"),
        (["recipe.yaml", "out", "--date", "2026-03-01"], "--date goes with --remove"),
        (["out", "--remove", "nowhere.txt"], "No such file or directory: 'nowhere.txt'"),
        (
            ["recipe.yaml", "out", "--rank", "0", "--world-size", "2", "--publish", "full"],
            "a rank reads its share only",
        ),
    ],
)
def test_what_cannot_be_is_one_line(home, capsys, arguments, sentence):
    assert run(home, *arguments) == 2
    assert sentence in told(capsys)
