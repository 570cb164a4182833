import os
import unicodedata

import pytest

from dataset_builder.sources.formats.paths import (
    SPLIT_WORDS,
    UnsafeNameError,
    inside,
    parts_of,
    printable,
    read_inside,
    readable,
    split_of,
    split_words,
)
from tests.dataset_builder.made.corpora import CANARY, UNSAFE, opened_files, plant, put


@pytest.fixture
def root(tmp_path):
    plant(tmp_path / "root")
    return tmp_path / "root"


@pytest.mark.parametrize("name", [*UNSAFE, "", ".", "/", "a/..", "\\\\host\\share\\x.jpg"])
def test_names_that_lead_out_of_the_root_are_refused_and_nothing_is_opened(root, name):
    with opened_files() as opened:
        with pytest.raises(UnsafeNameError, match=r"^[^\n]+$"):
            inside(root, name)
        assert read_inside(root, name) == (None, "unsafe_path")
    assert opened == []


@pytest.mark.parametrize("name", ["a.jpg", "./a.jpg", "sub/a.jpg", "sub\\a.jpg", "sub/./a.jpg", "...jpg", "ü ñ.jpg"])
def test_names_inside_are_read(root, name):
    put(inside(root, name), b"pixels")
    assert read_inside(root, name) == (b"pixels", None)


def test_a_link_that_stays_inside_and_a_root_that_is_a_link_are_followed(root, tmp_path):
    put(root / "real.jpg", b"pixels")
    (root / "alias.jpg").symlink_to("real.jpg")
    (tmp_path / "roots").symlink_to(root)
    assert read_inside(tmp_path / "roots", "alias.jpg") == (b"pixels", None)


def test_a_loop_of_links_is_a_missing_file(root):
    (root / "x").symlink_to("y")
    (root / "y").symlink_to("x")
    assert read_inside(root, "x")[0] is None


def test_what_is_no_readable_file_has_its_reason(root):
    os.mkfifo(root / "pipe.jpg")  # reading it would wait for ever
    (root / "folder.jpg").mkdir()
    put(root / "big.jpg", b"12345")
    assert read_inside(root, "none.jpg") == (None, "image_missing")
    assert read_inside(root, "pipe.jpg") == (None, "image_missing")
    assert read_inside(root, "folder.jpg") == (None, "image_missing")
    assert read_inside(root, "big.jpg", max_bytes=4) == (None, "image_too_large")
    assert read_inside(root, "n" * 300) == (None, "unreadable")  # longer than the file system takes
    assert read_inside(root.parent, "canary.jpg") == (CANARY, None)


def test_a_file_that_cannot_be_read_has_its_reason(root, monkeypatch):
    put(root / "a.jpg", b"x")

    def broken(self):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("pathlib.Path.read_bytes", broken)
    assert read_inside(root, "a.jpg") == (None, "unreadable")


def test_printable_names_are_unchanged_and_others_fit_utf8():
    assert printable("Zürich/日本.jpg") == "Zürich/日本.jpg"
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    assert printable(name) == "caf\\udce9.jpg"
    with pytest.raises(UnsafeNameError, match="no UTF-8; rename the file"):
        parts_of(name)


def test_captions_are_kept_byte_for_byte_or_counted_out():
    kept = [" A  caption\r\n", "", "עברית \u202e", "<b>x</b>", "\x07"]
    assert readable(kept) == (kept, None)
    assert readable(["a", 3, None, ["b"], "lone\ud800", "c"]) == (["a", "c"], "caption_unreadable")


def test_the_words_are_those_of_datasets_and_one_of_karpathy():
    from datasets.data_files import NON_WORDS_CHARS, SPLIT_KEYWORDS

    theirs = {word: str(split) for split, words in SPLIT_KEYWORDS.items() for word in words}
    assert {**theirs, "restval": "train"} == SPLIT_WORDS
    assert all(split_words(f"x{letter}Eval{letter}y") == ["eval"] for letter in NON_WORDS_CHARS.replace("0-9", "05"))


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_name_in_another_normal_form_is_found(root, form):
    put(root / unicodedata.normalize(form, "Zürich-é.jpg"), b"pixels")
    for asked in ("NFC", "NFD"):
        assert read_inside(root, unicodedata.normalize(asked, "Zürich-é.jpg")) == (b"pixels", None)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("val/rs3-val-0007.tar", "validation"),
        ("pub11-train-0000.tar", "train"),
        ("SkyScript_test_30K_filtered_by_CLIP_openai.csv", "test"),
        ("train/extra.test.tar", "test"),
        ("training/testing-0000.tar", "test"),
        ("trainer/tests-0000.tar", None),
        ("my dev/val2017.tar", "validation"),
    ],
)
def test_the_last_word_that_is_a_split_tells_it(name, split):
    assert split_of(name) == split
