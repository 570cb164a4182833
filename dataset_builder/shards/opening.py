"""Opens a dataset to be read, a folder or one on the Hub, and keeps writers out of it as long as it is read."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dataset_builder.shards.folder import TRAVELS
from fusionrs_hf.errors import InputError
from fusionrs_hf.hub_answers import asking_hub
from fusionrs_hf.output_folder import reading
from fusionrs_hf.repository_names import is_hub_id


@contextmanager
def open_dataset(
    dataset: Path | str, *, revision: str | None = None, splits: Sequence[str] | None = None
) -> Iterator[Path]:
    """Gives the local folder of a dataset, held so that no verb writes it meanwhile; one on the Hub is brought first.

    Args:
        dataset: Folder or Hub id.
        revision: Of a dataset on the Hub; None: its newest.
        splits: Bring the Parquet of these splits alone; None: of all, with card and licence.

    Raises:
        InputError: Neither a folder nor a dataset on the Hub that can be read, or a folder that is not whole.
    """
    folder = Path(dataset) if Path(dataset).is_dir() else bring_dataset(dataset, revision=revision, splits=splits)
    with reading(folder):
        yield folder


def bring_dataset(dataset: str, *, revision: str | None = None, splits: Sequence[str] | None = None) -> Path:
    """Returns the local folder of a dataset on the Hub; arguments and errors as of `open_dataset`."""
    if Path(dataset).exists() or not is_hub_id(str(dataset)):
        raise InputError(f"dataset {dataset} is no folder; give one with data/train-*.parquet, or a Hub id owner/name")
    from huggingface_hub import snapshot_download  # slow to import, and a folder that is here needs none

    patterns = ["data/*.parquet", "README.md", *TRAVELS]
    if splits is not None:
        patterns = [pattern for split in splits for pattern in (f"data/{split}-*.parquet", f"{split}/*.parquet")]
    try:
        with asking_hub():
            return Path(snapshot_download(dataset, repo_type="dataset", revision=revision, allow_patterns=patterns))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"{dataset} is neither a folder here nor a Hub dataset that can be read ({reason}); check the name, the "
            "network and the token"
        ) from error


@contextmanager
def reading_all(folders: Iterable[Path]) -> Iterator[None]:
    """Holds folders of datasets while they are read, as `reading` does."""
    with ExitStack() as held:
        for folder in folders:
            held.enter_context(reading(folder))
        yield
