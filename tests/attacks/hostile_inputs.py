"""A folder of hostile files, and the commands of each verb that take them in."""

import io
import json
import shutil
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from tests.attacks import disguises
from tests.attacks.attack import Room
from tests.attacks.stock import in_child, recipe_of, train_clip, train_vlm, write_photos

SUFFIXES = ("png", "tif", "jpg")
PREDICT = """
import sys
from fusionrs_hf.encoders import Encoder, load_clip
from fusionrs_hf.errors import InputError
encoder = Encoder(*load_clip(sys.argv[1]))
for kind in ("rgb", "ir"):
    for path in sys.argv[2:]:
        try:
            getattr(encoder, kind)([path])
        except (InputError, OSError, ValueError) as error:
            print(path, error, file=sys.stderr)
"""


class Corpus:
    """A folder `root` of hostile and a few plain files, and what lies outside of it.

    Args:
        room: Where it is made.
        port: On which somebody listens for requests.
    """

    def __init__(self, room: Room, port: int) -> None:
        self.room, self.stock = room, room.stock
        self.outside, self.root = room.path / "outside", room.path / "corpus"
        disguises.write_outside(self.outside)
        self.root.mkdir()
        self.contents = disguises.contents(self.outside, port)
        self.names = []
        for number, (name, data) in enumerate(self.contents.items()):
            suffixes = SUFFIXES[:2] if name.startswith("vrt") else (SUFFIXES[number % 3], SUFFIXES[(number + 1) % 3])
            for suffix in suffixes:
                (self.root / f"{name}.{suffix}").write_bytes(data)
                self.names.append(f"{name}.{suffix}")
        self.specials = disguises.write_specials(self.root, self.outside)
        write_photos(self.root / "plain", 6)
        shutil.copyfile(self.outside / "secret.tif", self.root / "plain.tif")
        assert len(self.contents) >= 60

    @property
    def files(self) -> list[Path]:
        """All files but the plain ones."""
        return [self.root / name for name in (*self.names, *self.specials)]

    def recipe(self, name: str, source: dict, **changes: object) -> Path:
        path = self.room.path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(recipe_of(source, caption=None, **changes)))
        return path

    def dataset(self) -> Path:
        """A dataset in the published layout whose rows hold hostile bytes or names, in either image."""
        folder = self.room.path / "dataset"
        if not folder.exists():
            in_child(_write_dataset, folder, rows(self), _plain(self))
        return folder

    def build(self, name: str, source: dict, **changes: object) -> list[list[object]]:
        return [["build", self.recipe(name, source, **changes), self.room.path / name, "--workers", 1]]


def scene(corpus: Corpus, path: Path, formats: Sequence[str] | None, bands: dict | None = None) -> dict:
    """A recipe's entry for a scene of one band that is read as all."""
    source = {"kind": "scene", "path": str(path), "rgb": ["b"] * 3, "ir": {"nir": "b"}, "bands": bands or {"b": 1}}
    source |= {"tile_px": 16, "limits": {"b": [0, 255]}, "rights": "CC0-1.0", "name": "scene"}
    return source | ({"formats": list(formats)} if formats else {})


def build_folder(corpus: Corpus) -> list[list[object]]:
    return corpus.build("folder", {"path": str(corpus.root)})


def build_pairs(corpus: Corpus) -> list[list[object]]:
    commands = []
    for name, hostile in (("rgb", "rgb"), ("ir", "ir")):
        root = corpus.room.path / f"pairs_{name}"
        other = "ir" if hostile == "rgb" else "rgb"
        for folder in ("rgb", "ir"):
            (root / folder).mkdir(parents=True)
        for number, path in enumerate(corpus.files):
            shutil.copyfile(corpus.root / "plain" / f"{number % 6:02d}.png", root / other / f"{number:03d}.png")
            if path.is_symlink() or not path.is_file():
                (root / hostile / f"{number:03d}.png").symlink_to(path)
            else:
                shutil.copyfile(path, root / hostile / f"{number:03d}{path.suffix}")
        for number in range(900, 906):
            for folder in ("rgb", "ir"):
                shutil.copyfile(corpus.root / "plain" / f"{number % 6:02d}.png", root / folder / f"{number}.png")
        source = {"kind": "pairs", "path": str(root), "rgb": "rgb", "ir": "ir", "ir_band": "nir"}
        commands += corpus.build(f"pairs_{name}_out", source, translate=None)
    return commands


def rows(corpus: Corpus) -> list[dict]:
    """Rows of a table: hostile bytes, and names that lead anywhere."""
    held = [{"bytes": data, "path": f"{name}.png"} for name, data in corpus.contents.items()]
    outside = corpus.outside
    names = [
        *(str(outside / "secret.png"), "../outside/secret.png", f"file://{outside}/secret.png", "/dev/zero", "-"),
        *("http://127.0.0.1:9/x.png", "hf://datasets/a/b/x.png", "s3://bucket/x.png", "C:\\x.png", "a\0b.png"),
        *(
            f"zip://secret.tif::{outside}/secret.zip",
            "/vsicurl/http://127.0.0.1:9/x.tif",
            "plain/../../outside/secret.png",
        ),
        *corpus.specials,
    ]
    return [*held, *({"bytes": None, "path": name} for name in names)]


def build_table(corpus: Corpus) -> list[list[object]]:
    table = corpus.room.path / "table.jsonl"
    names = [row["path"] for row in rows(corpus) if row["bytes"] is None]
    names += [f"plain/{number:02d}.png" for number in range(6)] + corpus.names
    table.write_text(
        "".join(json.dumps({"image": name, "text": f"a field {n}"}) + "\n" for n, name in enumerate(names))
    )
    source = {"kind": "table", "path": str(table), "columns": {"rgb": "image", "captions": "text"}}
    parquet = {
        "kind": "table",
        "path": str(corpus.dataset() / "data"),
        "columns": {"rgb": "rgb", "captions": "captions"},
    }
    images = {"images": str(corpus.root)}
    return corpus.build("table_out", source | images) + corpus.build("parquet_out", parquet | images)


def build_webdataset(corpus: Corpus) -> list[list[object]]:
    tar = corpus.room.path / "tars" / "train-0000.tar"
    tar.parent.mkdir()
    with tarfile.open(tar, "w") as archive:
        for number, (_name, data) in enumerate([*corpus.contents.items(), *_plain(corpus)]):
            for suffix, content in (("jpg", data), ("txt", f"a field {number}".encode())):
                member = tarfile.TarInfo(f"{number:04d}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE)):
            member = tarfile.TarInfo(f"9{number:03d}.jpg")
            member.type, member.linkname = kind, str(corpus.outside / "secret.png")
            archive.addfile(member)
    return corpus.build("tars_out", {"kind": "webdataset", "path": str(tar.parent)})


def _plain(corpus: Corpus) -> list[tuple[str, bytes]]:
    return [(path.name, path.read_bytes()) for path in sorted((corpus.root / "plain").glob("*.png"))]


def _write_dataset(folder: Path, hostile: list[dict], plain: list[tuple[str, bytes]]) -> None:
    import pyarrow as pa

    from dataset_builder.schema import FEATURES, new_row
    from dataset_builder.shards.parquet import write_shard

    images = [{"bytes": data, "path": None} for _, data in plain]
    for split, count in (("train", len(hostile)), ("validation", 6), ("test", len(hostile))):
        made = []
        for number in range(count + 6):
            image = hostile[number % len(hostile)] if number >= 6 else None
            pair = {"rgb": image if image and number % 2 else images[number % 6]}
            pair["ir"] = image if image and not number % 2 else images[(number + 1) % 6]
            made.append(
                new_row(
                    sample_id=f"{split}/{number}",
                    source_dataset="x",
                    source_locator=f"{split}{number}",
                    rights="CC0-1.0",
                    ir_origin="sensor",
                    ir_band="nir",
                    ir_unit="display",
                    captions=["dry ground"],
                    caption_origin=["rule"],
                    image_group_id=f"{split}{number}",
                    joint_group_id=f"{split}{number}",
                    is_eval_representative=split != "train",
                    **pair,
                )
            )
        write_shard(
            folder / "data" / f"{split}-00000-of-00001.parquet",
            pa.Table.from_pylist(made, schema=FEATURES.arrow_schema),
        )


def build_repository(corpus: Corpus) -> list[list[object]]:
    return corpus.build("repository_out", {"kind": "repository", "path": str(corpus.dataset())}, translate=None)


def build_scenes(corpus: Corpus, formats: Sequence[str] | None) -> list[list[object]]:
    commands = []
    for number, path in enumerate(_tifs(corpus)):
        if not path.is_symlink():  # a link that the user names is followed
            commands += corpus.build(f"scene{number}", scene(corpus, path, formats), translate=None)
        if number % 4 == 0 or path.is_symlink():  # as a band of a folder
            bands = {"b": path.name}
            commands += corpus.build(f"band{number}", scene(corpus, path.parent, formats, bands), translate=None)
    return commands


def _tifs(corpus: Corpus) -> list[Path]:
    """One file of each content, and what is no plain file; beside plain rasters with hostile parts."""
    seen, files = set(), []
    for path in corpus.files:
        if path.stem not in seen or path.name in corpus.specials:
            seen.add(path.stem)
            files.append(path)
    return files + sidecars(corpus)


def sidecars(corpus: Corpus) -> list[Path]:
    """Plain rasters beside which lies what GDAL takes for a part of them."""
    parts: dict[str, Callable[[Path], object]] = {
        ".tif.msk": lambda path: path.write_text(disguises.raw_band(corpus.outside / "secret.txt")),
        ".tif.ovr": lambda path: path.write_text(disguises.mosaic(corpus.outside / "secret.tif")),
        ".ovr": lambda path: path.symlink_to(corpus.outside / "secret.tif"),
        ".tif.msk ": lambda path: path.symlink_to(corpus.outside / "secret.tif"),
        ".tif.aux.xml": lambda path: path.write_text(
            f'<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{corpus.outside}/secret.tif</MDI>'
            "</Metadata></PAMDataset>"
        ),
        ".aux.xml": lambda path: path.symlink_to(corpus.outside / "secret.txt"),
        ".tfw": lambda path: path.symlink_to(corpus.outside / "secret.tfw"),
        ".wld": lambda path: path.symlink_to(corpus.outside / "secret.tfw"),
        ".TFW": lambda path: path.symlink_to(corpus.outside / "secret.tfw"),
        ".IMD": lambda path: path.symlink_to(corpus.outside / "secret.txt"),
        ".XML": lambda path: path.symlink_to(corpus.outside / "secret.txt"),
        "_RPC.TXT": lambda path: path.symlink_to(corpus.outside / "secret.txt"),
        "_metadata.txt": lambda path: path.symlink_to(corpus.outside / "secret.txt"),
        ".RPB": lambda path: path.symlink_to(corpus.outside / "secret.txt"),
        ".tab": lambda path: path.symlink_to(corpus.outside / "secret.txt"),
    }
    made = []
    for number, (ending, write) in enumerate(parts.items()):
        folder = corpus.room.path / "sidecars" / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        path = Path(shutil.copyfile(corpus.outside / "secret.tif", folder / "scene.tif"))
        if not (folder / f"scene{ending.strip()}").exists():
            write(folder / f"scene{ending.strip()}")
        made.append(path)
    return made


def embed_scenes(corpus: Corpus) -> list[list[object]]:
    model = ["--model", corpus.stock.clip, "--device", "cpu", "--tile", 16]
    bands = ["--option=bands={red: 1, green: 1, blue: 1, nir: 1}"]
    files = [path for path in _tifs(corpus) if not path.is_symlink()][::3] + sidecars(corpus)[::4]
    return [["embed", path, *model, *bands, "--output", corpus.room.path / f"e{n}"] for n, path in enumerate(files)]


def embed_rows(corpus: Corpus) -> list[list[object]]:
    model = ["--model", corpus.stock.clip, "--device", "cpu"]
    recipe = corpus.recipe("embedded", {"path": str(corpus.root)})
    return [
        ["embed", corpus.dataset(), *model, "--output", corpus.room.path / "index"],
        ["embed", recipe, *model, "--modalities", "rgb", "--output", corpus.room.path / "index2"],
    ]


def audit(corpus: Corpus) -> list[list[object]]:
    plain, hostile = corpus.stock.base, corpus.dataset()
    recipe = corpus.recipe("audited", {"path": str(corpus.root)})
    against = [["audit", plain, "--against", other, "--workers", 1] for other in (hostile, corpus.root, recipe)]
    return [
        ["audit", hostile, "--workers", 1, "--full"],
        *against,
        ["audit", plain, "--against", corpus.root, "--flips", "--workers", 1],
    ]


def caption(corpus: Corpus) -> list[list[object]]:
    hostile = corpus.dataset()
    return [
        ["caption", hostile, corpus.room.path / "captioned", "--workers", 1],
        ["caption", "--check", hostile, "--workers", 1],
    ]


def score(corpus: Corpus) -> list[list[object]]:
    model = ["--model", corpus.stock.run, "--output", corpus.room.path / "m.json"]
    commands = [["eval", "clip", "--dataset", corpus.dataset(), *model]]
    classes = corpus.room.path / "EuroSAT_RGB"
    for number, path in enumerate(corpus.files):
        folder = classes / ("River" if number % 2 else "Forest")
        folder.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or not path.is_file():
            (folder / path.name).symlink_to(path)
        else:
            shutil.copyfile(path, folder / path.name)
    for name in ("River", "Forest"):
        for path in sorted((corpus.root / "plain").glob("*.png")):
            shutil.copyfile(path, classes / name / f"plain{path.name}")
    commands.append(["eval", "zero-shot", "--dataset", corpus.room.path, "--layout", "eurosat", *model])
    return commands


def train(corpus: Corpus, verb: str) -> list[list[object]]:
    command = {"train clip": train_clip, "train vlm": train_vlm}[verb]
    commands = []
    for number, options in enumerate(((), ("--streaming", "true"))):
        arguments = command(corpus.stock, corpus.room.path / f"trained{number}", *options, "--max_steps", 30)
        arguments[arguments.index("--dataset") + 1] = corpus.dataset()
        arguments[arguments.index("--save_steps") + 1] = 50
        commands.append(arguments)
    return commands


def search(corpus: Corpus) -> list[list[object]]:
    files = corpus.files
    commands = [["search", corpus.stock.index, "--rgb" if n % 2 else "--ir", path] for n, path in enumerate(files)]
    devices = [Path(name) for name in ("/dev/zero", "/dev/tty")]
    commands += [["search", corpus.stock.index, option, path] for path in devices for option in ("--rgb", "--ir")]
    return [[*command, "--sheet", corpus.room.path / "sheet.png"] for command in commands]


def predict(corpus: Corpus) -> list[list[object]]:
    return [["python", PREDICT, corpus.stock.clip, *(path for path in corpus.files if not path.is_symlink())]]
