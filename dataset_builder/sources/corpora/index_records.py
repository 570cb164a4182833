"""A line of the official FusionRS index -> what is used of it, checked against the two published schemas."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dataset_builder.sources.corpora.skyscript import facts_of
from dataset_builder.sources.formats.paths import SPLIT_WORDS, printable
from fusionrs_hf.bounded_json import NotJsonError, parse_json
from fusionrs_hf.errors import InputError, shown

SOURCES = ("NWPU", "RS5M", "RSICD", "RSITMD", "SkyScript")
UPSTREAM_SPLITS = ("train", "val", "test")
OPTIONAL = (str, type(None))
KINDS = {str: "text that is not empty", OPTIONAL: "text or null", bool: "true or false", dict: "a mapping"}
SHARED = {
    **dict.fromkeys(("schema_version", "sample_id", "source_dataset", "source_record_id", "source_locator"), str),
    **dict.fromkeys(("split", "joint_group_id", "phash4_component_id", "canonical_component_representative"), str),
    **dict.fromkeys(("is_canonical_component_representative", "is_eval_representative"), bool),
    "prior_reused_protected": bool,
    "translation": dict,
}
SCHEMAS = {
    "fusionrs-index-v1": SHARED
    | {"source_rights_note": str, "class_name": OPTIONAL, "caption": OPTIONAL, "normalized_caption_key": OPTIONAL}
    | {"caption_usable": bool, "vlm_train_used": bool},
    "fusionrs-public-index-v1": SHARED
    | {"source_rights_code": str, "caption_supervision_available_upstream": bool, "vlm_train_identity": bool},
}
TRANSLATION = dict.fromkeys(("model", "output_key", "redistribution"), str)
RIGHTS = {  # the public index's codes: ours
    "nwpu-captions-text-unlicensed": "NWPU",
    "rs5m-item-rights-unconfirmed": "RS5M",
    "rsicd-redistribution-license-not-located": "RSICD",
    "rsitmd-redistribution-license-not-located": "RSITMD",
    "skyscript-naip-public-domain": "skyscript/US",
    "skyscript-swissimage-source-reference": "skyscript/CH",
    "skyscript-brandenburg-dl-de-by-2.0": "skyscript/DE",
    "skyscript-sentinel-copernicus-notice": "skyscript/S2",
    "skyscript-finland-nls-cc-by-4.0": "skyscript/FI",
    "skyscript-pnoa-cc-by-4.0": "skyscript/ES",
    "skyscript-skysat-rgb-cc-by-4.0": "skyscript/P3",
    "skyscript-skysat-multispectral-cc-by-4.0": "skyscript/P5",
    "skyscript-landsat8-public-domain": "skyscript/L8",
    "skyscript-landsat9-public-domain": "skyscript/L9",
}


@dataclass(frozen=True, slots=True)
class Record:
    """What a build takes from a line of the index.

    Args:
        sample_id, locator: As the index has them; the locator is not trusted.
        source: One of `SOURCES`.
        rights: Rights code, in our words; one of the public index that is not known stays as it is.
        split: train, validation or test.
        caption: Of the full index; None in the public one.
        protected: Was trained on before: its group may be in train only.
        translator, output_key: Of the infrared, and its file; not trusted.
    """

    sample_id: str
    source: str
    locator: str
    rights: str
    split: str
    caption: str | None
    protected: bool
    translator: str
    output_key: str


def record_of(line: bytes, where: str) -> Record:
    """Returns what is used of a line.

    Args:
        line: One JSON object.
        where: Line and file, for messages.

    Raises:
        InputError: No JSON object, another `schema_version`, or a field that is missing, unknown or of another type.
    """
    try:
        row = parse_json(line.decode("utf-8", "surrogateescape"))
    except NotJsonError as error:
        raise InputError(f"{where} is no JSON ({error}); get the index again") from error
    version = row.get("schema_version") if isinstance(row, Mapping) else None
    if not isinstance(version, str) or version not in SCHEMAS:
        raise InputError(f"{where} has the schema_version {shown(version)}, but {' and '.join(SCHEMAS)} can be read")
    _check(row, SCHEMAS[version], where)
    _check(row["translation"], TRANSLATION, f"{where}: translation")
    source, split = row["source_dataset"], row["split"]
    if source not in SOURCES:
        raise InputError(f"{where} has the source_dataset {shown(source)}; it must be one of {', '.join(SOURCES)}")
    if split not in UPSTREAM_SPLITS:
        raise InputError(f"{where} has the split {shown(split)}; it must be one of {', '.join(UPSTREAM_SPLITS)}")
    code = row.get("source_rights_code")
    rights = facts_of(row["source_locator"])["rights"] if source == "SkyScript" else source
    return Record(
        sample_id=row["sample_id"],
        source=source,
        locator=row["source_locator"],
        rights=rights if code is None else RIGHTS.get(code, printable(code)),
        split=SPLIT_WORDS[split],
        caption=row.get("caption"),
        protected=row["prior_reused_protected"] or row.get("vlm_train_used", row.get("vlm_train_identity")),
        translator=printable(row["translation"]["model"]),
        output_key=row["translation"]["output_key"],
    )


def _check(row: Mapping[str, Any], fields: Mapping[str, Any], where: str) -> None:
    if missing := [name for name in fields if name not in row]:
        raise InputError(f"{where} lacks {', '.join(missing)}; get the index again, or mend the line")
    if extra := [name for name in row if name not in fields]:
        raise InputError(
            f"{where} has fields that its schema has not: {', '.join(map(shown, extra[:3]))}; remove them"
        )
    for name, kind in fields.items():
        if not isinstance(row[name], kind) or row[name] == "" and kind is str:
            raise InputError(f"{where} has {name} {shown(row[name])}; it must be {KINDS[kind]}")
