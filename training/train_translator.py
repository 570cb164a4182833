"""Trains the learned translator on RGB and sensor infrared of the same tiles.

    fusionrs train translator --config training/recipes/translator_sample.yaml --output_dir runs/translator

Leaves a pipeline that `DiffusionPipeline.from_pretrained(..., trust_remote_code=True)` loads. A run that was stopped
goes on from its last checkpoint; one that is finished is left as it is, see `training/trainers/run_folder.py`. Also
runs under `torchrun --nproc_per_node N -m training.train_translator ...`.
"""

import dataclasses
import logging
import sys
import time
from collections.abc import Sequence

import torch
from transformers import TrainingArguments, set_seed

from fusionrs_hf.errors import InputError
from fusionrs_hf.modeling_fusionrs_translator import UNKNOWN, FusionRSTranslator
from fusionrs_hf.pipeline_fusionrs_translator import RGB2IRPipeline
from fusionrs_hf.translator import load_pipeline
from model_cards.facts import place_name
from training.data.held_folders import holding
from training.data.pairs import load_pairs
from training.data.translation_tiles import TileCollator, TileImages, find_tiles, first_tiles
from training.recipe import parse_recipe
from training.release.cards import write_translator_card
from training.release.trained import release
from training.trainers.averaging import AveragingTrainer
from training.trainers.callbacks import CaptionEpoch
from training.trainers.distributed import leave_processes
from training.trainers.run_folder import RunFolder
from training.trainers.run_log import write_run_log
from training.trainers.translator_fit import fit_blend, fit_domain, fit_intervals
from training.translator_arguments import IR_ORIGINS, TranslatorArguments

logger = logging.getLogger(__name__)

RECIPE = (TranslatorArguments, TrainingArguments)
BANDS = ("nir", "swir", "lwir")
CHANNELS = (24, 40, 64)


def load_start(arguments: TranslatorArguments, tiles: TileImages) -> FusionRSTranslator:
    """Returns the model as training begins: a new one, or a saved one with this recipe's scenes as conditions.

    Raises:
        InputError: A scene that the recipe names has no training tile; or bands or widths differ from the start's.
    """
    present: dict[str, set[str]] = {}
    for tile in tiles.tiles:
        present.setdefault(tile.scene, set()).update(tile.rows)
    scenes = list(present) if arguments.scenes is None else list(arguments.scenes)
    if absent := [scene for scene in scenes if scene not in present]:
        raise InputError(f"{arguments.dataset} has no training tile of {absent}; its scenes are {sorted(present)}")
    unknown = [band for band in tiles.bands if band in (arguments.unknown_bands or tiles.bands)]
    by_condition = {scene: [band for band in tiles.bands if band in present[scene]] for scene in scenes}
    model = FusionRSTranslator(
        bands=list(tiles.bands),
        conditions=[UNKNOWN, *scenes],
        condition_bands={UNKNOWN: unknown, **by_condition},
        stretches={scene: value for scene, value in (arguments.stretches or {}).items() if scene in scenes},
        reflectance_condition=arguments.reflectance_condition,
        channels=list(arguments.channels or CHANNELS),
    )
    if arguments.translator is not None:
        start = load_pipeline(arguments.translator).translator
        if list(start.config.channels) != list(model.config.channels) or list(start.config.bands) != list(tiles.bands):
            raise InputError(
                f"{arguments.translator} has bands {list(start.config.bands)} and channels "
                f"{list(start.config.channels)}; the recipe cannot change them, drop bands and channels"
            )
        model.start_from(start)
    return model.to(memory_format=torch.channels_last)


def load_tiles(arguments: TranslatorArguments, split: str, bands: Sequence[str]) -> TileImages:
    """Returns a split's tiles; of training tiles as many as the recipe says."""
    rows = load_pairs(arguments.dataset, split, IR_ORIGINS[arguments.ir_origin])
    tiles = find_tiles(rows, bands)
    if split == "train" and arguments.train_tiles is not None:
        tiles = first_tiles(tiles, arguments.train_tiles)
    return TileImages(rows, tiles, bands, arguments.ir_range)


def make_collators(
    arguments: TranslatorArguments, model: FusionRSTranslator, seed: int
) -> tuple[TileCollator, TileCollator, TileCollator]:
    """Returns what shows tiles in training, what shows them as they are, and what shows them as unknown."""
    changing = TileCollator(
        conditions=list(model.config.conditions),
        bands=list(model.config.bands),
        unknown_bands=model.bands_of(UNKNOWN),
        tile_px=arguments.tile_px,
        unknown_ratio=arguments.unknown_ratio,
        jitter=arguments.jitter,
        haze=arguments.haze,
        seed=seed,
    )
    plain = dataclasses.replace(changing, augment=False)
    return changing, plain, dataclasses.replace(changing, unknown_ratio=1.0)


def main(argv: Sequence[str] | None = None) -> None:
    """Trains as the recipe says; leaves the pipeline, its log and card in `output_dir`."""
    arguments, training = parse_recipe(RECIPE, sys.argv[1:] if argv is None else argv)
    push, training.push_to_hub = training.push_to_hub, False  # what is pushed is the finished folder
    training.label_names, training.remove_unused_columns, training.prediction_loss_only = [], False, True
    towers = [arguments.translator] if arguments.translator else []
    with holding(arguments.dataset, *towers):
        run = RunFolder("train translator", arguments, training, splits=("train", "validation"))
        if not run.is_finished():
            train(run, arguments, training, towers)
    leave_processes()
    if push and run.leads:
        release("translator", run.path, arguments.dataset, training)


def train(run: RunFolder, arguments: TranslatorArguments, training: TrainingArguments, towers: Sequence[str]) -> None:
    """Does what is left of a run, from the model to its card.

    Args:
        run: Folder to write.
        arguments, training: The recipe.
        towers: Folder or Hub id of the translator that training starts from, if any.
    """
    set_seed(training.seed)

    # Data
    start = load_pipeline(arguments.translator).translator if arguments.translator else None
    bands = arguments.bands or list(start.config.bands if start else BANDS)
    rows, validation = (load_tiles(arguments, split, bands) for split in ("train", "validation"))

    # Model
    model = load_start(arguments, rows)
    changing, plain, unknown = make_collators(arguments, model, training.seed)

    with run.writing():
        # Train
        trainer = AveragingTrainer(
            decay=arguments.ema_decay,
            model=model,
            args=training,
            data_collator=changing,
            train_dataset=rows,
            eval_dataset=validation,
            callbacks=[CaptionEpoch(changing)],
            run=run,
        )
        started = time.monotonic()
        trainer.train(resume_from_checkpoint=run.last_checkpoint)
        trainer.apply_average()

        # Save
        if run.leads:
            fit_domain(model, rows, validation)
            fit_blend(model, rows, unknown)
            fit_intervals(model, validation, (plain, unknown))
            RGB2IRPipeline(translator=model).save_pretrained(run.model_path)
            write_run_log(trainer, run.model_path, arguments, rows.rows, towers, time.monotonic() - started)
            write_translator_card(run.model_path, training.hub_model_id or place_name(run.path))
        run.finish(trainer.state.best_model_checkpoint)


if __name__ == "__main__":
    main()
