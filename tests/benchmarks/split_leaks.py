"""What leaks between train and test: splits of this project, of `datasets`, and of imagededup and `datasets`.

    make bench        (or: python -m tests.benchmarks.split_leaks [--peer PYTHON])

The sample's tiles, one a place, and copies as corpora have of each other: recompressed as JPEG, scaled to three
quarters and back, cut by one pixel (of the RGB alone or of the infrared alone, the other image turned), and captions
that two tiles share. The same rows are split 9 to 1 in three ways, several times each; all that is counted comes from
the audit, which shares no code with the builder. `--peer`: the Python of an environment that has imagededup; its
perceptual hash removes copies of RGB, at our radius and at its own default, before `datasets` splits. Writes
tests/benchmarks/results/split_leaks.json.
"""

import argparse
import io
import json
import logging
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from datasets import Dataset, disable_progress_bars
from PIL import Image

from dataset_builder.audit.report import AuditReport
from dataset_builder.audit.verb import audit_dataset
from dataset_builder.pipeline import BuildRecipe, build
from dataset_builder.schema import FEATURES

logger = logging.getLogger(__name__)
SAMPLE = Path(__file__).parents[2] / "dataset_builder" / "sample" / "data"
RESULT = Path(__file__).parent / "results" / "split_leaks.json"
TEST_SHARE, RADIUS, PLANTED = 0.1, 4, 40  # copies a kind
REMOVE = """
import json, sys
from imagededup.methods import PHash
method = PHash()
codes = method.encode_images(image_dir=sys.argv[1])
radii = map(int, sys.argv[2:])
print(json.dumps([method.find_duplicates_to_remove(encoding_map=codes, max_distance_threshold=r) for r in radii]))
"""


def tiles() -> Iterator[dict[str, Any]]:
    """Yields one row a place of the sample; equal captions by rule, which it has, are no copies of each other."""
    seen = set()
    for path in sorted(SAMPLE.glob("*.parquet")):
        for row in pq.read_table(path).to_pylist():
            if row["source_locator"] not in seen:
                seen.add(row["source_locator"])
                yield row


def jpeg(image: Image.Image) -> bytes:
    """The image as JPEG of quality 75."""
    return encoded(image, "JPEG", quality=75)


def scaled(image: Image.Image) -> bytes:
    """The image at three quarters of its size and back."""
    small = image.resize((image.width * 3 // 4, image.height * 3 // 4), Image.Resampling.BICUBIC)
    return encoded(small.resize(image.size, Image.Resampling.BICUBIC))


def cut(image: Image.Image) -> bytes:
    """The image without its first row and column, which are repeated at the far side."""
    array = np.asarray(image)[1:, 1:]
    return encoded(Image.fromarray(np.pad(array, [(0, 1), (0, 1), *[(0, 0)] * (array.ndim - 2)], mode="edge")))


def turned(image: Image.Image) -> bytes:
    """The image upside down: another image, to every hash here."""
    return encoded(image.transpose(Image.Transpose.ROTATE_180))


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    """The image as a file."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def planted_rows(seed: int = 0) -> tuple[list[dict[str, Any]], dict[str, list[tuple[str, str]]]]:
    """Returns the sample's tiles with copies, and the sample ids of each pair by its kind."""
    rows = list(tiles())
    order = iter(np.random.default_rng(seed).permutation(len(rows)).tolist())
    pairs: dict[str, list[tuple[str, str]]] = {}
    for name, other in (("rgb", "ir"), ("ir", "rgb")):
        for change in (jpeg, scaled, cut):
            for number in range(PLANTED):
                row = rows[next(order)]
                images = {column: Image.open(io.BytesIO(row[column]["bytes"])) for column in ("rgb", "ir")}
                copy = row | {"sample_id": f"copy/{name}/{change.__name__}/{number}", "bbox": None}
                copy |= {"source_locator": copy["sample_id"], "source_dataset": "copy"}
                copy |= {name: {"bytes": change(images[name]), "path": None}}
                copy |= {other: {"bytes": turned(images[other]), "path": None}}
                rows.append(copy)
                pairs.setdefault(f"{name} {change.__name__}", []).append((row["sample_id"], copy["sample_id"]))
    for number in range(PLANTED):
        first, second = rows[next(order)], rows[next(order)]
        first |= {"captions": [f"A scene, numbered {number}, is seen."], "caption_origin": ["source"]}
        second |= {"captions": [f"a scene numbered {number} is seen"], "caption_origin": ["source"]}
        pairs.setdefault("caption", []).append((first["sample_id"], second["sample_id"]))
    return rows, pairs


def split_by_datasets(rows: Sequence[Mapping[str, Any]], out: Path, seed: int) -> None:
    """Splits by `train_test_split`, as most scripts do."""
    found = Dataset.from_list([dict(row) for row in rows], features=FEATURES).train_test_split(TEST_SHARE, seed=seed)
    for split in found:
        (out / "data").mkdir(parents=True, exist_ok=True)
        found[split].to_parquet(out / "data" / f"{split}-00000-of-00001.parquet")


def split_by_build(rows: Sequence[Mapping[str, Any]], out: Path, seed: int) -> None:
    """Splits by a build of this project."""
    folder = out.with_name(f"{out.name}-rows")
    (folder / "train").mkdir(parents=True)
    Dataset.from_list([dict(row) for row in rows], features=FEATURES).to_parquet(folder / "train" / "rows.parquet")
    recipe = {
        "name": "split leaks",
        "sources": [{"kind": "repository", "path": str(folder)}],
        "groups": {"radius": RADIUS},
        "splits": {"by": "hash", "validation": 0.0, "test": TEST_SHARE, "salt": str(seed)},
        "filters": {"rgb_ir_misaligned": False},  # copies of one image beside the other, turned, stay in
    }
    build(BuildRecipe.from_mapping(recipe), out, workers=2)


def without_copies(rows: Sequence[dict], peer: Path, work: Path, radii: Sequence[int]) -> list[list[dict]]:
    """Returns the rows that imagededup leaves, by radius: it sees the RGB images alone."""
    folder = work / "images"
    folder.mkdir()
    for number, row in enumerate(rows):
        image = Image.open(io.BytesIO(row["rgb"]["bytes"]))
        (folder / f"{number:06d}.png").write_bytes(encoded(image))
    done = subprocess.run(
        [str(peer), "-c", REMOVE, str(folder), *map(str, radii)], check=True, capture_output=True, text=True
    )
    gone = [{int(Path(name).stem) for name in names} for names in json.loads(done.stdout.splitlines()[-1])]
    return [[row for number, row in enumerate(rows) if number not in removed] for removed in gone]


def count(report: AuditReport, out: Path, pairs: Mapping[str, Sequence[tuple[str, str]]]) -> dict[str, Any]:
    """What an audit says of one split, and how many planted pairs lie in both parts."""
    split = {}
    for path in (out / "data").glob("*.parquet"):
        names = pq.read_table(path, columns=["sample_id"])["sample_id"].to_pylist()
        split.update(dict.fromkeys(names, path.name.split("-")[0]))
    apart = {
        kind: sum(one in split and other in split and split[one] != split[other] for one, other in found)
        for kind, found in pairs.items()
    }
    leaks = {one.relation: one.rows for one in report.leaks}
    crossing = next(check.found for check in report.checks if check.name == "components_in_one_split")
    whole = sum(report.rows.values())
    return {
        "rows": whole,
        "test_rows": report.rows["test"],
        "components_in_both": crossing,
        "leaking_test_rows": leaks.pop("any", 0),
        "by_relation": leaks,
        "planted_pairs_in_both": apart,
    }


def summed(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over the runs; keys that a run lacks count as nothing."""
    keys = dict.fromkeys(key for one in runs for key in one)
    nested = {key for one in runs for key, value in one.items() if isinstance(value, Mapping)}
    return {
        key: summed([one[key] for one in runs]) if key in nested else round(mean(one.get(key, 0) for one in runs), 2)
        for key in keys
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Splits in all ways, audits, and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peer", type=Path, help="Python of an environment with imagededup")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logger.setLevel(logging.INFO)
    disable_progress_bars()
    rows, pairs = planted_rows()
    methods = {"fusionrs": (split_by_build, rows), "datasets": (split_by_datasets, rows)}
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="fusionrs-leaks-") as folder:
        work = Path(folder)
        if arguments.peer:
            radii = (RADIUS, 10)
            for radius, kept in zip(radii, without_copies(rows, arguments.peer, work, radii), strict=True):
                methods[f"imagededup at {radius} bits, datasets"] = (split_by_datasets, kept)
        for name, (split, given) in methods.items():
            runs = []
            for seed in range(arguments.seeds):
                out = work / f"{name}-{seed}"
                split(given, out, seed)
                runs.append(count(audit_dataset(out, radius=RADIUS, workers=2), out, pairs))
            results[name] = summed(runs)
            results[name]["leak_rate"] = round(
                sum(one["leaking_test_rows"] for one in runs) / sum(one["test_rows"] for one in runs), 4
            )
            logger.info("%s: %s", name, results[name])
    report = {
        "what": "test rows related to a train row, by an audit that shares no code with the builder; means over seeds",
        "rows": len(rows),
        "planted_pairs": {kind: len(found) for kind, found in pairs.items()},
        "radius": RADIUS,
        "seeds": arguments.seeds,
        "methods": results,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
