"""The one door to the Hub: checks first, then a branch, then what came back from the Hub, then `main` in one commit.

Nothing whose origin or licence is unstated leaves the machine: such a folder is accepted by a loopback Hub alone.
Which Hub that is, and the token, are those of huggingface_hub (`HF_ENDPOINT`, `HF_TOKEN`, `hf auth login`).
"""

import logging
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.repository_names import check_hub_id
from training.data.held_folders import holding
from training.release.kinds import KINDS, find_kind

logger = logging.getLogger(__name__)


def push(
    kind: str,
    folder: Path | str,
    repo_id: str,
    private: bool = False,
    revision: str | None = None,
    tag: str | None = None,
    dry_run: bool = False,
    base: str | None = None,
    as_clip: bool = False,
) -> str:
    """Releases a folder: afterwards `revision` holds all of it, verified, or what it held before.

    Args:
        kind: One of `KINDS`.
        folder: What `build` or training wrote; of a metric its folder, of a Space any with its application.
        repo_id: `owner/name`; made if it does not exist.
        private: Whether only the owner may read it.
        revision: Branch to release on; None for `main`.
        tag: Name of the release; None: a dataset's version, else one made of its contents.
        dry_run: Check and say what would go up, ask no Hub.
        base: For a VLM's adapter: repository of the base that it belongs to, pushed before.
        as_clip: A dual-modal CLIP goes up as a plain `CLIPModel`.

    Returns:
        URL of the commit; of a dry run the plan.

    Raises:
        InputError: Another kind, an option that does not go with it, a folder that is not whole or must not go up, a
            Hub that refuses or fails: in one line, with what is there now and how to go on.
    """
    find_kind(kind)
    check_hub_id(repo_id)
    if base is not None:
        check_hub_id(base)
    form = _form(kind, {"base": base, "as_clip": as_clip or None})
    from training.release.releasing import release  # here: what is released is known without a library
    from training.release.staging import stage
    from training.release.stranger import scratch

    with ExitStack() as held:
        held.enter_context(holding(folder))
        home = held.enter_context(scratch())
        source = Path(folder)
        if form is not None:
            module, function = form[0].split(":")
            source = getattr(import_module(module), function)(source, home / "form", form[1])
        plan = stage(kind, source, repo_id, tag, home, Path(folder))
        if dry_run:
            return "\n".join(plan.lines())
        for line in plan.lines():
            logger.info(line)
        return release(plan, home, private, revision or "main")


def _form(kind: str, options: dict[str, object]) -> tuple[str, object] | None:
    chosen = None
    for option, value in options.items():
        if value is None:
            continue
        if option not in KINDS[kind].forms:
            title = next(row.forms[option].title for row in KINDS.values() if option in row.forms)
            raise InputError(f"--{option.replace('_', '-')} goes with {title}, got kind {shown(kind)}; leave it out")
        chosen = (KINDS[kind].forms[option].make, value)
    return chosen
