"""Declared limits of infrared above 8 bit, which travel with a dataset in its Parquet and on its card.

In the key-value metadata of each data file and in the card's front matter stands `fusionrs: {ir_range: {lwir: [low,
high]}}`, where the recipe declared limits, and nothing where it did not.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dataset_builder.units import check_ir_range
from fusionrs_hf.bounded_files import read_text
from fusionrs_hf.bounded_json import NotJsonError, parse_json, read_object
from fusionrs_hf.bounded_yaml import NotYamlError, front_matter
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.hub_answers import asking_hub

logger = logging.getLogger(__name__)

KEY = "fusionrs"  # of the metadata, and of the front matter
Limits = Mapping[str, Sequence[float]]


def with_limits(schema: pa.Schema, ir_range: Limits) -> pa.Schema:
    """Returns a schema whose files tell the limits by `ir_band`; the same schema where there are none."""
    if not ir_range:
        return schema
    told = json.dumps(card_entry(ir_range)[KEY], sort_keys=True)
    return schema.with_metadata({**(schema.metadata or {}), KEY: told})


def card_entry(ir_range: Limits) -> dict[str, Any]:
    """Returns what the front matter of the card says of the limits; nothing where there are none."""
    return {KEY: {"ir_range": {band: list(ir_range[band]) for band in sorted(ir_range)}}} if ir_range else {}


def limits_of(schema: pa.Schema) -> dict[str, list[float]]:
    """Returns the limits by `ir_band` that a Parquet file tells; raises InputError where they are none."""
    told = (schema.metadata or {}).get(KEY.encode())
    try:
        return _checked(parse_json(told.decode("utf-8", "replace")), "the metadata of a Parquet file") if told else {}
    except NotJsonError as error:
        raise InputError(f"metadata `{KEY}` of a Parquet file is no JSON ({error}); bring it again") from error


def declared_ir_range(dataset: Path | str, ir_range: Limits | None = None) -> dict[str, Sequence[float]]:
    """Returns the limits by `ir_band` that a dataset tells, and over them those asked for.

    Args:
        dataset: Folder or Hub id; of the latter, and where no rows are here yet, the card is asked.
        ir_range: Asked for; None: nothing.

    Raises:
        InputError: What the dataset tells are no limits.
    """
    folder = Path(dataset)
    told = _of_folder(folder) if folder.is_dir() else _of_card(str(dataset))
    return {**told, **(ir_range or {})}


def parse_limits(text: str) -> tuple[str, list[float]]:
    """Returns a band and its limits of `BAND=LOW,HIGH`; raises InputError for anything else."""
    band, _, numbers = text.partition("=")
    try:
        low, high = map(float, numbers.split(","))
    except ValueError:
        low, high = 0.0, 0.0
    if not (band and low < high):
        raise InputError(f"--ir-range {shown(text)} must be BAND=LOW,HIGH with LOW < HIGH, such as nir=0,10000")
    return band, [low, high]


def reading_limits(
    asked: Limits, model: Sequence[float] | Limits | None, told: Limits
) -> Sequence[float] | dict[str, Sequence[float]] | None:
    """Returns the limits that a model reads a dataset by: those asked for, else the model's own, else the dataset's.

    Args:
        asked, told: By `ir_band`.
        model: Of its processor: a pair for all bands, by band, or None. Where the dataset tells others, the log says
            so: the model was trained with its own.

    Returns:
        By band, or the model's pair for all; None: there are none.
    """
    if model is not None and not isinstance(model, Mapping):
        return {**dict.fromkeys(told, model), **asked} if asked else model
    known = model or {}
    for band in sorted(known.keys() & told.keys() - asked.keys()):
        if list(known[band]) != list(told[band]):
            logger.warning(
                "the model reads %s by the limits %s, the dataset declares %s; ir_range %s=LOW,HIGH sets others",
                *(band, list(known[band]), list(told[band]), band),
            )
    return {**told, **known, **asked} or None


def _of_folder(folder: Path) -> dict[str, list[float]]:
    told: dict[str, list[float]] = {}
    for file in sorted((folder / "data").glob("*.parquet")):
        try:
            for band, limits in limits_of(pq.read_schema(file)).items():
                if told.setdefault(band, limits) != limits:
                    raise InputError(
                        f"files of {folder} tell other limits of {band} ({told[band]} and {limits}); give --ir-range"
                    )
        except pa.ArrowInvalid:
            continue  # told by whoever reads the rows
    if not told and (folder / "README.md").exists():
        told = _front_matter(read_text(folder / "README.md"), str(folder / "README.md"))
    report = folder / "build_report.json"
    if not told and report.exists():  # of a version that told it nowhere else
        told = _of_report(read_object(report, "build again, or delete it"), str(report))
    return told


def _of_report(report: Any, where: str) -> dict[str, list[float]]:
    for name in ("identity", "recipe"):
        report = report.get(name) if isinstance(report, Mapping) else None
    return _checked(report, where)


def _of_card(name: str) -> dict[str, list[float]]:
    from huggingface_hub import hf_hub_download

    try:
        with asking_hub():
            text = read_text(hf_hub_download(name, "README.md", repo_type="dataset"))
    except (OSError, ValueError) as error:  # no card, no network, or no dataset: told by whoever reads the rows
        logger.debug("no card of %s (%s)", name, error)
        return {}
    return _front_matter(text, f"the card of {name}")


def _front_matter(text: str, where: str) -> dict[str, list[float]]:
    try:
        return _checked(front_matter(text, where).get(KEY), where)
    except NotYamlError:
        return {}  # whoever writes a card anew says so


def _checked(entry: Any, where: str) -> dict[str, list[float]]:
    ir_range = entry.get("ir_range") if isinstance(entry, Mapping) else None
    if ir_range is None:
        return {}
    try:
        check_ir_range(ir_range)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where} tells no limits: {error}; mend `{KEY}` there") from error
    return {band: list(limits) for band, limits in ir_range.items()}
