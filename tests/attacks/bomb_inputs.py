"""Each bomb as what a verb takes in, and what is said of it: the matrix verb x bound of `memory`."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import yaml

from tests.attacks import bombs
from tests.attacks.attack import Room
from tests.attacks.bombs import GIGA, WIDE
from tests.attacks.stock import in_child, recipe_of

Command = list[object]


def recipe(room: Room, source: dict, **changes: object) -> Command:
    path = room.path / "r.yaml"
    path.write_text(yaml.safe_dump(recipe_of(source, **changes)))
    return ["build", path, room.path / "out", "--workers", 1]


def photos(room: Room) -> Path:
    folder = room.path / "photos"
    return Path(shutil.copytree(room.stock.photos, folder)) if not folder.exists() else folder


def an_image(room: Room, write: Callable[[Path], object]) -> Command:
    folder = photos(room)
    write(folder / "bomb.png")
    return recipe(room, {"path": str(folder)})


def captions(room: Room, name: str, write: Callable[[Path], object]) -> Command:
    folder = photos(room)
    (folder / "metadata.jsonl").unlink()
    write(room.path / name)
    return recipe(room, {"path": str(folder), "captions": str(room.path / name)})


def table(room: Room, name: str, write: Callable[[Path], object], rgb: str = "file_name") -> Command:
    write(room.path / name)
    columns = {"rgb": rgb, "captions": "text"}
    source = {"kind": "table", "path": str(room.path / name), "columns": columns}
    return recipe(room, source | ({"images": str(photos(room))} if rgb == "file_name" else {}))


def tars(room: Room, name: str, members: dict[str, int | bytes]) -> Command:
    image = (room.stock.photos / "00.png").read_bytes()
    bombs.tar(room.path / name, {**members, "z.png": image, "z.txt": b"dry ground"})
    return recipe(room, {"kind": "webdataset", "path": str(room.path / name)})


def with_key(room: Room, key: str, name: str, write: Callable[[Path], object]) -> Command:
    write(room.path / name)
    return recipe(room, {"path": str(photos(room))}, **{key: str(room.path / name)})


def removing(room: Room, write: Callable[[Path], object]) -> Command:
    write(room.path / "ids.txt")
    return ["build", room.copy("base"), "--remove", room.path / "ids.txt", "--workers", 1]


def dataset(room: Room, verb: str, **columns: Callable[[], object]) -> Command:
    """A verb on rows in the published layout, of which one column is a bomb."""
    in_child(_write_rows, room.stock.rows, room.path / "rows", columns)
    return on_folder(room, verb, room.path / "rows")


def on_folder(room: Room, verb: str, folder: Path) -> Command:
    return [verb, folder, *([room.path / "captioned"] if verb == "caption" else []), "--workers", 1]


def part_of_dataset(room: Room, verb: str, name: str, write: Callable[[Path], object]) -> Command:
    folder = room.copy("base")
    (folder / name).unlink(missing_ok=True)
    write(folder / name)
    return on_folder(room, verb, folder)


def _write_rows(stock: Path, folder: Path, columns: dict[str, Callable[[], object]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    source = sorted((stock / "data").glob("train-*.parquet"))[0]
    rows = pq.read_table(source)
    for name, value in columns.items():
        place = rows.schema.get_field_index(name)
        values = rows.column(name).to_pylist()
        values[1] = value()
        rows = rows.set_column(place, rows.schema.field(name), pa.array(values, rows.schema.field(name).type))
    (folder / "data").mkdir(parents=True)
    pq.write_table(rows, folder / "data" / "train-00000-of-00001.parquet", compression="zstd")


def convert(room: Room, name: str, write: Callable[[Path], object]) -> Command:
    write(room.path / name)
    return ["convert", "open-clip", room.path / name, "--output", room.path / "out", "--tokenizer", room.stock.words]


def vocabulary(room: Room) -> Command:
    file = bombs.packed(room.path / "words.txt.gz")
    checkpoint = room.stock.home / "open_clip.safetensors"
    return ["convert", "open-clip", checkpoint, "--output", room.path / "out", "--tokenizer", file]


def header(path: Path, text: bytes) -> None:
    path.write_bytes(len(text).to_bytes(8, "little") + text)


HEAD = b"file_name,text\n00.png"
LINE = b'{"file_name": "01.png", "text": "dry ground"}\n'
LONG = b'{"file_name": "00.png", "text": "'
MEGA = 1_000_000
SIDE = 4_096  # pixels, of the largest image that a build takes
IDS = b"".join(b"%06x\n" % number for number in range(140_000))
BOMBS: dict[tuple[str, str], tuple[Callable[[Room], Command], str]] = {
    ("build", "an image of 2 GB"): (
        partial(an_image, write=lambda path: bombs.sparse(path, bombs.png(8, 8)[:60])),
        "image_too_large",
    ),
    ("build", "an image of 900,000,000 pixels"): (
        partial(an_image, write=lambda path: path.write_bytes(bombs.png(30_000, 30_000, whole=False))),
        "image_too_large",
    ),
    ("build", "an image of 16,777,216 pixels"): (
        partial(an_image, write=lambda path: path.write_bytes(bombs.png(SIDE, SIDE))),
        '"rows"',
    ),
    ("build", "a line of 2 GB"): (
        partial(captions, name="c.jsonl", write=lambda path: bombs.sparse(path, LONG)),
        "",
    ),
    ("build", "a line of 1 GB, packed"): (
        partial(table, name="t.jsonl.gz", write=lambda path: bombs.packed(path, LINE + LONG, end=b'"}\n' + LINE)),
        "row_too_large",
    ),
    ("build", "a field of 2 GB"): (
        partial(captions, name="c.csv", write=lambda path: bombs.sparse(path, b'file_name,text\n00.png,"')),
        "",
    ),
    ("build", "a record of 1,000,000,000 fields"): (
        partial(captions, name="c.csv", write=lambda path: bombs.repeated(path, HEAD, b",", GIGA)),
        "",
    ),
    ("build", "a text of 500 MB"): (
        partial(table, name="t.parquet", write=lambda path: in_child(_texts, path, lambda: "x" * 500_000_000)),
        "row_too_large",
    ),
    ("build", "20,000,000 texts in a row"): (
        partial(table, name="t.parquet", write=lambda path: in_child(_texts, path, lambda: ["x"] * 20_000_000)),
        "row_too_large",
    ),
    ("build", "an image of 900 MB in a row"): (
        partial(table, name="t.parquet", rgb="image", write=lambda path: in_child(_images, path, 900 * MEGA, 1)),
        "row_too_large",
    ),
    **{
        ("build", f"sixteen images of {size} MB in rows, {'stored once' if once else 'each stored'}"): (
            partial(
                table,
                name="t.parquet",
                rgb="image",
                write=lambda path, size=size, once=once: in_child(_images, path, size * MEGA, 16, once),
            ),
            said,
        )
        for size, said in ((190, "row_too_large"), (95, "unreadable"))
        for once in (True, False)
    },
    ("build", "sixteen named images of 95 MB"): (
        partial(table, name="t.jsonl", write=lambda path: _named_images(path, 95 * MEGA, 16)),
        "unreadable",
    ),
    ("build", "twelve images of 16,777,216 pixels"): (
        partial(table, name="t.parquet", rgb="image", write=lambda path: in_child(_pictures, path, 12)),
        '"rows"',
    ),
    ("build", "a member of 2 GB"): (partial(tars, name="t.tar.gz", members={"a.txt": 2 * GIGA}), "row_too_large"),
    ("build", "an image of 2 GB in an archive"): (
        partial(tars, name="t.tar.gz", members={"a.png": 2 * GIGA, "a.txt": b"x"}),
        "image_too_large",
    ),
    ("build", "200,000 members of a sample"): (
        partial(tars, name="t.tar.gz", members={f"a.{number}": 0 for number in range(200_000)}),
        "row_too_large",
    ),
    ("build", "a policy of 2 GB"): (
        partial(with_key, key="rights_policy", name="p.yaml", write=lambda path: bombs.sparse(path, b"a: 1\n")),
        "more than",
    ),
    ("build", "a recipe of aliases"): (
        lambda room: [
            "build",
            _aliases(room.path / "a.yaml"),
            room.path / "out",
        ],
        "more than",
    ),
    ("build", "ids of 2 GB"): (partial(removing, write=lambda path: bombs.sparse(path, b"a\n")), "more than"),
    ("build", "80,000,000 ids"): (
        partial(removing, write=lambda path: bombs.repeated(path, WIDE + b"\n", IDS, 250_000_000)),
        "more than",
    ),
    ("build", "30,000,000 ids to leave out"): (
        partial(with_key, key="exclude", name="i.txt", write=lambda path: in_child(_ids, path, 30_000_000)),
        "more than",
    ),
    **{
        (verb, f"{name} of 2 GB"): (
            partial(part_of_dataset, verb=verb, name=name, write=lambda path: bombs.sparse(path, b'{"a": "')),
            "more than",
        )
        for verb in ("caption", "audit")
        for name in ("build_report.json", ".fusionrs.json")
    },
    **{
        (verb, f"build_report.json of {what}"): (
            partial(part_of_dataset, verb=verb, name="build_report.json", write=write),
            "",
        )
        for verb in ("caption", "audit")
        for what, write in {
            "wide texts": lambda path: bombs.repeated(path, b'{"a": "' + WIDE, b"x", 63_000_000, b'"}'),
            "3,900,000 lists": lambda path: bombs.repeated(path, b'{"a": [[]', b",[]", 11_000_000, b"]}"),
        }.items()
    },
    **{
        (verb, what): (partial(dataset, verb=verb, **columns), said)
        for verb in ("caption", "audit")
        for what, (columns, said) in {
            "a text of 500 MB": ({"captions": lambda: ["x" * 500_000_000]}, ""),
            "an image of 500 MB": ({"rgb": lambda: {"bytes": bytes(500_000_000), "path": None}}, ""),
            "an image of 16,777,216 pixels": ({"rgb": lambda: {"bytes": bombs.png(SIDE, SIDE), "path": None}}, ""),
            "20,000,000 texts in a row": ({"captions": lambda: ["x"] * 20_000_000}, ""),
        }.items()
    },
    ("convert", "a checkpoint that unpacks to 2 GB"): (
        partial(convert, name="c.pt", write=bombs.archive),
        "unpacks to",
    ),
    ("convert", "a header of 2 GB"): (
        partial(
            convert,
            name="c.safetensors",
            write=lambda path: bombs.sparse(path, (2 * GIGA - 8).to_bytes(8, "little") + b"{"),
        ),
        "its header cannot be read",
    ),
    ("convert", "a header of 200,000 tensors"): (
        partial(
            convert,
            name="c.safetensors",
            write=lambda path: header(path, b"{" + b",".join(b'"%d":{}' % n for n in range(200_000)) + b"}"),
        ),
        "tensors, expected at most",
    ),
    ("convert", "a header of lists"): (
        partial(
            convert, name="c.safetensors", write=lambda path: header(path, b'{"a":[' + b"[]," * 30_000_000 + b"1]}")
        ),
        "its header cannot be read",
    ),
    ("convert", "a vocabulary of 1 GB, packed"): (vocabulary, "holds no merges"),
}


def _texts(path: Path, value: Callable[[], object]) -> None:
    names, first = [f"{number:02d}.png" for number in range(6)], value()
    plain = ["dry ground"] if isinstance(first, list) else "dry ground"
    bombs.parquet(path, {"file_name": names, "text": [first, *[plain] * 5]})


def _images(path: Path, size: int, count: int, once: bool = True) -> None:
    """Writes rows with images of zeros, equal and stored once, or each in a page of its own."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if once:
        data = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array([bytes(size)]))
        bombs.parquet(path, {"image": data, "text": ["dry ground"] * count})
        return
    schema = pa.schema([("image", pa.binary()), ("text", pa.string())])
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as writer:
        for number in range(count):
            image = bytes(size - 1) + bytes([number])
            writer.write_table(pa.table({"image": [image], "text": ["dry ground"]}, schema=schema))


def _named_images(path: Path, size: int, count: int) -> None:
    folder = path.parent / "photos"
    folder.mkdir()
    for number in range(count):
        bombs.sparse(folder / f"{number}.png", bombs.png(8, 8)[:60], size)
    path.write_text("".join(f'{{"file_name": "{number}.png", "text": "dry ground"}}\n' for number in range(count)))


def _pictures(path: Path, count: int) -> None:
    image = bombs.png(SIDE, SIDE)  # what follows its end makes each another
    bombs.parquet(path, {"image": [image + b"%d" % n for n in range(count)], "text": ["dry ground"] * count})


def _ids(path: Path, count: int) -> None:
    with open(path, "w") as file:
        file.writelines(f"{number:x}\n" for number in range(count))


def _aliases(path: Path) -> Path:
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    lines += [f"{chr(n + 1)}: &{chr(n + 1)} [{','.join([f'*{chr(n)}'] * 9)}]" for n in range(97, 110)]
    path.write_text("\n".join(lines))
    return path
