import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from dataset_builder.audit.report import audit_table
from dataset_builder.audit.verb import audit_dataset
from fusionrs_hf.cli import main
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.planted import NEAR, base, colour, encoded, make_row, mirrored, noise, write_dataset


def other_rows():
    """Of 5: one with our bytes, one near, one turned, one with our caption, one of its own."""
    tile = np.kron(np.random.default_rng(9).integers(0, 256, (8, 8), dtype=np.uint8), np.ones((4, 4), dtype=np.uint8))
    ours = base(
        make_row("train/p", rgb=mirrored(0)),
        make_row("train/q", rgb=tile),
        make_row("test/p", captions=["A road."]),
    )
    images = [colour(image) for image in (noise(1), mirrored(NEAR), tile.T.copy(), noise(2), noise(3))]
    theirs = [{"image": encoded(image), "text": f"text {number}"} for number, image in enumerate(images)]
    theirs[0]["image"] = ours[0]["rgb"]
    theirs[3]["text"] = "a road"
    return ours, theirs


EXPECTED = {
    ("train", "bytes"): (1, 1),
    ("train", "rgb_phash"): (2, 2),
    ("train", "any"): (2, 2),
    ("test", "caption"): (1, 1),
    ("test", "any"): (1, 1),
}


def counts(report, their):
    found = report.against[0].overlaps
    assert {one.other_split for one in found} == {their}
    return {(one.split, one.relation): (one.rows, one.other_rows) for one in found if one.rows}


def test_contamination_by_parquet_of_another_schema(tmp_path):
    ours, theirs = other_rows()
    folder = write_dataset(tmp_path / "set", ours)
    pq.write_table(pa.Table.from_pylist(theirs), tmp_path / "test-00000.parquet")
    report = audit_dataset(folder, [tmp_path / "test-00000.parquet"], workers=1)
    assert report.clean and report.contaminated
    assert counts(report, "test") == EXPECTED
    near = next(one for one in report.against[0].overlaps if (one.split, one.relation) == ("train", "rgb_phash"))
    assert (near.share, near.other_share) == (2 / 5, 2 / 5)
    first, second = near.examples
    assert first == ("train/0", "test-00000.parquet, row 1", 0)
    assert second == ("train/p", "test-00000.parquet, row 2", 4)
    flipped = audit_dataset(folder, [tmp_path / "test-00000.parquet"], flips=True, workers=1)
    turned = {name: found for name, found in counts(flipped, "test").items() if name[1] == "rgb_turned"}
    # A mirrored image is near its own mirrorings as well.
    assert turned == {("train", "rgb_turned"): (2, 2)}
    assert "train / test            rgb_phash" in audit_table(report)


def test_contamination_by_a_folder_of_images(tmp_path):
    ours, theirs = other_rows()
    (tmp_path / "images/test").mkdir(parents=True)
    for number, row in enumerate(theirs):
        (tmp_path / f"images/test/{number}.png").write_bytes(row["image"]["bytes"])
    (tmp_path / "images/test/broken.png").write_bytes(b"no image")
    lines = [{"file_name": f"test/{number}.png", "text": row["text"]} for number, row in enumerate(theirs)]
    (tmp_path / "images/metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    report = audit_dataset(write_dataset(tmp_path / "set", ours), [tmp_path / "images"], workers=1)
    assert counts(report, "test") == EXPECTED
    assert list(report.against[0].faults.values()) == [1] and "broken" in report.against[0].named[0]
    assert report.against[0].rows == {"test": 6}


def test_contamination_by_the_split_that_a_recipe_reads(tmp_path):
    ours, theirs = other_rows()
    write_dataset(
        tmp_path / "other", base(make_row("test/copy", rgb=mirrored(0)), make_row("train/c", rgb=mirrored(0)))
    )
    source = {"kind": "repository", "path": "other", "splits": ["test"]}
    (tmp_path / "other.yaml").write_text(yaml.safe_dump({"name": "other", "sources": [source]}))
    report = audit_dataset(write_dataset(tmp_path / "set", ours), [tmp_path / "other.yaml"], workers=1)
    found = counts(report, "test")
    assert found[("train", "rgb_phash")] == (1, 1) and report.against[0].rows == {"test": 4}
    assert found[("test", "bytes")] == (3, 3)


def test_contamination_by_the_test_split_of_rsicd(tmp_path):
    ours, theirs = other_rows()
    (tmp_path / "RSICD_images").mkdir()
    entries = []
    for number, row in enumerate(theirs):
        (tmp_path / f"RSICD_images/{number}.png").write_bytes(row["image"]["bytes"])
        sentences = [{"raw": f"sentence {number} {one}"} for one in range(4)] + [{"raw": row["text"]}]
        split = "train" if number == 1 else "test"
        entries.append({"filename": f"{number}.png", "split": split, "sentences": sentences})
    entries.append({"filename": "gone.png", "split": "test", "sentences": [{"raw": "a road ."}]})
    (tmp_path / "dataset_rsicd.json").write_text(json.dumps({"images": entries}))
    source = {"kind": "caption_corpus", "path": "RSICD_images", "captions": "dataset_rsicd.json", "rights": "unknown"}
    (tmp_path / "rsicd.yaml").write_text(yaml.safe_dump({"name": "RSICD", "sources": [source | {"splits": ["test"]}]}))
    report = audit_dataset(write_dataset(tmp_path / "set", ours), [tmp_path / "rsicd.yaml"], workers=1)
    # The near image is of RSICD's train; the missing one is still compared by its caption.
    assert counts(report, "test") == {
        ("train", "bytes"): (1, 1),
        ("train", "rgb_phash"): (1, 1),
        ("train", "any"): (1, 1),
        ("test", "caption"): (1, 2),
        ("test", "any"): (1, 2),
    }
    assert report.against[0].rows == {"test": 5} and report.against[0].faults == {"image_missing": 1}
    assert report.against[0].named == ["RSICD_images/gone.png"]


def test_the_verb_tells_leaks_by_its_exit_code(tmp_path, capsys):
    sound = write_dataset(tmp_path / "sound", base())
    leaking = write_dataset(
        tmp_path / "leaking", base(make_row("train/p", rgb=noise(5)), make_row("test/p", rgb=noise(5)))
    )
    assert main(["audit", str(sound), "--workers", "1"]) == 0
    assert "leaks between splits: none" in capsys.readouterr().out
    assert main(["audit", str(leaking), "--workers", "1", "--report", str(tmp_path / "report.json")]) == 3
    assert "train/p = test/p" in capsys.readouterr().out
    assert json.loads((tmp_path / "report.json").read_text())["leaking"] is True
    arguments = ["audit", str(sound), "--workers", "1", "--against", str(leaking)]
    assert main(arguments) == 0
    assert main([*arguments, "--fail-on-contamination"]) == 3


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["nowhere/at/all"], "nowhere/at/all is no folder"),
        (["EMPTY"], "has no data/*.parquet"),
        (["SET", "--against", "none.yaml"], "none.yaml does not exist"),
        (["SET", "--against", "EMPTY"], "holds no images"),
        (["SET", "--against", "BAD"], "is not Parquet"),
        (["SET", "--against", "TEXT"], "no column of encoded images with a known name"),
        (["SET", "--flips"], "flips are sought in other datasets"),
        (["SET", "--radius", "65"], "--radius: must be a whole number from 0 to 64, got '65'"),
        (["SET", "--workers", "0"], "--workers: must be a whole number from 1 to 4096, got '0'"),
        (["SET", "--report", "SET/report.json"], "lies within the dataset"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, arguments, fragment, capsys):
    write_dataset(tmp_path / "SET", base())
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "BAD").mkdir()
    (tmp_path / "BAD/x.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "TEXT").mkdir()
    pq.write_table(pa.table({"image": ["a.png"]}), tmp_path / "TEXT/x.parquet")
    names = ("SET", "EMPTY", "BAD", "TEXT")
    given = [str(tmp_path / text) if text.split("/")[0] in names else text for text in arguments]
    assert main(["audit", *given]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert errors[-1].startswith("error: ") and fragment in errors[-1]


def test_datasets_of_the_hub(hub_client, tmp_path):
    near = make_row("train/p", rgb=mirrored(0)), make_row("test/p", rgb=mirrored(NEAR))
    folder, other = write_dataset(tmp_path / "set", base(*near)), write_dataset(tmp_path / "other", base())
    found = hub_client.submit(on_hub, str(folder), str(other), str(tmp_path / "set" / "data")).result()
    assert found == (["rgb_phash", "any"], {"test": 3, "train": 3, "validation": 3}, True)


def on_hub(folder, other, data):
    from huggingface_hub import HfApi

    for name, path in (("me/audited", folder), ("me/compared", other)):
        HfApi().create_repo(name, repo_type="dataset", exist_ok=True)
        HfApi().upload_folder(repo_id=name, repo_type="dataset", folder_path=path)
    HfApi().create_repo("me/no-data", repo_type="dataset", exist_ok=True)
    HfApi().upload_folder(repo_id="me/no-data", repo_type="dataset", folder_path=data, path_in_repo="rows")
    report = audit_dataset("me/audited", ["me/compared"], workers=1)
    try:
        audit_dataset("me/audited", ["me/no-data"], workers=1)
    except InputError as error:
        refused = "me/no-data has no data/*.parquet on the Hub" in str(error)
    return [one.relation for one in report.leaks], report.against[0].rows, refused
