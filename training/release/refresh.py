"""Writes the card of a finished folder anew from what lies in it; an evaluation does so, and `fusionrs card`."""

import logging
from pathlib import Path

from dataset_builder.card.croissant import write_croissant
from dataset_builder.card.readme import write_dataset_card
from dataset_builder.shards.report import build_report
from fusionrs_hf.bounded_json import read_object
from fusionrs_hf.errors import InputError
from model_cards.facts import place_name
from training.data.held_folders import adding
from training.release.card_text import LOAD, python_blocks
from training.release.cards import write_clip_card, write_translator_card, write_vlm_card
from training.release.eval_results import FOLDER
from training.scoring.results import METRICS_NAME
from training.trainers.run_log import LOG_NAME

logger = logging.getLogger(__name__)

WRITERS = {"fusionrs_clip": write_clip_card, "fusionrs_vlm": write_vlm_card}


def refresh_card(folder: Path) -> Path:
    """Writes a folder's README.md from its log, results or report.

    Args:
        folder: Of a model that was trained, or of a dataset that was built.

    Returns:
        The card.

    Raises:
        InputError: The folder holds nothing that a card could be written from, or is a published copy.
    """
    card = folder / "README.md"
    if (report := build_report(folder) if (folder / "build_report.json").is_file() else None) is not None:
        if report.rights:
            raise InputError(f"{folder} is a published copy; write the card of the build it was made of, and publish")
        with adding(card):
            write_dataset_card(folder, report)
            write_croissant(folder, report)
        return card
    write = card_writer(folder)
    if write is None:
        raise InputError(
            f"{folder} has no {LOG_NAME} or build_report.json that a card is written from; give a folder that "
            "`fusionrs train` or `fusionrs build` finished"
        )
    with adding(card, f"{FOLDER}/fusionrs.yaml"):
        write(folder, model_id=_model_id(card))
    return card


def _model_id(card: Path) -> str | None:
    """Returns the name that a card's snippets load the model by, so that it stays; None for a new card."""
    if not card.is_file():
        return None
    names = [
        found["name"] for _, code in python_blocks(card.read_text(encoding="utf-8")) for found in LOAD.finditer(code)
    ]
    return place_name(names[0]) if names else None


def refresh_beside(metrics: Path) -> None:
    """Writes the card of a trained model anew whose results were just written into its folder; elsewhere nothing."""
    if metrics.name == METRICS_NAME and card_writer(metrics.parent) is not None:
        logger.info("%s tells of these results now", refresh_card(metrics.parent))


def card_writer(folder: Path):  # noqa: ANN201 - one of the functions above
    """Returns what writes a trained model's card, None for other folders."""
    if not (folder / LOG_NAME).is_file():
        return None
    if (folder / "model_index.json").is_file():
        return write_translator_card
    if not (folder / "config.json").is_file():
        return None
    return WRITERS.get(read_object(folder / "config.json", "save the model again").get("model_type"))
