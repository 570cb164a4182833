"""Shapes of what reports hold, so that whoever reads one finds what it counts on, or the report is refused."""

from typing import Any, TypedDict


class FileFacts(TypedDict):
    """A file of a dataset."""

    rows: int
    bytes: int
    sha256: str


class Counted(TypedDict):
    """A number of rows; beside it stand the values that they share."""

    rows: int


class LargeComponent(TypedDict):
    """A joint group, and the first of its ids."""

    sample_id: str
    size: int


class GroupsFound(TypedDict):
    """How many groups there are, and the largest."""

    image_groups: int
    joint_groups: int
    largest: list[LargeComponent]


class GroupsAsked(TypedDict, total=False):
    """What joined rows into groups."""

    radius: int
    relations: list[str]


class RecipeTold(TypedDict, total=False):
    """Of a recipe, what is read again."""

    groups: GroupsAsked
    ir_range: dict[str, list[float] | str] | str | None


class Identity(TypedDict, total=False):
    """What a dataset is a function of."""

    recipe: RecipeTold
    versions: dict[str, Any]
    code: str
    inputs: Any


class Told(TypedDict, total=False):
    """What an audit asks of a build's report, of whatever version."""

    identity: Identity
    files: dict[str, Counted]
    quarantine: dict[str, int]
    rights: dict[str, Any]


class HashTold(TypedDict):
    """Of a file, what tells its bytes."""

    sha256: str


class FilesTold(TypedDict, total=False):
    """What a release asks of a build's report."""

    files: dict[str, HashTold]


class CaptionReport(TypedDict, total=False):
    """What `caption_report.json` is asked for."""

    identity: Identity
    files: dict[str, FileFacts]
    captions: dict[str, Any]
