"""Where rows come from: one reader a file, all behind `Source`; `open_source` picks one by a recipe's entry."""

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from dataset_builder.fields import parse
from fusionrs_hf.errors import InputError, nearest, shown

KINDS = {
    "repository": ("dataset_builder.sources.repository", "RepositorySource"),
    "folder": ("dataset_builder.sources.folder", "FolderSource"),
    "pairs": ("dataset_builder.sources.pairs", "PairsSource"),
    "table": ("dataset_builder.sources.table", "TableSource"),
    "webdataset": ("dataset_builder.sources.webdataset", "WebDatasetSource"),
    "skyscript": ("dataset_builder.sources.corpora.skyscript", "SkyScriptSource"),
    "caption_corpus": ("dataset_builder.sources.corpora.caption_corpus", "CaptionCorpusSource"),
    "fusionrs_index": ("dataset_builder.sources.corpora.fusionrs_index", "FusionRSIndexSource"),
    "scene": ("dataset_builder.sources.scene", "SceneSource"),
}


class Source(Protocol):
    """A reader of rows with the columns of `schema.FEATURES`; it travels to the workers by pickle.

    A reader may also have `inputs() -> Iterable[Path]`: the files and folders that it reads, so that a build notices
    when one has changed. Without it these are all strings of its entry in the recipe that name an existing file or
    folder, and of a pattern the folder before its first wildcard.
    """

    def shards(self) -> Iterable[Any]:
        """Yields the units of reading in a fixed order, found without reading image data; a generator will do.

        The plan of a build is written from them, one JSON line each, and read back when a worker wants one: a shard
        consists of strings, numbers, None and tuples of such (a list comes back as a tuple), and is small: a range of
        rows or bytes, or some hundred names. Asked once a build, not when one continues.

        Raises:
            InputError: There is nothing to read, or it is not what the recipe declares.
        """
        ...

    def read(self, shard: Any) -> Iterator[dict[str, Any]]:
        """Yields the rows of a shard, one after the other as they are read.

        Each has `_split` (train, validation, test or None: decide later) and `_reason` (None, or why the row cannot be
        used: such a row holds what is known of it, and is never left out). Encoded images are passed on as they are.
        """
        ...


def open_source(spec: Mapping[str, Any], base: Path) -> Source:
    """Makes the reader that a recipe's entry describes.

    Args:
        spec: `kind` (repository, folder or scene) and the fields of that reader; see its class.
        base: Folder that a relative `path` starts from.

    Returns:
        The reader; of a scene whose limits are `auto`, with the numbers that its tiles give.

    Raises:
        InputError: An unknown kind or key, a missing one, a value that cannot be, or a path that does not exist.
    """
    if not isinstance(spec, Mapping) or "kind" not in spec:
        raise InputError(f"a source needs `kind`, one of {', '.join(KINDS)}; got {shown(spec)}")
    if not isinstance(spec["kind"], str) or spec["kind"] not in KINDS:
        raise InputError(f"there is no source of kind {shown(spec['kind'])}; {nearest(spec['kind'], list(KINDS))}")
    module, name = KINDS[spec["kind"]]
    values = {key: value for key, value in spec.items() if key != "kind"}
    # pathlib keeps an absolute path absolute; a Hub id is told from a folder by the reader.
    source = parse(getattr(import_module(module), name), values, f"source of kind {spec['kind']}", base=base)
    return source.settled() if hasattr(source, "settled") else source
