"""The `datasets` builder: RGB images, infrared images pixel-aligned with them, scene captions and IR-aware captions.

Reads a folder in the published layout, `data/{train,validation,test}-*.parquet`, one row per RGB-infrared pair with
the columns of `schema.FEATURES`. Infrared is sensor data (`ir_origin` "sensor", named by `ir_band`) or a translation
of the RGB image ("translated", infrared-style). A packaged class for datasets 5; by path, a loading script below 4.

    from dataset_builder.fusionrs import FusionRS
    builder = FusionRS(data_dir="runs/demo/dataset", config_name="sensor")
    builder.download_and_prepare()
    train = builder.as_dataset(split="train")
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets
import pyarrow.parquet as pq

from .schema import COLUMNS, FEATURES, IMAGE_COLUMNS, SPLITS, VIEWS


@dataclass
class FusionRSBuilderConfig(datasets.BuilderConfig):
    """One view of the same files.

    Args:
        columns: Columns to give.
        ir_origin: Only rows of this origin; None: all.
        needs_ir_captions: Only rows that have an IR-aware caption.
    """

    columns: Sequence[str] = COLUMNS
    ir_origin: str | None = None
    needs_ir_captions: bool = False

    @property
    def features(self) -> datasets.Features:
        """Features of the columns that this view gives, in the schema's order."""
        return datasets.Features({name: FEATURES[name] for name in COLUMNS if name in self.columns})

    def keeps(self, row: dict) -> bool:
        """Tells whether a row, with at least `ir_origin` and `ir_captions`, is part of this view."""
        if self.needs_ir_captions and not row["ir_captions"]:
            return False
        return self.ir_origin is None or row["ir_origin"] == self.ir_origin


VERSION = datasets.Version("1.0.0")


class FusionRS(datasets.GeneratorBasedBuilder):
    """Builder over `data_dir`; configs `default` (all rows), `captions` (no images), `ir_aware` and `sensor`."""

    BUILDER_CONFIG_CLASS = FusionRSBuilderConfig
    BUILDER_CONFIGS = [FusionRSBuilderConfig(version=VERSION, **vars(view)) for view in VIEWS]
    DEFAULT_CONFIG_NAME = "default"

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(description=__doc__, features=self.config.features)

    def _split_generators(self, dl_manager: object) -> list[datasets.SplitGenerator]:
        folder = Path(self.config.data_dir or ".") / "data"
        split_files = {split: sorted(str(path) for path in folder.glob(f"{split}-*.parquet")) for split in SPLITS}
        if not any(split_files.values()):
            raise FileNotFoundError(
                f"{folder} has no {{train,validation,test}}-*.parquet; give data_dir=<dataset folder>"
            )
        return [
            datasets.SplitGenerator(name=split, gen_kwargs={"files": files})
            for split, files in split_files.items()
            if files
        ]

    def _generate_examples(self, files: list[str]) -> Iterator[tuple[str, dict]]:
        """Yields `(sample_id, row)`; images as their stored bytes, columns that a former version lacked as None."""
        names = list(self.config.features)
        wanted = sorted({*names, "sample_id", "ir_origin", "ir_captions"})
        for path in files:
            with pq.ParquetFile(path) as file:
                columns = [name for name in wanted if name in file.schema_arrow.names]
                for batch in file.iter_batches(batch_size=100, columns=columns):
                    for row in filter(self.config.keeps, batch.to_pylist()):
                        # A path that also exists here would be read in place of the bytes: give the bytes alone.
                        images = {
                            name: row[name] and {"bytes": row[name]["bytes"]} for name in IMAGE_COLUMNS if name in row
                        }
                        yield row["sample_id"], {name: images.get(name, row.get(name)) for name in names}
