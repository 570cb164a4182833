import io
import json

import numpy as np
import pyarrow as pa
import pytest
import yaml
from datasets import DatasetInfo, SplitDict, SplitInfo, get_dataset_config_names, load_dataset
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCard, DatasetCardData
from PIL import Image

from dataset_builder.card.croissant import write_croissant
from dataset_builder.card.readme import write_dataset_card
from dataset_builder.fusionrs import FusionRS
from dataset_builder.schema import FEATURES, IMAGE_COLUMNS, new_row
from dataset_builder.shards.parquet import write_shard
from dataset_builder.shards.report import BuildReport


def image(seed, *shape):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def row(index, origin, captioned=True):
    return new_row(
        sample_id=f"s{index}",
        source_dataset="made",
        source_locator=f"{index}.png",
        rights="CC0-1.0",
        rgb=image(index, 8, 8, 3),
        ir=image(100 + index, 8, 8),
        ir_origin=origin,
        ir_band="lwir" if origin == "sensor" else "nir",
        ir_unit="display",
        captions=["a field", "farmland"],
        caption_origin=["hand", "rule"],
        ir_captions=["bright"] if captioned else [],
        captioner="grounded" if captioned else None,
        bbox=[1.0, 2.0, 3.0, 4.0] if index % 2 else None,
        gsd_m=10.0,
    )


def counts(split, **parts):
    """Rows of the report, by origin."""
    known = {"split": split, "source_dataset": "made", "rights": "CC0-1.0"}
    return [
        {**known, "ir_band": "lwir" if origin == "sensor" else "nir", "ir_origin": origin, "rows": rows}
        for origin, rows in parts.items()
    ]


@pytest.fixture(scope="module")
def report():
    return BuildReport(
        name="made-tiles",
        description="Tiles made for a test.",
        attribution={"made": "by nobody | for the test"},
        fingerprint="f" * 64,
        identity={
            "recipe": {"groups": {"relations": ["bytes", "caption"], "radius": 4}},
            "inputs": [],
            "code": "",
            "versions": {"pyarrow": "1"},
        },
        fusionrs_version="0.0.1",
        rows_read=9,
        rows_kept=5,
        rows=counts("train", sensor=2, translated=1) + counts("test", sensor=1, translated=1),
        representatives={"train": 0, "test": 2},
        quarantine={"ir_too_flat": 3, "split_group": 1},
        groups={
            "image_groups": 4,
            "joint_groups": 3,
            "largest": [{"size": 2, "relation": "caption", "merges": {"caption": 1}, "sample_id": "s0"}],
        },
        facts={"sensor": {"Made-1": 3}, "translator": {"radiometric": 2}, "caption_origin": {"hand": 5, "rule": 5}},
        configs={
            "default": {"train": {"rows": 3, "bytes": 300}, "test": {"rows": 2, "bytes": 200}},
            "captions": {"train": {"rows": 3, "bytes": 30}, "test": {"rows": 2, "bytes": 20}},
            "ir_aware": {"train": {"rows": 2, "bytes": 200}, "test": {"rows": 1, "bytes": 100}},
            "sensor": {"train": {"rows": 2, "bytes": 200}, "test": {"rows": 1, "bytes": 100}},
        },
        files={
            "data/train-00000-of-00001.parquet": {"rows": 3, "bytes": 1000, "sha256": "a"},
            "data/test-00000-of-00001.parquet": {"rows": 2, "bytes": 500, "sha256": "b"},
            "quarantine/rows-00000-of-00001.parquet": {"rows": 4, "bytes": 70, "sha256": "c"},
        },
    )


@pytest.fixture(scope="module")
def folder(report, tmp_path_factory):
    """The rows that the report counts, with its card and its Croissant file."""
    root = tmp_path_factory.mktemp("dataset")
    parts = {
        "train": [row(0, "sensor"), row(1, "sensor", captioned=False), row(2, "translated")],
        "test": [row(3, "sensor"), row(4, "translated", captioned=False)],
    }
    for split, rows in parts.items():
        table = pa.Table.from_pylist(rows, schema=FEATURES.arrow_schema)
        write_shard(root / "data" / f"{split}-00000-of-00001.parquet", table)
    write_dataset_card(root, report)
    write_croissant(root, report)
    return root


@pytest.fixture(scope="module")
def text(folder):
    return (folder / "README.md").read_text(encoding="utf-8")


def test_every_config_of_the_card_loads_the_rows_the_builder_gives(folder, tmp_path):
    assert set(get_dataset_config_names(str(folder))) == {config.name for config in FusionRS.BUILDER_CONFIGS}
    for config in FusionRS.BUILDER_CONFIGS:
        plain = load_dataset(str(folder), config.name, cache_dir=str(tmp_path / "plain"))
        builder = FusionRS(data_dir=str(folder), config_name=config.name, cache_dir=str(tmp_path / "ours"))
        builder.download_and_prepare()
        ours = builder.as_dataset()
        assert set(plain) == set(ours) == {"train", "test"}
        for split in plain:
            assert plain[split].features == ours[split].features
            for name in set(plain[split].features) - set(IMAGE_COLUMNS):
                assert plain[split][name][:] == ours[split][name][:]


def test_the_front_matter_is_what_datasets_itself_would_write(text):
    card, written = DatasetCard(text), DatasetCardData()
    features = {config.name: config.features for config in FusionRS.BUILDER_CONFIGS}
    DatasetInfosDict(
        {
            info["config_name"]: DatasetInfo(
                features=features[info["config_name"]],
                splits=SplitDict((split["name"], SplitInfo(**split)) for split in info["splits"]),
                download_size=info["download_size"],
                dataset_size=info["dataset_size"],
            )
            for info in card.data.dataset_info
        }
    ).to_dataset_card_data(written)
    MetadataConfigs.from_dataset_card_data(card.data).to_dataset_card_data(written)
    assert written.dataset_info == card.data.dataset_info
    assert written.configs == card.data.configs
    assert str(card).rstrip() == text.rstrip()  # also in the order of keys and the breaks of lines


def test_the_front_matter_is_what_the_hub_reads(text, report):
    data = DatasetCard(text).data
    assert data.license == "cc0-1.0"
    assert data.size_categories == ["n<1K"]
    assert data.pretty_name == "made-tiles"
    infos = {info["config_name"]: info for info in data.dataset_info}
    assert {split["name"]: split["num_examples"] for split in infos["sensor"]["splits"]} == {"train": 2, "test": 1}
    assert infos["default"]["download_size"] == 1500  # quarantine is not published
    assert "&id" not in text.split("---")[1]
    default = [config["config_name"] for config in data.configs if config.get("default")]
    assert default == ["default"]


def test_numbers_of_the_card_are_those_of_the_report(text):
    for line in (
        "| train | lwir | sensor | 2 |",
        "| test | nir | infrared-style (translated) | 1 |",
        "| `ir_too_flat` | 3 |",
        "9 rows were read, 5 kept",
        "| 2 | `caption` | s0 |",
        "1 rows left for that (`split_group`)",
        "2 of 5 rows hold *infrared-style* images",
        "test 2.",
        r"| made | CC0-1.0 | 5 | by nobody \| for the test |",
    ):
        assert line in text


def test_translated_rows_are_never_called_thermal(text):
    body = text.split("---", 2)[2]
    assert all("translated" not in line for line in body.splitlines() if "thermal" in line)


def test_unlike_rights_make_the_licence_other_told_by_row(report, tmp_path):
    rows = [
        {**item, "rights": right} for item, right in zip(report.rows, ("CC0-1.0", "CC-BY-4.0", "x", "x"), strict=True)
    ]
    write_dataset_card(tmp_path, BuildReport(**{**report.as_dict(), "rows": rows}))
    data = yaml.safe_load((tmp_path / "README.md").read_text().split("---")[1])
    assert (data["license"], data["license_name"]) == ("other", "per-row-rights")


def test_a_card_without_translated_rows_has_no_word_of_them(report, tmp_path):
    rows = [item for item in report.rows if item["ir_origin"] == "sensor"]
    write_dataset_card(tmp_path, BuildReport(**{**report.as_dict(), "rows": rows}))
    assert "infrared-style" not in (tmp_path / "README.md").read_text()


def test_views_without_rows_are_left_out(report, tmp_path):
    configs = {**report.configs, "sensor": {"train": {"rows": 2, "bytes": 1}, "test": {"rows": 0, "bytes": 0}}}
    configs["ir_aware"] = {split: {"rows": 0, "bytes": 0} for split in ("train", "test")}
    write_dataset_card(tmp_path, BuildReport(**{**report.as_dict(), "configs": configs}))
    card = DatasetCard.load(tmp_path / "README.md")
    views = {config["config_name"]: [file["split"] for file in config["data_files"]] for config in card.data.configs}
    assert views == {"captions": ["train", "test"], "default": ["train", "test"], "sensor": ["train"]}
    assert {info["config_name"] for info in card.data.dataset_info} == set(views)
    assert '"ir_aware")' not in card.text and '"sensor")' in card.text


def test_a_build_without_a_captioner_has_no_word_of_one(text):
    assert "## Infrared-aware captions" not in text


def test_croissant_validates_and_its_records_are_the_rows(folder):
    mlcroissant = pytest.importorskip("mlcroissant")
    dataset = mlcroissant.Dataset(str(folder / "croissant.json"))
    assert not dataset.metadata.issues.errors
    records = list(dataset.records("train"))
    assert [record["train/sample_id"] for record in records] == [b"s0", b"s1", b"s2"]
    expected = row(1, "sensor", captioned=False)
    assert records[1]["train/captions"] == [b"a field", b"farmland"]
    assert records[1]["train/bbox"] == expected["bbox"]
    assert records[0]["train/bbox"] is None
    np.testing.assert_array_equal(
        np.asarray(records[1]["train/ir"]), np.asarray(Image.open(io.BytesIO(expected["ir"]["bytes"])))
    )


def test_croissant_states_responsible_use(folder):
    metadata = json.loads((folder / "croissant.json").read_text())
    assert metadata["rai:dataLimitations"].startswith("2 of 5 rows are translated.")
    assert metadata["rai:dataPreprocessingProtocol"] == "5 of 9 rows kept; removed: 3 ir_too_flat, 1 split_group."
    assert metadata["rai:machineAnnotationTools"] == ["radiometric"]


def test_the_report_survives_its_json(report):
    assert BuildReport(**json.loads(json.dumps(report.as_dict()))) == report


SPLIT_REPORT = {
    "targets": {
        "validation": {"wanted": 2, "rows": 2, "difference": 0},
        "test": {"wanted": 3, "rows": 2, "difference": -1},
    },
    "sources": {"made": {"train": 3, "validation": 0, "test": 2}},
    "min_per_source": 1,
    "below_minimum": [{"source": "made", "split": "validation", "rows": 0}],
    "forced": {"rows": 4, "groups": 2, "group_rows": 6},
    "left": {"split_group": 1, "split_forced_train": 5},
    "large_components": [
        {"size": 2, "share": 0.4, "relation": "caption", "merges": {"caption": 1}, "sample_id": "s0"}
    ],
}


def test_how_the_splits_came_about_is_told(report, tmp_path):
    write_dataset_card(tmp_path, BuildReport(**{**report.as_dict(), "split_report": SPLIT_REPORT}))
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    for line in (
        "| test | 2 | 3 | -1 |\n",
        "| made | 3 | 0 | 2 |\n",  # as the rows are counted
        "Each source was to have 1 rows in each held-out split; made has 0 in validation.\n",
        "4 rows may be in train only, and keep the 6 rows of their joint groups there;\n",
        "5 rows of these groups had another split by their source and left (`split_forced_train`).\n",
        "**Large groups:** 1 of these hold more than 1 % of the rows each\n(40.0 % by `caption`).",
    ):
        assert line in text
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings.index("## Splits") == headings.index("## Groups") + 1 == headings.index("## Limitations") - 1


def test_a_card_says_no_more_of_splits_than_is_known(report, text, tmp_path):
    assert "## Splits" not in text and "Large groups" not in text
    plain = {**SPLIT_REPORT, "min_per_source": 0, "below_minimum": [], "large_components": []}
    plain |= {"forced": {"rows": 0, "groups": 0, "group_rows": 0}}
    write_dataset_card(tmp_path, BuildReport(**{**report.as_dict(), "split_report": plain}))
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "## Splits" in text
    assert not [word for word in ("Each source was", "in train only", "Large groups") if word in text]
    assert "\n\n\n" not in text[text.index("## Groups") : text.index("## Columns")]
