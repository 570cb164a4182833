"""The worker that writes a shard of a finished dataset anew with other captions, and its progress by row."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from dataset_builder.captioning import make_caption_stage
from dataset_builder.captioning.funnel import CAPTIONER_COLUMNS, CaptionTally, Funnel
from dataset_builder.captioning.stage import CaptionStage
from dataset_builder.images.decoding import DecodeStage
from dataset_builder.recipe import CaptionRecipe
from dataset_builder.shards.batches import read_batches
from dataset_builder.shards.counts import Counts, add_sizes, new_sizes
from dataset_builder.shards.layout import split_of
from dataset_builder.shards.lines import rejected_file, write_lines
from dataset_builder.shards.parquet import file_sha256, shard_writer
from fusionrs_hf.bounded_json import read_object

INFRARED_COLUMNS = ("ir_captions", "ir_caption_form", "joint_captions", *CAPTIONER_COLUMNS)
CAPTION_COLUMNS = ("captions", "caption_origin", *INFRARED_COLUMNS)


class RowBar:
    """Progress by row, over all shards, with the share of accepted captions, failed rows and the cost so far.

    Args:
        folder, shards: Of the dataset.
        manifest: Where finished shards have left what they gave.
    """

    def __init__(self, folder: Path, shards: Sequence[str], manifest: Path) -> None:
        rows = sum(pq.read_metadata(folder / "data" / name).num_rows for name in shards)
        self.funnel = Funnel()
        for path in manifest.glob("*.json"):
            self.funnel.merge(Funnel.from_dict(read_object(path, "delete the folder and run again")["funnel"]))
        self.bar = tqdm(desc="captioning", total=rows, initial=self.funnel.total().rows, unit="row")

    def advance(self, counted: Funnel) -> None:
        """Adds a batch."""
        total = self.funnel.merge(counted).total()
        shown = {"accepted": f"{total.accepted / max(total.written, 1):.1%}"}
        shown |= {"failed": total.failed.total()} if total.failed else {}
        shown |= {"cost": f"${total.usage['cost_usd']:.4f}"} if total.usage else {}
        self.bar.set_postfix(shown, refresh=False)
        self.bar.update(counted.total().rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()


class RewriteWorker:
    """Writes one shard anew with other captions; returns what was written and what became of the captions."""

    def __init__(
        self,
        folder: Path,
        out: Path,
        schema: pa.Schema,
        recipe: CaptionRecipe,
        ir_range: Mapping[str, Sequence[float]],
        stage: CaptionStage | None = None,
        bar: RowBar | None = None,
    ) -> None:
        self.folder, self.out, self.schema, self.bar = folder, out, schema, bar
        self.decode, self.stage = DecodeStage(ir_range, {}), stage or make_caption_stage(recipe)

    def __call__(self, name: str) -> dict:
        """Does the shard of this name; image bytes pass through untouched."""
        path, split = self.out / "data" / name, split_of(name)
        sizes, counts, captions = new_sizes(), Counts(), CaptionTally(self.bar.advance if self.bar else None)
        measured = unanswered = 0
        with shard_writer(path, self.schema) as writer:
            for table, batch in read_batches(self.folder / "data" / name):
                batch = captions.caption(self.stage, self.decode(batch))
                table = self._with_captions(table, batch)
                writer.write(table)
                add_sizes(sizes, table)
                counts.add(split, table)
                measured += sum(facts is not None for facts in batch["_facts"])
                unanswered += sum(failure is not None for failure in batch["_caption_failure"])
            rows = writer.close()
        write_lines(rejected_file(self.out / ".work", name), captions.lines)
        return {
            "name": f"data/{name}",
            "rows": rows,
            "bytes": path.stat().st_size,
            "sha256": file_sha256(path),
            "configs": sizes,
            "counts": counts.report(),
            "funnel": captions.funnel.as_dict(),
            "measured": measured,
            "unanswered": unanswered,
        }

    def _with_captions(self, table: pa.Table, batch: Mapping[str, list]) -> pa.Table:
        """Returns the table in the schema of the output, with the caption columns of the batch."""
        written = set(CAPTION_COLUMNS if any(batch["_scene_captions"]) else INFRARED_COLUMNS)
        columns = []
        for item in self.schema:
            if item.name in written or item.name not in table.column_names:
                columns.append(pa.array(batch[item.name], item.type))
            else:
                columns.append(table[item.name].cast(item.type))
        return pa.table(columns, schema=self.schema)
