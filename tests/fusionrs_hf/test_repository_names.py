import pytest

from fusionrs_hf.errors import InputError
from fusionrs_hf.repository_names import check_hub_id, check_revision


@pytest.mark.parametrize("name", ["a/b", "owner/name", "O-1_x.y/z.2", "a/" + "b" * 96])
def test_names_that_the_hub_takes_pass(name):
    assert check_hub_id(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "a/b/c",
        "/b",
        "a/",
        "../x",
        "a/..",
        "a/b c",
        "a/b\n",
        "a/\x1b",
        "a/b--c",
        "-a/b",
        "a/b.",
        "a/b.git",
        "a/ü",
    ]
    + ["a/" + "b" * 97, "a\\b", "https://x/y", "a/b?x=1", "a/b#c", "a/b@c", None, 5],
)
def test_any_other_is_one_line(name):
    with pytest.raises(InputError, match="names no repository; give owner/name"):
        check_hub_id(name)


def test_revisions():
    for revision in (None, "main", "v1.0", "refs/pr/3", "a" * 40):
        assert check_revision(revision) == revision
    for revision in ("", "../x", "a b", "a\nb", "-x", "a" * 300, 5):
        with pytest.raises(InputError, match="is no branch, tag or commit"):
            check_revision(revision)
