"""The folder that `embed` writes and `search` reads: Arrow shards of embeddings, what made them, a FAISS index each.

INDEX/index.json                    model, fingerprint, source, counts (`IndexMeta`)
INDEX/data/rows-00000-of-00003.arrow    memory-mapped; `load_dataset("arrow", data_files="INDEX/data/*.arrow")`
INDEX/rgb.faiss ...                 written by `datasets`, over the rows that have that embedding
INDEX/skipped.jsonl                 rows of which something could not be embedded, and why
"""

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, Features, List, Value, concatenate_datasets

from fusionrs_hf.atomic import atomic_path
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.folder_manifest import Manifest
from fusionrs_hf.output_folder import OutputFolder
from fusionrs_hf.records import read_record
from fusionrs_hf.weights import loading

MODALITIES = ("rgb", "ir", "fused", "text")
FACTORY_CHARACTERS = 200
DTYPES = ("float32", "float16")
FORMAT = 1
ROW_FEATURES = {
    "sample_id": Value("string"),
    "source_dataset": Value("string"),
    "source_locator": Value("string"),
    "bbox": [Value("float64")],
    "ir_band": Value("string"),
    "split": Value("string"),
    "rgb_sha256": Value("string"),
    "ir_clipped_ratio": Value("float32"),
    "skipped": [Value("string")],
    "source_shard": Value("int32"),
    "source_row": Value("int32"),
}


@dataclass(slots=True)
class IndexMeta:
    """What an index is of; the fields above `rows` decide its bytes and must be equal where a run is continued.

    Args:
        model: Hub id or folder, as given.
        fingerprint: Of the model, see `encoders.model_fingerprint`.
        dim: Length of an embedding.
        modalities: Which of rgb, ir, fused and text are embedded.
        dtype: Of the stored embeddings, `float32` or `float16`.
        source: What opens the rows again, see `rows.Rows`.
        shards: Number of files.
        batch_size, bf16: As computed; they change the last bits.
        ir_range: Limits of infrared above 8 bit that were used.
        factory: FAISS's description of the index; `Flat` is exact.
        normalised: Embeddings have unit length, so the inner product is the cosine.
        rows: Number of rows; None until the index is complete.
        embedded: Rows with an embedding, by modality.
        skipped: Rows by reason, such as `ir: unreadable`.
        ir_clipped_ratio: Mean share of pixels beyond `ir_range`, of infrared above 8 bit; None: there was none.
    """

    model: str
    fingerprint: str
    dim: int
    modalities: list[str]
    dtype: str
    source: dict[str, Any]
    shards: int
    batch_size: int
    bf16: bool = False
    ir_range: list[float] | dict[str, list[float]] | None = None
    factory: str = "Flat"
    normalised: bool = True
    format: int = FORMAT
    rows: int | None = None
    embedded: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    ir_clipped_ratio: float | None = None

    def identity(self) -> dict[str, Any]:
        """The fields that a run must share with the one it continues, as JSON gives them back."""
        names = [item.name for item in fields(self)]
        values = {name: getattr(self, name) for name in names[: names.index("rows")] if name != "model"}
        return json.loads(json.dumps(values))


class EmbeddingStore:
    """An index folder.

    Args:
        folder: Its place.
        meta: What it is of.
    """

    def __init__(self, folder: Path, meta: IndexMeta) -> None:
        self.folder, self.meta = folder, meta

    @classmethod
    def open(cls, folder: Path) -> "EmbeddingStore":
        """Opens what `embed` wrote; raises InputError where there is none, or one of another version."""
        path = folder / "index.json"
        if not path.is_file():
            raise InputError(f"{folder} has no index.json; expected a folder that `fusionrs embed` wrote")
        return cls(folder, read_record(path, IndexMeta, "embed again"))

    @classmethod
    def held(cls, folder: Path, meta: IndexMeta) -> "EmbeddingStore | None":
        """Opens an index of the same identity, finished or not; None where there is none.

        Raises:
            InputError: The folder holds an index made otherwise.
        """
        if not (folder / "index.json").is_file():
            return None
        store = cls.open(folder)
        old, new = store.meta.identity(), meta.identity()
        if changed := [name for name in new if old[name] != new[name]]:
            name = changed[0]
            raise InputError(
                f"{folder} was embedded with another {', '.join(changed)} ({name}: {shown(old[name])}, now "
                f"{shown(new[name])}); give another --output, or --overwrite to replace it"
            )
        return store

    @classmethod
    def begin(cls, output: OutputFolder, meta: IndexMeta, overwrite: bool = False) -> "EmbeddingStore":
        """Starts an index, or continues the one of the same identity that is there.

        Args:
            output: Folder of the index.
            meta: Of the index.
            overwrite: Replace what is finished, and what was made otherwise.

        Raises:
            InputError: The folder holds an index made otherwise, or files of others.
        """
        try:
            store = cls.held(output.path, meta)
        except InputError:
            if not overwrite:
                raise
            store = None
        if overwrite and (store is None or output.manifest.finished):
            output.make_way()
            store = None
        if store is None:
            store = cls(output.path, meta)
            output.claim(store.files())
            store._write_meta()
        return store

    def files(self) -> list[str]:
        """Names of all files of an index of this identity; of a modality without embeddings there is no index."""
        shards = [self.path(number).relative_to(self.folder).as_posix() for number in range(self.meta.shards)]
        return ["index.json", "skipped.jsonl", *shards, *(f"{name}.faiss" for name in self.meta.modalities)]

    @property
    def features(self) -> Features:
        """Columns of the rows."""
        vectors = {f"{name}_embedding": List(Value(self.meta.dtype), self.meta.dim) for name in self.meta.modalities}
        return Features(ROW_FEATURES | vectors)

    def path(self, number: int) -> Path:
        """File of a shard."""
        return self.folder / "data" / f"rows-{number:05d}-of-{self.meta.shards:05d}.arrow"

    def write(self, number: int, batches: Iterator[Mapping[str, Any]]) -> None:
        """Writes a shard from batches of columns; it appears whole or not at all.

        Args:
            number: Of the shard.
            batches: Columns by name; an embedding column is float32 `(rows, dim)`, NaN in rows without one.
        """
        schema = self.features.arrow_schema
        with atomic_path(self.path(number)) as temporary, pa.ipc.new_stream(str(temporary), schema) as writer:
            for columns in batches:
                arrays = [self._array(columns[name], schema.field(name).type) for name in schema.names]
                writer.write_batch(pa.record_batch(arrays, schema=schema))

    def _array(self, values: Sequence, kind: pa.DataType) -> pa.Array:
        if not pa.types.is_fixed_size_list(kind):
            return pa.array(values, kind)
        missing = np.isnan(values).any(axis=1)  # (rows,)
        flat = pa.array(np.nan_to_num(values).astype(self.meta.dtype).ravel())
        return pa.FixedSizeListArray.from_arrays(flat, type=kind, mask=pa.array(missing))

    def rows(self) -> Dataset:
        """Returns all rows, memory-mapped."""
        paths = [self.path(number) for number in range(self.meta.shards)]
        with loading(self.folder, "an index", "embed again"):
            return concatenate_datasets([Dataset.from_file(str(path)) for path in paths])

    def having(self, modality: str) -> Dataset:
        """Returns the rows that have an embedding: those that the modality's FAISS index counts, in its order."""
        rows = self.rows()
        return rows.select(_places(pc.is_valid(rows.data.column(f"{modality}_embedding"))))

    def finish(self) -> None:
        """Writes the FAISS indexes, the list of what was skipped, and the counts: the index is then complete."""
        import_faiss()
        self.meta.skipped = {}
        for modality in self.meta.modalities:
            embedded_rows = self.having(modality)
            self.meta.embedded[modality] = len(embedded_rows)
            if len(embedded_rows):
                self._index(modality, embedded_rows)
        rows = self.rows().select_columns(list(ROW_FEATURES))
        if not any(self.meta.embedded.values()):
            why = Counter(reason for row in rows["skipped"] for reason in row).most_common(3)
            told = ", ".join(f"{count} {reason}" for reason, count in why) or "no image and no caption in any row"
            raise InputError(f"nothing of {len(rows)} rows could be embedded ({told}); see whether model and data fit")
        with atomic_path(self.folder / "skipped.jsonl") as temporary, open(temporary, "w", encoding="utf-8") as file:
            for row in rows.select(_places(pc.list_value_length(rows.data.column("skipped")))):
                wanted = {name: row[name] for name in ("sample_id", "source_locator", "split", "skipped")}
                file.write(json.dumps(wanted) + "\n")
                for reason in row["skipped"]:
                    self.meta.skipped[reason] = self.meta.skipped.get(reason, 0) + 1
        clipped = pc.mean(rows.data.column("ir_clipped_ratio")).as_py()
        self.meta.ir_clipped_ratio = None if clipped is None else round(clipped, 6)
        self.meta.rows = len(rows)
        self._write_meta()

    def _index(self, modality: str, embedded_rows: Dataset) -> None:
        import faiss

        column = f"{modality}_embedding"
        trained = None if self.meta.factory == "Flat" else len(embedded_rows)
        try:
            embedded_rows.add_faiss_index(
                column, string_factory=self.meta.factory, metric_type=faiss.METRIC_INNER_PRODUCT, train_size=trained
            )
        except RuntimeError as error:
            raise InputError(
                f"FAISS cannot make {shown(self.meta.factory)} over {len(embedded_rows)} embeddings "
                f"({_last_line(error)}); "
                "give another --factory in a new folder"
            ) from error
        with atomic_path(self.folder / f"{modality}.faiss") as temporary:
            embedded_rows.save_faiss_index(column, str(temporary))

    def searchable(self, modality: str) -> Dataset:
        """Returns `having(modality)` with its FAISS index under the column's name, for `Dataset.search`.

        Raises:
            InputError: The index has no such embeddings.
        """
        modalities = [name for name, count in self.meta.embedded.items() if count]
        if modality not in modalities:
            raise InputError(f"{self.folder} has no {modality} embeddings; it has {', '.join(modalities) or 'none'}")
        import_faiss()
        with loading(self.folder, "an index", "embed again"):
            rows = self.having(modality)
            rows.load_faiss_index(f"{modality}_embedding", str(self.folder / f"{modality}.faiss"))
        found = rows.get_index(f"{modality}_embedding").faiss_index
        if (found.ntotal, found.d) != (len(rows), self.meta.dim):
            raise InputError(f"{modality}.faiss of {self.folder} is of other embeddings; embed again")
        return rows

    def _write_meta(self) -> None:
        with atomic_path(self.folder / "index.json") as temporary:
            temporary.write_text(json.dumps(asdict(self.meta), indent=1) + "\n", encoding="utf-8")


def _places(marked: pa.ChunkedArray) -> np.ndarray:
    """Returns where a column is true or not zero, int64."""
    return pc.indices_nonzero(marked).to_numpy().astype(np.int64)


def check_factory(factory: str, dim: int) -> None:
    """Raises InputError for an index description that FAISS does not know, before anything is embedded."""
    import faiss

    if len(factory) > FACTORY_CHARACTERS:  # FAISS follows nested descriptions until its stack ends
        raise InputError(
            f"--factory has {len(factory)} characters, expected at most {FACTORY_CHARACTERS}; Flat is exact"
        )
    try:
        faiss.index_factory(dim, factory, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        raise InputError(
            f"FAISS makes no index of length {dim} of --factory {shown(factory)} ({_last_line(error)}); Flat is exact"
        ) from error


def former_index(folder: Path) -> Manifest | None:
    """Returns what the manifest of a finished index would say that a version without manifests wrote, else None."""
    if not (folder / "index.json").is_file() or (store := EmbeddingStore.open(folder)).meta.rows is None:
        return None
    return Manifest("embed", finished=True, files=sorted(name for name in store.files() if (folder / name).is_file()))


def _last_line(error: RuntimeError) -> str:
    return str(error).strip().splitlines()[-1]


def import_faiss() -> None:
    """Raises InputError where FAISS is not installed."""
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)  # says which instruction sets it was not built for
    try:
        import faiss  # noqa: F401
    except ImportError as error:
        raise InputError("an index needs faiss, got none; pip install 'fusionrs-hf[search]'") from error
