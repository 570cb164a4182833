"""The sample's card: what `scenes.yaml` declares and what was counted, and the YAML that the Hub reads."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import DatasetInfo
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCard, DatasetCardData
from pyarrow.parquet import ParquetFile

from dataset_builder.sample.scenes import Scene
from dataset_builder.schema import FEATURES, SPLITS
from dataset_builder.shards.report import BuildReport
from dataset_builder.sources.scene import SceneSource
from fusionrs_hf.atomic import atomic_path

TEMPLATE = Path(__file__).with_name("card_template.md")
TAGS = ["remote-sensing", "infrared", "rgb-infrared", "sentinel-2", "landsat", "vision-language"]


def write_card(
    out: Path,
    scenes: Sequence[tuple[Scene, SceneSource]],
    rows: Mapping[str, Sequence[dict]],
    left: Counter,
    report: BuildReport,
) -> None:
    """Writes `README.md`.

    Args:
        out: Folder of the sample; its Parquet files are there already.
        scenes: What is declared, and the readers.
        rows: Rows by split, as they were cut.
        left: Tiles that were not usable, by (scene, reason).
        report: Of the build that finished the rows.
    """
    data = DatasetCardData(
        pretty_name="FusionRS sample: real RGB-infrared tiles of three scenes",
        language=["en"],
        license="other",
        license_name="cc0-1.0-and-public-domain",
        license_link="README.md",
        task_categories=["image-text-to-text", "image-to-text", "image-to-image"],
        tags=TAGS,
        size_categories=["1K<n<10K"],
    )
    files = [{"split": split, "path": f"data/{split}-*"} for split in SPLITS]
    MetadataConfigs({"default": {"default": True, "data_files": files}}).to_dataset_card_data(data)
    DatasetInfosDict({"default": DatasetInfo(features=FEATURES)}).to_dataset_card_data(data)
    counts = Counter(
        (row["source_dataset"], row["ir_band"], split) for split, split_rows in rows.items() for row in split_rows
    )
    tiles = {split: len({row["source_locator"] for row in split_rows}) for split, split_rows in rows.items()}
    size = sum(path.stat().st_size for path in (out / "data").glob("*.parquet"))
    card = DatasetCard.from_template(
        data,
        template_path=str(TEMPLATE),
        scenes=[_facts(scene, source, rows, counts, left) for scene, source in scenes],
        splits=SPLITS,
        tiles=tiles,
        rows={split: len(split_rows) for split, split_rows in rows.items()},
        megabytes=round(size / 1e6, 1),
        report=report,
        first=_first_row(out / "data" / "test-00000-of-00001.parquet"),
    )
    with atomic_path(out / "README.md") as temporary:
        temporary.write_text(str(card).rstrip() + "\n", encoding="utf-8")


def _first_row(path: Path) -> dict[str, Any]:
    """Returns the texts of a file's first row."""
    columns = ["sample_id", "captions", "ir_captions", "ir_caption_form", "joint_captions"]
    with ParquetFile(path) as file:
        return next(file.iter_batches(batch_size=1, columns=columns)).to_pylist()[0]


def _facts(scene: Scene, source: SceneSource, rows: Mapping, counts: Counter, left: Counter) -> dict[str, Any]:
    boxes = [row["bbox"] for split_rows in rows.values() for row in split_rows if row["source_dataset"] == scene.name]
    west, south, east, north = (pick(box[axis] for box in boxes) for axis, pick in enumerate((min, min, max, max)))
    first = next(row for split_rows in rows.values() for row in split_rows if row["source_dataset"] == scene.name)
    return {
        "declared": scene,
        "source": source,
        "gsd_m": first["gsd_m"],
        "box": f"{abs(west):.2f} to {abs(east):.2f} {'W' if west < 0 else 'E'}, {south:.2f} to {north:.2f} N",
        "bands": [
            {
                "kind": kind,
                "name": name,
                "limits": source.limits[name],
                "rows": [counts[scene.name, kind, s] for s in SPLITS],
            }
            for kind, name in source.ir.items()
        ],
        "left": [
            f"{count} tiles {_why(source, reason)}" for (name, reason), count in left.items() if name == scene.name
        ],
    }


def _why(source: SceneSource, reason: str) -> str:
    """Says in words why `SceneSource` gave tiles a reason."""
    if reason == "little_land":
        return f"with {source.land.band} above {source.land.above} on less than {source.land.min_ratio:.0%} (water)"
    if reason == "cloudy":
        bits = " and ".join(map(str, source.clouds.bits))
        return (
            f"with bit {bits} of {source.clouds.band} set on more than {source.clouds.max_ratio:.0%} (cloud, cirrus)"
        )
    return reason.replace("_", " ")
