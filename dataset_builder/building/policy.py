"""A recipe's `rights_policy` in the dataset's folder, so that `publish` and `push` need no recipe."""

from pathlib import Path

from dataset_builder.rights.table import POLICY, policy_text
from fusionrs_hf.atomic import atomic_path
from fusionrs_hf.folder_manifest import Manifest
from fusionrs_hf.output_folder import OutputFolder


def is_kept(policy: Path | None, out: Path, manifest: Manifest) -> bool:
    """Returns whether a dataset's folder, of this manifest, holds what `keep_policy` would keep there."""
    listed = POLICY in manifest.files
    if policy is None:
        return not listed
    return listed and (out / POLICY).exists() and (out / POLICY).read_text(encoding="utf-8") == policy_text(policy)


def keep_policy(policy: Path | None, output: OutputFolder) -> None:
    """Keeps a recipe's `rights_policy` in the dataset's folder.

    Args:
        policy: The recipe's file; None removes one that was kept before, not one of the user's.
        output: The dataset's folder.

    Raises:
        InputError: As of `read_policy`, or a file of others is in the way; then nothing is written.
    """
    if policy is None:
        output.delete([POLICY])
    elif not is_kept(policy, output.path, output.manifest):
        text = policy_text(policy)
        output.claim([POLICY])
        with atomic_path(output.path / POLICY) as temporary:
            temporary.write_text(text, encoding="utf-8")
