"""The one door to the Hub: what is released goes up through `push`, and `verify` loads it back as a stranger would.

Nothing whose origin or licence is unstated leaves the machine: such a folder is accepted by a loopback Hub alone.
Which Hub that is, and the token, are those of huggingface_hub (`HF_ENDPOINT`, `HF_TOKEN`, `hf auth login`).
"""

from importlib import import_module
from pathlib import Path

from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.repository_names import check_hub_id
from training.data.held_folders import holding
from training.release.kinds import KINDS, find_kind


def push(
    kind: str,
    folder: Path | str,
    repo_id: str,
    private: bool = False,
    base: str | None = None,
    as_clip: bool = False,
) -> str:
    """Releases a folder.

    Args:
        kind: One of `KINDS`.
        folder: What `build` or training wrote.
        repo_id: `owner/name`, or a name in the account of the token; made if it does not exist.
        private: Whether only the owner may read it.
        base: For a VLM's adapter: repository of the base that it belongs to, pushed before.
        as_clip: A dual-modal CLIP goes up as a plain `CLIPModel`.

    Returns:
        URL of the commit.

    Raises:
        InputError: Another kind, an option that does not go with it, a folder that is not finished or is being
            written, or what the kind's own function refuses.
    """
    release = find_kind(kind)
    check_hub_id(repo_id if "/" in repo_id else f"owner/{repo_id}")  # the Hub puts the user's own name before it
    if base is not None:
        check_hub_id(base)
    target, options = release.push, {} if base is None else {"base": base}
    for option in (*options, *(["as_clip"] if as_clip else [])):
        if option not in release.forms:
            title = next(row.forms[option].title for row in KINDS.values() if option in row.forms)
            raise InputError(f"--{option.replace('_', '-')} goes with {title}, got kind {shown(kind)}; leave it out")
        target = release.forms[option].push
    module, function = target.split(":")
    with holding(folder):
        return getattr(import_module(module), function)(folder, repo_id, private=private, **options)
