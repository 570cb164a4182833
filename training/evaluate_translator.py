"""Scores a learned translator against sensor infrared, beside constants, gray, lines, trees and the formula.

fusionrs eval translator --model runs/translator --dataset dataset_builder/sample \
    --levels training/recipes/translator_levels.yaml --output runs/translator/metrics.json

Tiles of a scene that the model was trained on are shown under that scene's condition, others as unknown, as a build
does; those whose level is known (`--levels`) as reflectance, too. Values are in 0 to 1 of the band's display; R2 is
given as it is and after the best scale and offset. Intervals resample blocks of neighbouring tiles.
"""

import argparse
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dataset_builder.translators.learned import LearnedTranslator
from fusionrs_hf.arguments import Arguments, file_to_write, path
from fusionrs_hf.errors import InputError, shown
from model_cards.facts import place_name
from model_cards.translation_page import TranslatedTile, write_translation_page
from training.data.held_folders import adding
from training.data.pairs import load_pairs
from training.data.translation_tiles import TileImages, find_tiles
from training.recipe import read_mapping
from training.release.refresh import refresh_beside
from training.scoring.band_tiles import BandTiles, block_of
from training.scoring.translated_tiles import best_and_worst
from training.scoring.translation_rivals import fit_rivals, unfitted_rivals, z_scored_mean
from training.scoring.translation_scores import (
    Predictions,
    affine_better_by,
    better_by,
    error_ranking,
    gray_gradient,
    score_tiles,
    summarise,
)

logger = logging.getLogger(__name__)
LEVEL_KEYS = {"kind", "rgb", "scale", "offset"}


def tiles_by_scene(dataset: str, split: str, bands: Sequence[str]) -> dict[str, dict[str, BandTiles]]:
    """Returns the tiles of a split with sensor infrared, by scene and band."""
    rows = load_pairs(dataset, split)
    images = TileImages(rows, find_tiles(rows, bands), bands)
    scenes: dict[str, dict[str, BandTiles]] = {}
    for index in range(len(images)):
        tile = images[index]
        for place, band in enumerate(bands):
            if tile["present"][place]:
                part = scenes.setdefault(tile["scene"], {}).setdefault(band, BandTiles())
                part.rgb.append(tile["rgb"])
                part.infrared.append(tile["ir"][place])
                part.blocks.append(block_of(tile["locator"]))
    return scenes


def add_reflectance(tiles: BandTiles, level: Mapping[str, Any]) -> None:
    """Gives tiles the reflectance that their display was made from, but for what the display clipped and rounded.

    Args:
        tiles: In place.
        level: `rgb`, the values that became 0 and 255; `scale` and `offset` make reflectance times 10,000 of them.
    """
    low, high = np.asarray(level["rgb"], np.float64).T
    for image in tiles.rgb:
        tiles.reflectance.append((low + image / 255 * (high - low)) * level["scale"] + level["offset"])


def read_levels(path: Path | None) -> dict[str, dict[str, Any]]:
    """Returns what is known of scenes' levels: by scene `kind`, `rgb`, `scale`, `offset`.

    Raises:
        InputError: The file is missing or no such mapping.
    """
    levels = {} if path is None else read_mapping(path)
    for scene, level in levels.items():
        if not isinstance(level, dict) or set(level) != LEVEL_KEYS:
            raise InputError(f"{path}: {scene} must have the keys {sorted(LEVEL_KEYS)}, got {shown(level)}")
    return levels


def answers(translator: LearnedTranslator, tiles: BandTiles, band: str) -> Predictions:
    """Returns a translator's answers for display images, not rounded to grey levels."""
    shown = [image.astype(np.float32) / 255 for image in tiles.rgb]
    return _predictions(translator.quantiles(tiles.rgb, shown, band))


def answers_to_reflectance(translator: LearnedTranslator, tiles: BandTiles, band: str, kind: str) -> Predictions:
    """Returns a translator's answers for reflectance; offsets of `surface` and `raw` are the whole scene's."""
    pipeline = translator.pipeline
    dark = np.quantile(np.concatenate([part.reshape(-1, 3) for part in tiles.reflectance]), 0.01, axis=0)
    shown = [pipeline.show_reflectance(part, kind, dark) for part in tiles.reflectance]
    return _predictions(pipeline.predict(shown, band, pipeline.reflectance_condition()))


def _predictions(quantiles: Sequence[np.ndarray]) -> Predictions:
    low, median, high = (list(side) for side in zip(*(np.clip(values, 0, 1) for values in quantiles)))
    return Predictions(median=median, low=low, high=high)


def score_band(
    methods: Mapping[str, Predictions], tiles: BandTiles, rival_of: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Returns every method's scores, and how much better the learned ones are than their rivals.

    Args:
        methods: By name; those of the translator begin with `learned`.
        tiles: The truth.
        rival_of: For a method of the translator, the names that it is compared with.
    """
    truth = [image.astype(np.float64) / 255 for image in tiles.infrared]
    valid = tiles.valid or [np.ones(image.shape, bool) for image in truth]
    blocks = np.array(tiles.blocks)
    scored = {name: score_tiles(truth, valid, predicted) for name, predicted in methods.items()}
    result: dict[str, Any] = {"tiles": len(truth), "blocks": len(set(tiles.blocks))}
    result["methods"] = {name: summarise(scores, blocks) for name, scores in scored.items()}
    edges = [gray_gradient(image) for image in tiles.rgb]
    for name, rivals in rival_of.items():
        entry = result["methods"][name]
        entry["error_ranking"] = error_ranking(truth, valid, methods[name], edges)
        entry["less_squared_error_than"] = {other: list(better_by(scored[name], scored[other])) for other in rivals}
        entry["more_affine_r2_than"] = {
            other: list(affine_better_by(scored[name], scored[other], blocks)) for other in rivals
        }
    return result


def score_scene(
    model: str | None,
    scene: str,
    parts: Mapping[str, BandTiles],
    train: Mapping[str, BandTiles] | None,
    level: Any,
    pictures: list[TranslatedTile] | None = None,
) -> dict[str, Any]:
    """Returns the scores of a scene's bands, and how much of it the translator takes for its own kind.

    Args:
        model: Folder or Hub id; None: the one that ships.
        scene: Name; one of the model's is shown under its condition.
        parts: Tiles by band.
        train: Training tiles by band, of this scene or another, for the rivals that need some; None: there are none.
        level: See `read_levels`; None: not known.
        pictures: Gets the best and the worst tiles of each band.
    """
    unknown = LearnedTranslator(model)
    is_known = scene in unknown.pipeline.translator.config.conditions
    translator = LearnedTranslator(model, condition=scene) if is_known else unknown
    first = next(iter(parts.values()))
    shown = [image.astype(np.float32) / 255 for image in first.rgb]
    result: dict[str, Any] = {
        "known": is_known,
        "flagged_share": float(np.mean([translator.share_in_domain(image) < 0.5 for image in shown])),
        "bands": {},
    }
    for band, tiles in parts.items():
        rivals = fit_rivals(train[band].rgb, train[band].infrared, band) if train and band in train else {}
        rivals = rivals | unfitted_rivals(band)
        methods = {name: Predictions([rival(image) for image in tiles.rgb]) for name, rival in rivals.items()}
        against = {"trees", "gray_as_shown", "radiometric"} & methods.keys()
        compared: dict[str, list[str]] = {}
        if band in translator.bands:
            methods["learned"] = answers(translator, tiles, band)
            compared["learned"] = sorted(against)
            if pictures is not None:
                pictures += best_and_worst(scene, band, is_known, tiles, methods["learned"])
        if not is_known and band in unknown.bands:
            alone = _predictions(unknown.pipeline.predict(shown, band, unknown.condition))
            methods["learned_without_formula"] = alone
            compared["learned_without_formula"] = sorted(against)
            medians = [alone.median, methods["radiometric"].median, methods["gray_as_shown"].median]
            methods["z_scored_mean"] = Predictions(z_scored_mean(medians[:2]))
            methods["z_scored_mean_with_gray"] = Predictions(z_scored_mean(medians))
        if level is not None and not tiles.reflectance:
            add_reflectance(tiles, level)
        if tiles.reflectance and not is_known:
            offered = unknown.pipeline.translator.bands_of(unknown.pipeline.reflectance_condition())
            if band in offered:
                methods["learned_reflectance"] = answers_to_reflectance(unknown, tiles, band, level["kind"])
                compared["learned_reflectance"] = sorted(against)
        result["bands"][band] = score_band(methods, tiles, compared)
        logger.info("%s %s: %s", scene, band, _line(result["bands"][band]))
    return result


def _line(entry: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} R2 {scores['r2']:.3f} / {scores['r2_median_tile']:.3f}, affine {scores['affine_r2']:.3f}"
        for name, scores in entry["methods"].items()
        if name.startswith("learned") or name in ("trees", "radiometric", "gray_as_shown")
    )


def evaluate(
    model: str | None,
    dataset: str,
    split: str = "test",
    levels: Mapping[str, Mapping[str, Any]] | None = None,
    pictures: list[TranslatedTile] | None = None,
) -> dict[str, Any]:
    """Returns the scores of every scene of a split; rivals are fitted on the scene's training tiles, else on all."""
    translator = LearnedTranslator(model)
    bands = list(translator.pipeline.translator.config.bands)
    scenes, train = (tiles_by_scene(dataset, name, bands) for name in (split, "train"))
    pooled: dict[str, BandTiles] = {}
    for parts in train.values():
        for band, tiles in parts.items():
            target = pooled.setdefault(band, BandTiles())
            target.rgb += tiles.rgb
            target.infrared += tiles.infrared
    parameters = sum(value.numel() for value in translator.pipeline.translator.parameters())
    result = {"revision": translator.revision, "parameters": parameters, "split": split, "scenes": {}}
    for scene, parts in scenes.items():
        level = (levels or {}).get(scene)
        result["scenes"][scene] = score_scene(model, scene, parts, train.get(scene, pooled), level, pictures)
    return result


def make_parser() -> argparse.ArgumentParser:
    """Builds the parser."""
    parser = Arguments(prog="fusionrs eval translator", description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="folder or Hub id (default: the one that ships)")
    parser.add_argument("--dataset", required=True, help="folder or Hub id with sensor infrared")
    parser.add_argument("--split", default="test", choices=("validation", "test"))
    parser.add_argument("--levels", type=path, help="YAML: by scene, what is known of its level")
    parser.add_argument("--page", type=file_to_write, help="HTML to write: good and bad tiles with their intervals")
    parser.add_argument("--output", type=file_to_write, required=True, help="JSON to write")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Scores a translator; writes the results."""
    arguments = make_parser().parse_args(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    levels = read_levels(arguments.levels)
    pictures: list[TranslatedTile] = []
    results = evaluate(arguments.model, arguments.dataset, arguments.split, levels, pictures)
    with adding(arguments.output):
        arguments.output.write_text(json.dumps(results, indent=1) + "\n")
    if arguments.page is not None:
        with adding(arguments.page):
            write_translation_page(arguments.page, place_name(arguments.model or "the shipped translator"), pictures)
    refresh_beside(arguments.output)


if __name__ == "__main__":
    main()
