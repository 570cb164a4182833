"""`verification.json`: what was verified of a release, and by what; it lies in the release, and can be recomputed."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fusionrs_hf import __version__
from fusionrs_hf.bounded_json import read_object
from fusionrs_hf.errors import InputError
from training.release.kinds import KINDS, VERIFICATION
from training.release.plan import Plan
from training.release.stranger import Findings, versions

FORMAT = 1
HEX = set("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Verification:
    """What was verified of a release; `from_plan` after a push, `read` from a repository.

    Args:
        kind: Of `KINDS`.
        release: Hash of kind, names and contents.
        tag: That the release was given.
        fusionrs_version: By which it was verified.
        versions: Of the packages that it was loaded by.
        files: `{"size": bytes, "sha256": hex}` by name, of all files but this one.
        facts: Tensors, configurations, columns and counts as hashes, by name.
        numbers: First numbers of what it makes of fixed inputs.
        base: Repository and commit of what it builds upon, such as an adapter's base.
    """

    kind: str
    release: str
    tag: str
    fusionrs_version: str
    versions: Mapping[str, str]
    files: Mapping[str, Mapping[str, Any]]
    facts: Mapping[str, str]
    numbers: Mapping[str, list[float]]
    base: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @classmethod
    def from_plan(cls, plan: Plan, findings: Findings) -> "Verification":
        """Returns what is to be said of a plan that came back from the Hub as it went up."""
        return cls(
            kind=plan.kind,
            release=plan.release,
            tag=plan.tag,
            fusionrs_version=__version__,
            versions=versions(),
            files=plan.files,
            facts=dict(findings.facts),
            numbers=dict(findings.numbers),
            base=dict(plan.base),
        )

    @classmethod
    def read(cls, path: Path) -> "Verification":
        """Reads what lies in a repository, which somebody else may have written.

        Raises:
            InputError: It is no such file of this version.
        """
        try:
            values = read_object(path, "push the release again")
            found = cls(**values)
            hashes = [entry["sha256"] for entry in found.files.values()]
            whole = found.format == FORMAT and found.kind in KINDS and all(len(value) == 64 for value in hashes)
            whole = whole and all(set(value) <= HEX for value in hashes)
            whole = whole and isinstance(found.facts, dict) and isinstance(found.numbers, dict)
            whole = whole and isinstance(found.base, dict)
        except (OSError, TypeError, ValueError, KeyError, AttributeError, RecursionError):
            whole = False
        if not whole:
            raise InputError(
                f"{VERIFICATION} is none of this version's; push the release again, or install its version"
            )
        return found

    def content(self) -> bytes:
        """Returns the file's bytes."""
        return (json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()

    def hashes(self) -> dict[str, str]:
        """Returns SHA-256 by name."""
        return {name: entry["sha256"] for name, entry in self.files.items()}
