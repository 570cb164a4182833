"""Names of repositories, looked at before anything is asked of a network."""

import re

from fusionrs_hf.errors import InputError, shown

PART = r"(?!.*(--|\.\.))[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?"  # as the Hub names owners and repositories
HUB_ID = re.compile(rf"{PART}/{PART}", re.ASCII)
REVISION = re.compile(r"(?!.*(\.\.|//))[\w][\w./-]{0,200}", re.ASCII)


def is_hub_id(name: str) -> bool:
    """Tells whether a text is `owner/name` as the Hub takes it."""
    return HUB_ID.fullmatch(name) is not None and not name.endswith((".git", ".ipynb"))


def check_hub_id(name: str) -> str:
    """Returns a name that is `owner/name` as the Hub takes it; raises InputError for any other."""
    if not isinstance(name, str) or not is_hub_id(name):
        raise InputError(f"{shown(name)} names no repository; give owner/name, of letters, digits, `-`, `_` and `.`")
    return name


def check_revision(revision: str | None) -> str | None:
    """Returns a branch, tag or commit, or None; raises InputError for what can be none."""
    if revision is not None and (not isinstance(revision, str) or not REVISION.fullmatch(revision)):
        raise InputError(f"{shown(revision)} is no branch, tag or commit; give one such as main")
    return revision
