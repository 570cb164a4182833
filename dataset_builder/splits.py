"""Joint groups -> train, validation, test, by whole groups; and one evaluation representative per group and band."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PRECEDENCE = ("test", "validation", "train")  # a group found in two splits keeps the first of these
HELD_OUT = ("test", "validation")


@dataclass(frozen=True, slots=True)
class SplitPolicy:
    """How rows come into splits.

    Args:
        by: `source`: where the source's regions or files prescribe a split (`_split`), it holds, and joint groups of
            which no row has one are drawn as by `hash`; `hash`: every joint group is drawn, whatever the source says.
        validation, test: Target of each drawn split: a share of the drawn rows below 1, or a number of rows.
        salt: Changes the draw; the same salt gives the same splits.
    """

    by: str = "source"
    validation: float = 0.05
    test: float = 0.05
    salt: str = "fusionrs"

    def __post_init__(self) -> None:
        """Raises ValueError where the policy cannot be followed."""
        if self.by not in ("source", "hash"):
            raise ValueError(f"splits must be by 'source' or 'hash', got {self.by!r}")
        if min(self.validation, self.test) < 0:
            raise ValueError(f"split targets must not be negative, got {self.validation} and {self.test}")
        if max(self.validation, self.test) < 1 <= self.validation + self.test:
            raise ValueError(f"validation and test must leave rows to train, got {self.validation + self.test}")

    def target(self, split: str, rows: int) -> int:
        """Returns the number of rows wanted for a held-out split when `rows` are drawn."""
        wanted = getattr(self, split)
        return int(wanted) if wanted >= 1 else round(wanted * rows)


def assign_splits(
    columns: Mapping[str, Sequence], joint_group_id: Sequence[str], policy: SplitPolicy
) -> tuple[list[str | None], list[str | None]]:
    """Gives every row its split; no joint group ends in two. Does not depend on the order of the rows.

    Args:
        columns: `_split`, the split that the source prescribes or null.
        joint_group_id: Joint group of each row.
        policy: How to split.

    Returns:
        Splits, null where the row leaves; and reasons: `split_group` where a row's prescribed split is another than
        the one its group keeps (test before validation before train), else null.
    """
    prescribed = columns["_split"] if policy.by == "source" else [None] * len(joint_group_id)
    kept, sizes = {}, defaultdict(int)
    for split, name in zip(prescribed, joint_group_id, strict=True):
        sizes[name] += 1
        if split is not None:
            kept[name] = min(kept.get(name, split), split, key=PRECEDENCE.index)
    drawn = _draw({name: size for name, size in sizes.items() if name not in kept}, policy)
    splits, reasons = [], []
    for split, name in zip(prescribed, joint_group_id, strict=True):
        chosen = kept.get(name) or drawn[name]
        leaves = split is not None and split != chosen
        splits.append(None if leaves else chosen)
        reasons.append("split_group" if leaves else None)
    return splits, reasons


def _draw(sizes: Mapping[str, int], policy: SplitPolicy) -> dict[str, str]:
    """Fills test, then validation, to their targets with whole groups in salted order; the rest is train."""
    order = sorted(sizes, key=lambda name: hashlib.sha256(f"{policy.salt}\x1f{name}".encode()).digest())
    splits = dict.fromkeys(order, "train")
    for split in HELD_OUT:
        free = policy.target(split, sum(sizes.values()))
        for name in order:
            if splits[name] == "train" and sizes[name] <= free:
                splits[name] = split
                free -= sizes[name]
    return splits


def representatives(
    columns: Mapping[str, Sequence], joint_group_id: Sequence[str], splits: Sequence[str | None]
) -> list[bool]:
    """Marks one row per joint group and `ir_band` of the held-out splits: sensor before translated, then by sample id.

    Args:
        columns: `sample_id`, `ir_band`, `ir_origin`.
        joint_group_id, splits: Of each row; rows of train, or without a split, are never marked.
    """
    best = {}
    for row, (name, split) in enumerate(zip(joint_group_id, splits, strict=True)):
        if split in HELD_OUT:
            rank = (columns["ir_origin"][row] != "sensor", columns["sample_id"][row], row)
            key = (name, columns["ir_band"][row])
            best[key] = min(best.get(key, rank), rank)
    chosen = {row for _, _, row in best.values()}
    return [row in chosen for row in range(len(joint_group_id))]
