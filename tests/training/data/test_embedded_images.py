import http.server
import threading

import pyarrow as pa
import pytest

from dataset_builder.schema import FEATURES
from dataset_builder.shards.parquet import write_shard
from fusionrs_hf.errors import InputError
from tests.made import tiny, tiny_dataset
from training.data.pairs import load_pairs
from training.data.streaming import stream_pairs


def write(folder, column, image):
    """A dataset whose second row has another image in a column."""
    rows = tiny_dataset.rows("train", 2, 0)
    rows[1][column] = image
    table = pa.Table.from_pylist(rows, schema=FEATURES.arrow_schema)
    write_shard(folder / "data" / "train-00000-of-00001.parquet", table)
    return str(folder)


def readings(folder):
    """The rows of a dataset, read at once and as a stream."""
    yield lambda: list(load_pairs(folder, "train"))
    yield lambda: list(stream_pairs(folder, "sensor", seed=0, buffer_size=2))


def test_images_of_a_dataset_are_those_that_it_holds(tmp_path):
    folder = write(tmp_path, "rgb", tiny_dataset.encoded(tiny.rgb_image(7)))
    for read in readings(folder):
        images = [row["rgb"].tobytes() for row in read()]
        assert tiny.rgb_image(7).tobytes() in images and len(images) == 4


@pytest.mark.parametrize("column", ["rgb", "ir"])
def test_a_row_that_names_a_file_is_refused_and_nothing_is_opened(tmp_path, column):
    tiny.rgb_image(5).save(tmp_path / "secret.png")
    folder = write(tmp_path / "dataset", column, {"bytes": None, "path": str(tmp_path / "secret.png")})
    for read in readings(folder):
        with pytest.raises(InputError, match="a row names an image file, '.*secret.*, and does not hold it"):
            read()


def test_a_row_that_names_an_address_sends_no_request(tmp_path):
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/x.png"
        folder = write(tmp_path / "dataset", "rgb", {"bytes": None, "path": address})
        for read in readings(folder):
            with pytest.raises(InputError, match="names an image file"):
                read()
        server.shutdown()
    assert asked == []
