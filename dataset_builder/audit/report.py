"""What an audit found: a dataclass that becomes JSON, and its table for a terminal."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dataset_builder.audit.overlaps import Overlap
from model_cards.markdown import visible

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
CHECKS = {
    "files": "files are those of the build report, with its rows",
    "split_names": "splits are train, validation, test",
    "sample_ids": "sample ids are there and unique",
    "ids_in_one_split": "no sample id is in two splits",
    "images": "images are there and decode",
    "image_modes": "rgb has colour; ir has one channel, its depth fits its unit",
    "image_sizes": "rgb and ir have one size",
    "hashes": "stored perceptual hashes are those of the images",
    "captions": "every caption has an origin, each of them known",
    "footprints": "footprints are four numbers, south below north",
    "groups_in_one_split": "no stored joint group is in two splits",
    "image_groups": "stored image groups are the components found here",
    "joint_groups": "stored joint groups are the components found here",
    "components_in_one_split": "no component found here is in two splits",
    "representatives": "one representative per held-out joint group and band",
}
LEAKS = ("ids_in_one_split", "groups_in_one_split", "components_in_one_split")


@dataclass(frozen=True, slots=True)
class Check:
    """One question asked of the dataset.

    Args:
        name: Of `CHECKS`.
        status: passed, failed or skipped.
        found: How many rows (of `files`, `split_names` and the groups: files, splits, groups) are at fault.
        of: Among how many.
        examples: Some of them.
        note: What was found, or why it was not asked.
    """

    name: str
    status: str
    found: int = 0
    of: int = 0
    examples: list[str] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Contamination:
    """What a dataset shares with another one.

    Args:
        other: What was compared with.
        rows: Its rows by split; `all` where it has none.
        faults: Rows of it that could not be compared by their images, by reason.
        named: Some of these.
        overlaps: One a pair of splits and relation.
    """

    other: str
    rows: dict[str, int]
    faults: dict[str, int]
    named: list[str]
    overlaps: list[Overlap]

    @property
    def any(self) -> bool:
        """Whether anything is shared."""
        return any(overlap.rows for overlap in self.overlaps)


@dataclass(frozen=True, slots=True)
class AuditReport:
    """Outcome of `audit`.

    Args:
        dataset: What was audited.
        rows: By split.
        radius: Hamming radius of perceptual hashes, in bits of 64.
        relations: What joins rows in this dataset.
        comparisons: Pairs of hashes compared within the dataset.
        checks: In the order of `CHECKS`.
        leaks: Overlaps between two splits of the dataset by the relations that join, those that are not empty.
        against: One a dataset compared with.
    """

    dataset: str
    rows: dict[str, int]
    radius: int
    relations: list[str]
    comparisons: int
    checks: list[Check]
    leaks: list[Overlap]
    against: list[Contamination]

    @property
    def failed(self) -> list[str]:
        """Names of the failed checks."""
        return [check.name for check in self.checks if check.status == FAILED]

    @property
    def leaking(self) -> bool:
        """Whether anything crosses the splits of the dataset."""
        return bool(self.leaks) or any(name in LEAKS for name in self.failed)

    @property
    def clean(self) -> bool:
        """Whether nothing crosses the splits, and no check failed. What is shared with others does not count."""
        return not self.leaks and not self.failed

    @property
    def contaminated(self) -> bool:
        """Whether anything is shared with one of the others."""
        return any(other.any for other in self.against)

    def as_dict(self) -> dict[str, Any]:
        """Returns the JSON-able form."""
        return asdict(self) | {"clean": self.clean, "leaking": self.leaking, "contaminated": self.contaminated}


def audit_table(report: AuditReport) -> str:
    """Returns a report as lines for a terminal, plain text."""
    total = f"{sum(report.rows.values())} rows"
    joined = f"joined by {', '.join(report.relations) or 'nothing'}; radius {report.radius}"
    lines = [
        f"{visible(report.dataset)}: {_parts(total, report.rows)}",
        f"{joined}; {report.comparisons:.3g} pairs of hashes compared",
        "",
    ]
    for check in report.checks:
        count = f" {check.found} of {check.of}" if check.found else ""
        lines.append(f"{check.status:<8} {CHECKS[check.name]}{count}" + (f"  ({check.note})" if check.note else ""))
        lines += [f"             {visible(example, 100)}" for example in check.examples]
    lines += ["", "leaks between splits: " + ("" if report.leaks else "none")]
    lines += _overlap_lines(report.leaks)
    for other in report.against:
        total = f"{sum(other.rows.values())} rows"
        lines += ["", f"against {visible(other.other)}: {_parts(total, other.rows)}"]
        if other.faults:
            faults = ", ".join(f"{count} {visible(name)}" for name, count in other.faults.items())
            lines += [
                f"  not compared by their images: {faults}",
                f"    such as {', '.join(map(visible, other.named))}",
            ]
        lines += _overlap_lines([overlap for overlap in other.overlaps if overlap.rows]) or ["  nothing in common"]
    return "\n".join(lines)


def _parts(total: str, rows: Mapping[str, int]) -> str:
    return f"{total} ({', '.join(f'{visible(name)} {count}' for name, count in rows.items())})"


def _overlap_lines(overlaps: list[Overlap]) -> list[str]:
    lines = [f"  {'':<24}{'relation':<12}{'rows':>18}{'of the other':>18}"] if overlaps else []
    for overlap in overlaps:
        pair = f"{visible(overlap.split, 11)} / {visible(overlap.other_split, 11)}"
        shares = f"{overlap.rows} {overlap.share:8.2%}", f"{overlap.other_rows} {overlap.other_share:8.2%}"
        lines.append(f"  {pair:<24}{overlap.relation:<12}{shares[0]:>18}{shares[1]:>18}")
        for row, other, distance in overlap.examples[:2]:
            bits = f" ({distance} bits)" if "_" in overlap.relation else ""
            lines.append(f"    {visible(row, 60)} = {visible(other, 60)}{bits}")
    return lines
