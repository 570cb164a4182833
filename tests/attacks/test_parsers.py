"""Whatever is written into a file that is parsed, the parser returns or raises what it documents, and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataset_builder.recipe import load_recipe
from dataset_builder.rights.table import read_policy
from dataset_builder.rights.tombstones import read_ids, read_tombstones
from dataset_builder.shards.limits import declared_ir_range
from dataset_builder.shards.report import build_report
from dataset_builder.sources.corpora.index_records import record_of
from dataset_builder.sources.formats.caption_files import CaptionFiles, CaptionIndex
from fusionrs_hf.errors import InputError
from fusionrs_hf.records import read_record

ROOT = Path(__file__).parents[2]
REPORT = (ROOT / "tests/data/built_at_0_1/dataset/build_report.json").read_bytes()
RECIPE = b"""name: d
description: of 2020-01-02
sources:
- {kind: folder, path: photos, rights: CC0-1.0, gsd_m: 10, images_per_shard: 2}
translate: {band: nir}
caption: {seed: 1, rules: {heat: false}}
filters: {image_too_large: {max_pixels: 9}}
groups: {relations: [bytes]}
splits: {test: 0.2}
"""
POLICY = b"""CC0-1.0: {images: yes, captions: yes, terms: "none", url: "https://x.org"}
RSICD: {images: no, captions: yes}
"""
CARD = b"---\nlicense: cc0-1.0\nfusionrs: {ir_range: {lwir: [27000, 31000]}}\n---\n# Title\n"
CAPTIONS = b'{"file_name": "a.png", "text": "dry ground", "gsd_m": 10, "acquired_at": "2020-01-02"}\n'
TABLE = b'file_name,text,gsd_m\na.png,"dry, ground",10\n'
IDS = b'a/1.png\tby request\n"b\\u001b"\n\xc3\xbc/2.png\n'
STONES = b'{"sample_id": "a", "reason": "r", "version": "1.0.1"}\n'
PIECES = [
    b"[",
    b"]",
    b"{",
    b"}",
    b'"',
    b"'",
    b":",
    b",",
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"&a",
    b"*a",
    b"!!",
    b"-",
]
PIECES += [
    b"null",
    b"1e999",
    b"9" * 400,
    b".nan",
    b"NaN",
    b"true",
    b"\\ud800",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xe2\x80\xae",
]


@st.composite
def mutated(draw: Callable, seed: bytes) -> bytes:
    """Returns a valid file with up to eight cuts, copies and pieces at random places; now and then, anything."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    data = bytearray(seed)
    for _ in range(draw(st.integers(0, 8))):
        start = draw(st.integers(0, len(data)))
        stop = min(len(data), start + draw(st.integers(0, 20)))
        data[start:stop] = draw(st.sampled_from(PIECES) | st.binary(max_size=4) | st.just(bytes(data[start:stop]) * 2))
    return bytes(data)


def _index(path: Path) -> None:
    for line in path.read_bytes().splitlines():
        record_of(line, "line")


def _captions(path: Path) -> None:
    files = CaptionFiles([(path, "")])
    index = CaptionIndex(files)
    for places in [*index.unused(), *index.overlong]:
        files.said(places, None)


def _recipe_of_captions(path: Path) -> None:
    from dataset_builder.recipe import read_caption_recipe

    read_caption_recipe(path)


def _meta(path: Path) -> None:
    from dataset_builder.search.store import IndexMeta

    read_record(path, IndexMeta, "embed again")


def _folder_of(read: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda path: read(path.parent)


INDEX = json.dumps({"schema_version": "1", "sample_id": "a", "translation": {"model": "x"}}).encode()
META = {"model": "m", "fingerprint": "f", "dim": 8, "modalities": ["rgb"], "dtype": "float32", "source": {}}
PARSERS = {
    "recipe": ("r.yaml", RECIPE, load_recipe),
    "recipe of captions": ("c.yaml", b"captioner: grounded\nrules: {heat: false}\nseed: 3\n", _recipe_of_captions),
    "policy": ("p.yaml", POLICY, read_policy),
    "ids": ("ids.txt", IDS, read_ids),
    "tombstones to exclude": ("ids.jsonl", STONES, read_ids),
    "tombstones": ("tombstones.jsonl", STONES, _folder_of(read_tombstones)),
    "captions in JSON": ("metadata.jsonl", CAPTIONS, _captions),
    "captions in CSV": ("metadata.csv", TABLE, _captions),
    "card": ("README.md", CARD, _folder_of(declared_ir_range)),
    "report": ("build_report.json", REPORT, _folder_of(build_report)),
    "index of FusionRS": ("index.jsonl", INDEX, _index),
    "index": ("index.json", json.dumps(META | {"shards": 1, "batch_size": 4}).encode(), _meta),
}


def fuzz(name: str, folder: Path, examples: int) -> None:
    file, seed, read = PARSERS[name]
    path = folder / file

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(mutated(seed))
    def reads_or_refuses(data: bytes) -> None:
        path.write_bytes(data)
        try:
            read(path)
        except InputError as error:
            assert str(error).isprintable() and len(str(error)) < 2_100

    reads_or_refuses()


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_reads_or_refuses_in_a_line(tmp_path, name):
    fuzz(name, tmp_path, 300)


@pytest.mark.slow
@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_reads_or_refuses_twenty_thousand_times(tmp_path, name):
    fuzz(name, tmp_path, 20_000)
