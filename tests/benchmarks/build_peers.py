"""What the build is measured against: `datasets.map` row by row, img2dataset, and Pillow alone.

`img2dataset_run` is started by the peer's own interpreter, which has nothing else of this project.
"""

import hashlib
import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from PIL import Image

from dataset_builder.filters import make_rules
from dataset_builder.groups.keys import caption_key, perceptual_hash
from dataset_builder.images.png import encode_png
from dataset_builder.translators.radiometric import RadiometricTranslator
from tests.dataset_builder.made.plain_rules import first_reason

IMG2DATASET = """
import json, logging, sys, time
from img2dataset import download
logging.disable(logging.CRITICAL)
if __name__ == "__main__":
    source, out, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    start = time.perf_counter()
    download(source, output_folder=out, input_format="parquet", output_format="parquet", url_col="url",
        caption_col="caption", resize_mode="no", processes_count=2, thread_count=16, number_sample_per_shard=500,
        enable_wandb=False, **options)
    print(json.dumps({"seconds": time.perf_counter() - start}))
"""

SERVER = """
import functools, http.server, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    log_message = lambda self, *args: None
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
server = Server(("127.0.0.1", 0), functools.partial(Handler, directory=sys.argv[1]))
print(server.server_port, flush=True)
server.serve_forever()
"""


def files_of(folder: Path) -> list[dict[str, str]]:
    """Returns `rgb`, `ir` and `caption` of each row of the input."""
    lines = (folder / "rgb" / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    return [
        {
            "rgb": str(folder / "rgb" / entry["file_name"]),
            "ir": str(folder / "ir" / entry["file_name"].replace(".jpg", ".png")),
            "caption": entry["caption"],
        }
        for entry in entries
    ]


def map_rows(folder: Path, out: Path, translate: bool, quick: bool) -> dict[str, int]:
    """Builds with `datasets.map(num_proc=2)`, a row at a time, and writes Parquet with embedded images.

    Args:
        folder: Input.
        out: Folder to make.
        translate: Make the infrared; else read it.
        quick: With this project's rules and PNG encoder; else with the rules as one writes them, and Pillow's.
    """
    image, text = datasets.Image(decode=False), datasets.Value("string")
    features = datasets.Features(
        dict.fromkeys(("rgb", "ir"), image)
        | dict.fromkeys(("caption", "rgb_phash", "ir_phash", "rgb_sha256", "ir_sha256", "caption_key", "reason"), text)
    )
    rows = datasets.Dataset.from_list(files_of(folder))
    rows = rows.map(
        partial(_row, translate=translate, quick=quick), num_proc=2, features=features, writer_batch_size=100
    )
    kept = rows.filter(lambda reason: reason is None, input_columns="reason")
    out.mkdir()
    kept.to_parquet(out / "kept.parquet")
    rows.filter(lambda reason: reason is not None, input_columns="reason").to_parquet(out / "left.parquet")
    return {"read": len(rows), "kept": len(kept)}


def _row(row: dict[str, str], translate: bool, quick: bool) -> dict[str, Any]:
    rgb_bytes = Path(row["rgb"]).read_bytes()
    rgb = np.asarray(Image.open(io.BytesIO(rgb_bytes)).convert("RGB"))
    if translate:
        ir = RadiometricTranslator().translate([rgb], "nir", [0])[0]
        ir_bytes = encode_png(ir) if quick else _encoded(ir, "PNG")
    else:
        ir_bytes = Path(row["ir"]).read_bytes()
        ir = np.asarray(Image.open(io.BytesIO(ir_bytes)))
    if quick:
        decoded = {"_rgb": rgb, "_ir": ir, "captions": [row["caption"]]}
        reason = next((reason for rule in make_rules() if (reason := rule(decoded))), None)
    else:
        reason = first_reason(rgb, ir) or (None if 2 <= len(row["caption"].split()) <= 150 else "caption_length")
    return {
        "rgb": {"bytes": rgb_bytes, "path": None},
        "ir": {"bytes": ir_bytes, "path": None},
        "rgb_phash": perceptual_hash([rgb])[0],
        "ir_phash": perceptual_hash([ir])[0],
        "rgb_sha256": hashlib.sha256(rgb_bytes).hexdigest(),
        "ir_sha256": hashlib.sha256(ir_bytes).hexdigest(),
        "caption_key": caption_key(row["caption"]),
        "reason": reason,
    }


def _encoded(image: np.ndarray | Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def pillow_alone(folder: Path, translate: bool) -> dict[str, int]:
    """Decodes and encodes with Pillow in two processes; nothing is judged, hashed or written.

    Args:
        folder: Input.
        translate: Decode RGB and encode its gray; else decode and encode both images.
    """
    rows = files_of(folder)
    parts = [rows[start : start + 100] for start in range(0, len(rows), 100)]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        return {"read": sum(pool.map(partial(_pillow, translate=translate), parts))}


def _pillow(rows: Sequence[dict[str, str]], translate: bool) -> int:
    for row in rows:
        rgb = Image.open(io.BytesIO(Path(row["rgb"]).read_bytes()))
        rgb.load()
        if translate:
            _encoded(rgb.convert("L"), "PNG")
        else:
            ir = Image.open(io.BytesIO(Path(row["ir"]).read_bytes()))
            ir.load()
            _encoded(rgb, "JPEG", quality=90)
            _encoded(ir, "PNG")
    return len(rows)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serves the files of a folder over loopback HTTP, in a process of its own; gives the address."""
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
    finally:
        server.kill()
        server.wait()


def quiet() -> None:
    """Turns off the bars and logs of `datasets`."""
    datasets.disable_progress_bars()
    logging.getLogger("datasets").setLevel(logging.ERROR)
