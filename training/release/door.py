"""The one door to the Hub: what is released goes up through `push`, and `verify` loads it back as a stranger would.

Nothing whose origin or licence is unstated leaves the machine: such a folder is accepted by a loopback Hub alone.
Which Hub that is, and the token, are those of huggingface_hub (`HF_ENDPOINT`, `HF_TOKEN`, `hf auth login`).
"""

import logging
from pathlib import Path

from fusionrs_hf.errors import InputError
from training.release.dataset import push_dataset
from training.release.models import push_adapter, push_clip, push_plain_clip, push_vlm
from training.release.upload import check_kind

logger = logging.getLogger(__name__)


def push(
    kind: str,
    folder: Path | str,
    repo_id: str,
    private: bool = False,
    base: str | None = None,
    as_clip: bool = False,
) -> str:
    """Releases a folder of the given kind (`dataset`, `clip`, `vlm`); with `base`, a VLM's adapter.

    With `as_clip`, a dual-modal CLIP goes up as a plain `CLIPModel`.

    Returns:
        URL of the commit.
    """
    releases = {"dataset": push_dataset, "clip": push_clip, "vlm": push_vlm}
    check_kind(kind)
    if base is not None:
        if kind != "vlm":
            raise InputError(f"base {base!r} goes with a VLM's adapter, got kind {kind!r}; leave it out")
        return push_adapter(folder, repo_id, base, private=private)
    if as_clip:
        if kind != "clip":
            raise InputError(f"--as-clip goes with a dual-modal CLIP, got kind {kind!r}; leave it out")
        return push_plain_clip(folder, repo_id, private=private)
    return releases[kind](folder, repo_id, private=private)
