"""Tables of images and captions, tars, and datasets as the Hub has them."""

import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dataset_builder.inspecting.found import NOT_STATED, Found
from dataset_builder.schema import REQUIRED
from dataset_builder.sources.formats.columns import pick
from dataset_builder.sources.formats.entries import SUFFIXES, EntryFile
from dataset_builder.sources.formats.files import is_image_name, walk
from dataset_builder.sources.formats.paths import split_words
from dataset_builder.sources.formats.tar_samples import is_passed_over, key_of
from fusionrs_hf.bounded_json import parse_json
from fusionrs_hf.bounds import TEXT_BYTES
from fusionrs_hf.errors import InputError

PARQUET = ".parquet"
TARS = (".tar", ".tar.gz", ".tgz")
LOOKED_AT = 100  # rows
IMAGE_COLUMNS = (
    "rgb",
    "image",
    "img",
    "jpg",
    "png",
    "picture",
    "file_name",
    "filename",
    "image_path",
    "filepath",
    "path",
)
TEXT_COLUMNS = ("captions", "caption", "text", "texts", "sentences", "sentence", "description", "title")
NESTED = ("raw", "sentence", "caption", "text")
IR_COLUMNS = ("ir", "infrared", "thermal", "lwir", "nir")
ID_COLUMNS = ("sample_id", "id", "image_id")
MEMBERS_OF_IMAGES = ("jpg", "jpeg", "png", "webp", "tif", "tiff")


def is_table(name: str) -> bool:
    """Whether a name ends as those of tables do."""
    return name.lower().endswith((PARQUET, *SUFFIXES))


def is_tar(name: str) -> bool:
    """Whether a name ends as those of tars do."""
    return name.lower().endswith(TARS)


def inspect_table(path: Path, names: Sequence[str] = ()) -> Found:
    """Returns what a table, or a folder of tables, is.

    Args:
        path: A file, or a folder.
        names: Of a folder, its tables.

    Raises:
        InputError: No column holds images.
    """
    first = path / names[0] if names else path
    columns, rows = _columns(first)
    image = next((name for name in IMAGE_COLUMNS if name in columns), None)
    image = image or next((name for name in columns if _holds_image([row.get(name) for row in rows])), None)
    if image is None:
        raise InputError(
            f"table {first} has no column of images among {', '.join(columns)}; map one in a recipe of kind table"
        )
    mapped: dict[str, Any] = {"rgb": image}
    captions = _captions(columns, rows)
    mapped |= {"captions": captions} if captions else {}
    identity = next(
        (name for name in ID_COLUMNS if name in columns and len({row[name] for row in rows}) == len(rows)), None
    )
    mapped |= {"sample_id": identity} if identity else {}
    spec = {"kind": "table", "path": str(path), "columns": mapped, "source_dataset": path.name.partition(".")[0]}
    spec |= {"rights": NOT_STATED}
    infrared = next((name for name in IR_COLUMNS if name in columns and name != image), None)
    if infrared:
        mapped["ir"] = infrared
        band = infrared if infrared in ("lwir", "nir") else "lwir" if infrared == "thermal" else "unspecified"
        spec |= {"ir_band": band, "ir_origin": "sensor", "ir_unit": "display"}
    value = next((row[image] for row in rows if row.get(image)), None)
    if isinstance(value, str):
        spec["images"] = str(_folder_of(value, first))
    split = "split" if "split" in columns else None
    mapped |= {"split": split} if split else {}
    told = bool(split) or any(split_words(name) for name in names or [path.name])
    facts = [f"{len(names) or 1} file{'s' * (len(names) > 1)}, columns {', '.join(columns)}"]
    facts += [f"images in {image}, as {'names of files' if isinstance(value, str) else 'encoded bytes'}"]
    facts += [f"captions in {captions}" if captions else "no captions", _splits(names or [path.name], split)]
    return Found(f"{path.name}: a table", facts, spec, bool(infrared), bool(captions), False, told)


def inspect_dataset(path: Path, shards: Sequence[Path]) -> Found:
    """Returns what a folder of this project's layout is: a dataset that a build wrote, or one of its kind."""
    rows, origins, bands, captions = Counter(), Counter(), Counter(), 0
    for shard in shards:
        table = pq.read_table(shard, columns=["ir_origin", "ir_band", "captions"])
        rows[shard.name.split("-")[0]] += len(table)
        origins.update(table["ir_origin"].to_pylist())
        bands.update(table["ir_band"].to_pylist())
        captions += sum(bool(texts) for texts in table["captions"].to_pylist())
    facts = [f"rows: {', '.join(f'{count} {split}' for split, count in rows.items())}"]
    facts += [f"infrared: {', '.join(f'{count} {origin}' for origin, count in origins.items())}"]
    facts += [f"bands: {', '.join(f'{count} {band}' for band, count in bands.items())}"]
    facts += [f"{captions} rows with captions"]
    spec = {"kind": "repository", "path": str(path)}
    return Found(
        f"{path.name}: a dataset of this project's columns",
        facts,
        spec,
        None not in origins,
        captions > 0,
        False,
        True,
    )


def is_ours(shard: Path) -> bool:
    """Whether a Parquet file has the record's columns."""
    try:
        return {*REQUIRED, "ir"} <= set(pq.read_schema(shard).names)
    except (OSError, pa.ArrowInvalid):
        return False


def inspect_tars(path: Path, names: Sequence[str]) -> Found:
    """Returns what a tar, or a folder of tars, is; raises InputError for one without images."""
    first = path / names[0] if names else path
    members, captions = _members(first)
    images = [name for name in members if name in MEMBERS_OF_IMAGES]
    if not images:
        dotted = [name for name in members if name.rpartition(".")[2] in MEMBERS_OF_IMAGES]
        raise InputError(
            f"{first} has no members that are images among {', '.join(members) or 'none'}; "
            + (f"a key ends at the first dot of a name, as .{dotted[0]} shows: " if dotted else "")
            + "see `rgb` and `ir` of kind webdataset"
        )
    texts = sum(members[name] for name in ("txt", "caption"))
    field = captions.most_common(1)[0][0] if captions and not texts else None
    spec = {"kind": "webdataset", "path": str(path), "rights": NOT_STATED, "rgb": images}
    spec |= {"json_caption": field} if field else {}
    facts = [f"{len(names) or 1} tar{'s' * (len(names) > 1)}; of the first {members.total()} members: "]
    facts[0] += ", ".join(f"{count} .{name}" for name, count in members.most_common(6))
    facts += [
        f"captions: {texts} texts" if texts else f"captions in the field {field} of .json" if field else "no captions"
    ]
    told = any(split_words(name) for name in names)
    return Found(
        f"{path.name}: a folder of tars" if names else f"{path.name}: a tar",
        facts,
        spec,
        False,
        texts > 0 or field is not None,
        False,
        told,
    )


def _members(tar: Path) -> tuple[Counter[str], Counter[str]]:
    """Returns a tar's first members by what follows the first dot of the name, and what fields of JSON have captions.

    Raises:
        InputError: It is no tar.
    """
    members, captions = Counter(), Counter()
    try:
        with tarfile.open(tar) as file:
            for member in islice((member for member in file if member.isfile()), 10 * LOOKED_AT):
                if is_passed_over(member.name):
                    continue
                members[part := key_of(member.name)[1]] += 1
                if part == "json" and member.size <= TEXT_BYTES:
                    captions.update(_caption_fields(file.extractfile(member).read()))
    except tarfile.TarError as error:
        raise InputError(f"{tar} is no tar that can be read ({error}); give one of images and texts") from error
    return members, captions


def _caption_fields(content: bytes) -> list[str]:
    try:
        entry = parse_json(content.decode("utf-8-sig"))
    except (ValueError, TypeError, RecursionError):
        return []
    fields = entry if isinstance(entry, dict) else {}
    return [name for name in TEXT_COLUMNS if isinstance(fields.get(name), (str, list)) and fields[name]]


def _columns(file: Path) -> tuple[list[str], list[Mapping[str, Any]]]:
    if file.suffix.lower() == PARQUET:
        try:
            with pq.ParquetFile(file) as table:
                batch = next(table.iter_batches(LOOKED_AT), None)
        except pa.ArrowInvalid as error:
            raise InputError(f"{file} is not Parquet ({error}); bring it again") from error
        rows = batch.to_pylist() if batch is not None else []
        return list(rows[0]) if rows else [], rows
    entries = (entry for _, entry in EntryFile(file).entries())
    rows = [entry for entry in islice(entries, LOOKED_AT) if isinstance(entry, dict)]
    return list(dict.fromkeys(name for row in rows for name in row)), rows


def _holds_image(values: Sequence[Any]) -> bool:
    def is_image(value: Any) -> bool:
        if isinstance(value, Mapping):
            return "bytes" in value
        return isinstance(value, bytes) or (isinstance(value, str) and is_image_name(value))

    return bool(values) and all(is_image(value) for value in values if value is not None) and any(values)


def _captions(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str | list[str] | None:
    """Returns the column or columns of captions; of a list of mappings the text in each."""
    name = next((name for name in TEXT_COLUMNS if name in columns), None)
    if name is None:
        numbered = [column for column in columns if column.rstrip("_0123456789") in TEXT_COLUMNS]
        return numbered or None
    for inner in NESTED:
        if any(_texts(pick(row, f"{name}.{inner}")) for row in rows if not isinstance(row.get(name), str)):
            return f"{name}.{inner}"
    return name


def _texts(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and any(map(_texts, value)))


def _folder_of(name: str, table: Path) -> Path:
    """Returns the folder that a name of an image starts from: the table's own, or one beside or above it."""
    for folder in _folders(table.parent):
        if (folder / name).is_file():
            return folder
    raise InputError(
        f"table {table} names image files ({name[:100]}), and no folder beside it has them; give `images` in "
        "a recipe of kind table"
    )


def _folders(home: Path) -> Iterator[Path]:
    yield home
    yield from sorted(path for path in home.iterdir() if path.is_dir())
    yield home.parent


def _splits(names: Sequence[str], column: str | None) -> str:
    if column:
        return f"splits by the column {column}"
    told = {name: split_words(name) for name in names}
    words = ", ".join(f"{name} {words[0]}" for name, words in told.items() if words)
    return f"splits by the names of files: {words}" if words else "no split is told: splits are drawn by group"


def tables_below(path: Path) -> list[str]:
    """Returns the names of the tables in a folder."""
    return [name for name in walk(path) if is_table(name)]
