"""What a build measured of itself as Croissant 1.0 with RAI fields."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dataset_builder.card.readme import SPLIT_INFRARED, sources_with_rights
from dataset_builder.card.views import stored_columns
from dataset_builder.schema import TYPES
from dataset_builder.shards.report import BuildReport
from fusionrs_hf.atomic import atomic_path

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
CROISSANT_TYPES = {"string": "sc:Text", "float64": "sc:Float", "int64": "sc:Integer", "bool": "sc:Boolean"}


def write_croissant(out: Path, report: BuildReport) -> None:
    """Writes `croissant.json` (Croissant 1.0, RAI fields): a file set and a record set a split, over local files."""
    rights, columns = sorted({str(row["rights"]) for row in report.rows}), stored_columns(out, report)
    metadata = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": report.name,
        "description": report.description or report.name,
        "version": report.version,
        "license": rights,
        "distribution": [
            {
                "@type": "cr:FileSet",
                "@id": f"{split}-files",
                "encodingFormat": "application/x-parquet",
                "includes": f"data/{split}-*.parquet",
            }
            for split in report.splits
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": split,
                "key": {"@id": f"{split}/sample_id"},
                "field": [_field(split, name) for name in columns],
            }
            for split in report.splits
        ],
        **_rai(report),
    }
    with atomic_path(out / "croissant.json") as temporary:
        temporary.write_text(json.dumps(metadata, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _field(split: str, name: str) -> dict[str, Any]:
    kind = TYPES[name]
    source: dict[str, Any] = {"fileSet": {"@id": f"{split}-files"}, "extract": {"column": name}}
    field = {"@type": "cr:Field", "@id": f"{split}/{name}", "source": source}
    if kind == "image":
        return {**field, "dataType": "sc:ImageObject", "source": {**source, "transform": {"jsonPath": "bytes"}}}
    if isinstance(kind, list):
        return {**field, "dataType": CROISSANT_TYPES[kind[0]], "repeated": True}
    return {**field, "dataType": CROISSANT_TYPES[kind]}


def _rai(report: BuildReport) -> dict[str, Any]:
    tools = [*report.facts.get("translator", {}), *report.facts.get("captioner", {})]
    removed = ", ".join(f"{count} {reason}" for reason, count in report.quarantine.items()) or "none"
    return {
        "rai:dataCollection": "Rows by source: "
        + "; ".join(
            f"{item['source']} ({item['rows']}, rights {item['rights']})" for item in sources_with_rights(report)
        ),
        "rai:dataCollectionTimeFrame": sorted(report.facts.get("acquired_year", {})),
        "rai:dataPreprocessingProtocol": f"{report.rows_kept} of {report.rows_read} rows kept; removed: {removed}.",
        "rai:dataAnnotationProtocol": "Scene captions by origin: " + _counts(report.facts.get("caption_origin", {})),
        "rai:machineAnnotationTools": tools,
        "rai:dataLimitations": _limitations(report),
        "rai:personalSensitiveInformation": "Not screened for; see the ground sampling distances in the card.",
    }


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def _limitations(report: BuildReport) -> str:
    translated = report.total(ir_origin="translated")
    return f"{translated} of {report.rows_kept} rows are translated. {SPLIT_INFRARED}"
