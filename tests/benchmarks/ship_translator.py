"""Puts a translator that was trained and scored into the package, as the one that ships.

    fusionrs train translator --config training/recipes/translator_sample.yaml --output_dir runs/translator
    python -m tests.benchmarks.translator_quality --model runs/translator --output runs/translator/metrics.json
    python -m tests.benchmarks.ship_translator runs/translator

The code that a published copy carries is left out: the classes of the package are used.
"""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from fusionrs_hf.errors import InputError
from fusionrs_hf.translator import SHIPPED, load_pipeline
from training.release.card_checks import check_card
from training.release.cards import write_translator_card

NAME = "fusionrs-translator"
FILES = (
    *("metrics.json", "model_index.json", "training_log.json"),
    *("translator/config.json", "translator/diffusion_pytorch_model.safetensors"),
)
MOST_BYTES = 5_000_000


def ship(folder: Path, target: Path = SHIPPED) -> None:
    """Copies what ships of a finished translator, and writes its card.

    Raises:
        InputError: Its weights are damaged, it is larger than 5 MB, or was not scored.
    """
    load_pipeline(folder)
    size = sum((folder / name).stat().st_size for name in FILES)
    if size > MOST_BYTES:
        raise InputError(f"{folder} holds {size:,} bytes to ship, at most {MOST_BYTES:,}; train a smaller one")
    for name in FILES:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, target / name)
    write_translator_card(target, NAME)
    check_card(target, "translator")


def main(argv: Sequence[str] | None = None) -> None:
    """Copies one."""
    (folder,) = sys.argv[1:] if argv is None else argv
    ship(Path(folder))


if __name__ == "__main__":
    main()
