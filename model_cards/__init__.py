"""Cards and pages written from facts that a run measured."""

from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
DATASET_CARD = TEMPLATES / "dataset_card.md"
