"""Measured facts of a build -> README.md (card, configs, dataset_info) and croissant.json; no number is typed."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from datasets import DatasetInfo, Features, Image, SplitDict, SplitInfo, Value
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCard, DatasetCardData

from dataset_builder.captioning.funnel import CAPTIONS_END, CAPTIONS_START, captions_section
from dataset_builder.fusionrs import FusionRS
from dataset_builder.rights.notices import rights_section
from dataset_builder.schema import FEATURES, SPLITS
from dataset_builder.shards.report import BuildReport
from fusionrs_hf.atomic import atomic_path
from fusionrs_hf.errors import InputError
from model_cards.render import markdown_cell, markdown_text

TEMPLATE = Path(__file__).parents[1] / "model_cards" / "templates" / "dataset_card.md"
# Rights codes that are licences the Hub knows; any other set of codes becomes `other`, told row by row.
HUB_LICENSES = {
    "CC0-1.0": "cc0-1.0",
    "CC-BY-4.0": "cc-by-4.0",
    "CC-BY-SA-4.0": "cc-by-sa-4.0",
    "CC-BY-NC-4.0": "cc-by-nc-4.0",
    "ODbL-1.0": "odbl",
    "MIT": "mit",
    "Apache-2.0": "apache-2.0",
}
SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
BAND_NAMES = {
    "nir": "near infrared",
    "swir": "short-wave infrared",
    "mwir": "mid-wave infrared",
    "lwir": "long-wave (thermal) infrared",
    "unspecified": "infrared of unspecified band",
}
SPLIT_INFRARED = (
    "Rows with `ir_origin` `translated` hold infrared-style images made from the RGB image, not measurements."
)


def write_dataset_card(out: Path, report: BuildReport) -> None:
    """Writes `README.md`: YAML with licence, configs and `dataset_info`, and the facts by the template."""
    rights = sorted({str(row["rights"]) for row in report.rows})
    data = DatasetCardData(
        pretty_name=report.name,
        language=["en"],
        license=_license(rights),
        license_name=None if _license(rights) != "other" else _license_name(report),
        license_link=None if _license(rights) != "other" else "NOTICE.md" if report.rights else "README.md",
        task_categories=["image-text-to-text", "image-to-text", "image-to-image", "zero-shot-image-classification"],
        tags=["remote-sensing", "infrared", "rgb-infrared", "vision-language", "datasets"],
        size_categories=[next((name for limit, name in SIZES if report.rows_kept < limit), "n>10M")],
    )
    MetadataConfigs(configs(report)).to_dataset_card_data(data)
    DatasetInfosDict(infos(report)).to_dataset_card_data(data)
    card = DatasetCard.from_template(
        data,
        template_path=str(TEMPLATE),
        report=report,
        configs=configs(report),
        table=_table(report),
        sources=_sources(report),
        by_source=_by_source(report),
        columns={name: _describe(FEATURES[name]) for name in FEATURES},
        band_names=BAND_NAMES,
        bands=sorted({row["ir_band"] for row in report.rows}),
        translated=report.total(ir_origin="translated"),
        sensor=report.total(ir_origin="sensor"),
        split_group=report.quarantine.get("split_group", 0),
        captions=captions_section(report.captions) if report.captions else "",
        rights=rights_section(report.rights),
        plain=markdown_text,
        cell=markdown_cell,
    )
    with atomic_path(out / "README.md") as temporary:
        temporary.write_text(str(card).rstrip() + "\n", encoding="utf-8")


def caption_readme(readme: Path, out: Path, report: BuildReport, others: Mapping[str, Any]) -> None:
    """Writes `README.md` from one that no build wrote: its text stays, configs, sizes and captions are set right.

    Args:
        readme: The dataset's own; need not exist.
        out: Folder to write to.
        report: Of what is there now.
        others: Features of columns that are no part of the record.

    Raises:
        InputError: The front matter cannot be read.
    """
    ours = [config.name for config in FusionRS.BUILDER_CONFIGS]
    try:
        bare = f"---\n{{}}\n---\n# {markdown_text(report.name)}\n"
        before = readme.read_text(encoding="utf-8") if readme.exists() else bare
        card = DatasetCard(before, ignore_metadata_errors=True)
        theirs = [config for config in card.data.get("configs") or [] if config["config_name"] not in ours]
        card.data.configs = [{key: config[key] for key in config if key != "default"} for config in theirs]
        card.data.dataset_info = None  # of rows and columns as they were
        MetadataConfigs(configs(report)).to_dataset_card_data(card.data)
        DatasetInfosDict(infos(report, others)).to_dataset_card_data(card.data)
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"front matter of {readme}: {' '.join(str(error).split())}; mend it, or take it out"
        ) from error
    section = captions_section(report.captions)
    text, found = re.subn(f"{CAPTIONS_START}.*?{CAPTIONS_END}", lambda _: section, card.text, flags=re.DOTALL)
    text = text if found else f"{text.rstrip()}\n\n{section}\n"
    with atomic_path(out / "README.md") as temporary:
        temporary.write_text(f"---\n{card.data.to_yaml()}\n---\n{text}", encoding="utf-8")


def _license(rights: list[str]) -> str:
    return HUB_LICENSES.get(rights[0], "other") if len(rights) == 1 else "other"


def _license_name(report: BuildReport) -> str:
    """Says in the front matter, of a published copy, what a user must know before all else."""
    conditions = {name for item in report.rights.get("codes", ()) for name in item["conditions"]}
    strict = [name.replace("_", "-") for name in ("non_commercial", "share_alike") if name in conditions]
    return "-".join(["per-row-rights", *strict])


def configs(report: BuildReport) -> dict[str, dict[str, Any]]:
    """Returns the views of the same files: `columns` and `filters` are options of the Parquet reader of `datasets`."""
    views = {
        "default": {"default": True},
        "captions": {"columns": list(_builder_config("captions").features)},
        "ir_aware": {"filters": [["captioner", "!=", ""]]},  # null, too, does not pass
        "sensor": {"filters": [["ir_origin", "==", "sensor"]]},
    }
    return {
        name: {**view, "data_files": [{"split": split, "path": f"data/{split}-*"} for split in splits]}
        for name, view in views.items()
        if (splits := _splits(report, name))
    }


def _splits(report: BuildReport, config: str) -> list[str]:
    """Splits in which a config has rows: `datasets` loads no empty one."""
    return [split for split in report.splits if report.configs[config][split]["rows"]]


def _builder_config(name: str) -> Any:
    return next(config for config in FusionRS.BUILDER_CONFIGS if config.name == name)


def infos(report: BuildReport, others: Mapping[str, Any] | None = None) -> dict[str, DatasetInfo]:
    """Returns features and sizes by config; `others` are features of columns that are no part of the record."""
    found = {}
    download = sum(file["bytes"] for name, file in report.files.items() if name.startswith("data/"))
    for config, sizes in report.configs.items():
        splits = SplitDict()
        if not _splits(report, config):
            continue
        for split in _splits(report, config):
            splits.add(SplitInfo(split, num_bytes=sizes[split]["bytes"], num_examples=sizes[split]["rows"]))
        known = _builder_config(config)
        found[config] = DatasetInfo(
            features=Features({**known.features, **({} if known.columns else others or {})}),
            splits=splits,
            download_size=download,
            dataset_size=sum(sizes[split]["bytes"] for split in report.splits),
        )
    return found


def _table(report: BuildReport) -> list[dict[str, Any]]:
    """Rows by split, band and origin, with what they are called where a user reads it."""
    counts = Counter()
    for row in report.rows:
        counts[row["split"], row["ir_band"], row["ir_origin"]] += row["rows"]
    order = sorted(counts, key=lambda key: (SPLITS.index(key[0]), str(key[1]), str(key[2])))
    return [
        {"split": split, "band": band, "origin": origin, "rows": counts[split, band, origin]}
        for split, band, origin in order
    ]


def _sources(report: BuildReport) -> list[dict[str, Any]]:
    counts = Counter()
    for row in report.rows:
        counts[row["source_dataset"], row["rights"]] += row["rows"]
    return [
        {"source": source, "rights": rights, "rows": rows, "attribution": report.attribution.get(source, "")}
        for (source, rights), rows in sorted(counts.items())
    ]


def _by_source(report: BuildReport) -> dict[str, dict[str, int]]:
    names = sorted({str(row["source_dataset"]) for row in report.rows})
    return {name: {split: report.total(source_dataset=name, split=split) for split in SPLITS} for name in names}


def _describe(feature: Any) -> str:
    if isinstance(feature, Image):
        return "image"
    return feature.dtype if isinstance(feature, Value) else f"list of {feature.feature.dtype}"


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
    rights = sorted({str(row["rights"]) for row in report.rows})
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
                "field": [_field(split, name, FEATURES) for name in FEATURES],
            }
            for split in report.splits
        ],
        **_rai(report),
    }
    with atomic_path(out / "croissant.json") as temporary:
        temporary.write_text(json.dumps(metadata, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _field(split: str, name: str, features: Features) -> dict[str, Any]:
    feature = features[name]
    source: dict[str, Any] = {"fileSet": {"@id": f"{split}-files"}, "extract": {"column": name}}
    field = {"@type": "cr:Field", "@id": f"{split}/{name}", "source": source}
    if isinstance(feature, Image):
        return {**field, "dataType": "sc:ImageObject", "source": {**source, "transform": {"jsonPath": "bytes"}}}
    if isinstance(feature, Value):
        return {**field, "dataType": CROISSANT_TYPES[feature.dtype]}
    return {**field, "dataType": CROISSANT_TYPES[feature.feature.dtype], "repeated": True}


def _rai(report: BuildReport) -> dict[str, Any]:
    tools = [*report.facts.get("translator", {}), *report.facts.get("captioner", {})]
    removed = ", ".join(f"{count} {reason}" for reason, count in report.quarantine.items()) or "none"
    return {
        "rai:dataCollection": "Rows by source: "
        + "; ".join(f"{item['source']} ({item['rows']}, rights {item['rights']})" for item in _sources(report)),
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
