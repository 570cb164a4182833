"""Measured facts of a build -> README.md (card, configs, dataset_info) and croissant.json; no number is typed."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import yaml

from dataset_builder.card.captions import CAPTIONS_END, CAPTIONS_START, captions_section
from dataset_builder.card.views import configs, infos, stored_columns
from dataset_builder.rights.notices import rights_section
from dataset_builder.schema import SPLITS, TYPES, VIEWS
from dataset_builder.shards.limits import card_entry
from dataset_builder.shards.report import BuildReport
from fusionrs_hf.atomic import atomic_path
from fusionrs_hf.errors import InputError
from model_cards import DATASET_CARD
from model_cards.bands import BAND_NAMES
from model_cards.markdown import markdown_cell, markdown_text

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
TASKS = ["image-text-to-text", "image-to-text", "image-to-image", "zero-shot-image-classification"]
TAGS = ["remote-sensing", "infrared", "rgb-infrared", "vision-language", "datasets"]
SPLIT_INFRARED = (
    "Rows with `ir_origin` `translated` hold infrared-style images made from the RGB image, not measurements."
)


def write_dataset_card(out: Path, report: BuildReport) -> None:
    """Writes `README.md`: YAML with licence, configs and `dataset_info`, and the facts by the template."""
    rights, columns = sorted({str(row["rights"]) for row in report.rows}), stored_columns(out, report)
    shown = configs(report, columns)
    front = {
        "language": ["en"],
        "license": _license(rights),
        "size_categories": [next((name for limit, name in SIZES if report.rows_kept < limit), "n>10M")],
        "task_categories": TASKS,
        "pretty_name": report.name,
        **_license_terms(report, rights),
        "tags": TAGS,
        **card_entry(report.identity["recipe"].get("ir_range") or {}),
        "configs": [{"config_name": name, **config} for name, config in sorted(shown.items())],
        "dataset_info": infos(report, columns),
    }
    card = jinja2.Template(DATASET_CARD.read_text(encoding="utf-8")).render(
        card_data=yaml.dump(front, sort_keys=False, allow_unicode=True).strip(),
        report=report,
        configs=shown,
        splits=SPLITS,
        table=_table(report),
        sources=sources_with_rights(report),
        by_source=_by_source(report),
        columns={name: f"list of {kind[0]}" if isinstance(kind := TYPES[name], list) else kind for name in columns},
        band_names=BAND_NAMES,
        bands=sorted({row["ir_band"] for row in report.rows}),
        translated=report.total(ir_origin="translated"),
        sensor=report.total(ir_origin="sensor"),
        split_group=report.quarantine.get("split_group", 0),
        display=report.display,
        wide={band: list(pair) for band, pair in (report.identity["recipe"].get("ir_range") or {}).items()},
        captions=captions_section(report.captions) if report.captions else "",
        rights=rights_section(report.rights),
        plain=markdown_text,
        cell=markdown_cell,
    )
    with atomic_path(out / "README.md") as temporary:
        temporary.write_text(card.rstrip() + "\n", encoding="utf-8")


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
    from datasets import Features
    from datasets.info import DatasetInfo, DatasetInfosDict
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCard, DatasetCardData

    ours, features = [view.name for view in VIEWS], DatasetCardData()
    DatasetInfosDict(default=DatasetInfo(features=Features(others))).to_dataset_card_data(features)
    try:
        bare = f"---\n{{}}\n---\n# {markdown_text(report.name)}\n"
        before = readme.read_text(encoding="utf-8") if readme.exists() else bare
        card = DatasetCard(before, ignore_metadata_errors=True)
        theirs = [config for config in card.data.get("configs") or [] if config["config_name"] not in ours]
        card.data.configs = [{key: config[key] for key in config if key != "default"} for config in theirs]
        MetadataConfigs(configs(report)).to_dataset_card_data(card.data)
        card.data.dataset_info = infos(report, others=features.dataset_info["features"])
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"front matter of {readme}: {' '.join(str(error).split())}; mend it, or take it out"
        ) from error
    section = captions_section(report.captions)
    text, replacements = re.subn(f"{CAPTIONS_START}.*?{CAPTIONS_END}", lambda _: section, card.text, flags=re.DOTALL)
    text = text if replacements else f"{text.rstrip()}\n\n{section}\n"
    with atomic_path(out / "README.md") as temporary:
        temporary.write_text(f"---\n{card.data.to_yaml()}\n---\n{text}", encoding="utf-8")


def _license(rights: list[str]) -> str:
    return HUB_LICENSES.get(rights[0], "other") if len(rights) == 1 else "other"


def _license_terms(report: BuildReport, rights: list[str]) -> dict[str, str]:
    """Says in the front matter, of a published copy, what a user must know before all else."""
    if _license(rights) != "other":
        return {}
    conditions = {name for item in report.rights.get("codes", ()) for name in item["conditions"]}
    strict = [name.replace("_", "-") for name in ("non_commercial", "share_alike") if name in conditions]
    link = "NOTICE.md" if report.rights else "README.md"
    return {"license_name": "-".join(["per-row-rights", *strict]), "license_link": link}


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


def sources_with_rights(report: BuildReport) -> list[dict[str, Any]]:
    """Returns the rows and the attribution of each source and rights code."""
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
