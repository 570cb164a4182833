"""Releases a dataset."""

from pathlib import Path

from huggingface_hub import HfApi

from dataset_builder.publish.clearance import check_folder
from fusionrs_hf.errors import InputError
from training.release.checks import check_rights, check_shards
from training.release.upload import upload


def push_dataset(folder: Path | str, repo_id: str, *, private: bool = False, revision: str | None = None) -> str:
    """Pushes a built dataset: card, Croissant and `data/*.parquet`; what was quarantined stays at home.

    Args:
        folder: As `dataset_builder.pipeline.build` writes it.
        repo_id: `owner/name`; made if it does not exist.
        private: Whether only the owner may read it.
        revision: Branch, made if it does not exist; None for `main`.

    Returns:
        URL of the commit.

    Raises:
        InputError: No card, no Parquet, rights that do not allow this Hub, or rows whose codes do not allow what they
            hold, on whatever Hub; see `dataset_builder.publish.clearance`.
    """
    folder = Path(folder)
    check_rights(folder, HfApi().endpoint)
    if not list(folder.glob("data/*.parquet")):
        raise InputError(f"{folder} has no data/*.parquet, expected a built dataset; run `fusionrs build` first")
    check_folder(folder)
    check_shards(folder)
    return upload("dataset", folder, repo_id, private, revision)
