import json

import numpy as np
import pytest
import torch

from fusionrs_hf.errors import InputError
from tests.made import tiny_dataset, tiny_translator
from training.evaluate_translator import add_reflectance, main, read_levels
from training.scoring.band_tiles import BandTiles


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("translator")
    tiny_translator.pipeline().save_pretrained(home / "model")
    return home / "model", tiny_dataset.write(home / "dataset", train=4, held_out=4, unseen=2)


def test_every_scene_band_and_method_is_scored(folders, tmp_path):
    model, dataset = folders
    levels = tmp_path / "levels.yaml"
    levels.write_text("other: {kind: toa, rgb: [[0, 3000], [0, 3000], [0, 3000]], scale: 1.0, offset: 0}\n")
    output = tmp_path / "metrics.json"
    page = tmp_path / "page.html"
    command = ("--model", model, "--dataset", dataset, "--levels", levels, "--output", output, "--page", page)
    main([*map(str, command)])
    assert page.read_text().count('class="tile"') == 4  # two of each scene
    results = json.loads(output.read_text())
    assert set(results["scenes"]) == {"scene", "other"} and results["split"] == "test"
    seen, unseen = (results["scenes"][name]["bands"]["nir"] for name in ("scene", "other"))
    assert seen["tiles"] == unseen["tiles"] == 2
    fitted = {"mean", "gray", "linear", "trees", "gray_as_shown", "radiometric"}
    assert set(seen["methods"]) == fitted | {"learned"}
    learned = {"learned", "learned_without_formula", "learned_reflectance"}
    assert set(unseen["methods"]) == fitted | learned | {"z_scored_mean", "z_scored_mean_with_gray"}
    learned = seen["methods"]["learned"]
    assert {"r2", "affine_r2_interval", "coverage", "interval_width", "error_ranking", "psnr", "ssim"} <= set(learned)
    assert set(learned["less_squared_error_than"]) == {"trees", "gray_as_shown", "radiometric"}
    assert results["scenes"]["other"]["flagged_share"] == 1.0  # no domain was fitted


def test_reflectance_is_what_the_display_was_made_of():
    rgb = np.array([[[0, 255, 51]]], np.uint8)
    tiles = BandTiles(rgb=[rgb])
    add_reflectance(tiles, {"rgb": [[100, 200], [300, 500], [0, 1000]], "scale": 2.0, "offset": -10})
    np.testing.assert_allclose(tiles.reflectance[0], [[[190, 990, 390]]])


def test_levels_must_say_all(tmp_path):
    (tmp_path / "levels.yaml").write_text("scene: {kind: toa}\n")
    with pytest.raises(InputError, match="must have the keys"):
        read_levels(tmp_path / "levels.yaml")
    assert read_levels(None) == {}


def test_perfect_answers_score_perfectly(folders):
    from training.evaluate_translator import score_band
    from training.scoring.translation_scores import Predictions

    generator = torch.Generator().manual_seed(0)
    infrared = [torch.randint(0, 256, (16, 16), generator=generator).numpy().astype(np.uint8) for _ in range(3)]
    tiles = BandTiles([np.stack([image] * 3, -1) for image in infrared], infrared, ["a", "b", "c"])
    exact = [image / 255 for image in infrared]
    result = score_band({"learned": Predictions(exact, exact, exact)}, tiles, {})
    scores = result["methods"]["learned"]
    assert scores["r2"] == pytest.approx(1) and scores["mae"] == 0 and scores["coverage"] == 1
