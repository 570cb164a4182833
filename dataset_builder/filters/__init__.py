"""Rules that decide whether a row is kept: each answers None or a reason code, which the runner counts.

A rule reads what it needs from the row and answers None where that is missing, so image rules may run before there
are captions or even infrared. What only decoding can tell (`unreadable`, `truncated` and their like) is in `decoding`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from dataset_builder.filters.image_rules import (
    ImageTooLarge,
    ImageTooSmall,
    InfraredContradictsUnit,
    InfraredIsColormapped,
    InfraredTooFlat,
    RgbIsClouded,
    RgbIsGray,
    RgbTooFlat,
    TooMuchNodata,
)
from dataset_builder.filters.pair_rules import InfraredIsGrayOfRgb, Misaligned, SizesDiffer
from dataset_builder.filters.text_rules import (
    CaptionEmpty,
    CaptionHasControlCharacters,
    CaptionHasMarkup,
    CaptionNotText,
    CaptionTooLong,
    CaptionTooShort,
)
from dataset_builder.thresholds import Thresholds, build_rules


class Rule(Protocol):
    """A frozen dataclass of thresholds; `reason` is its name in recipes, in `_reason` and on the card."""

    reason: ClassVar[str]

    def __call__(self, row: Mapping[str, Any]) -> str | None:
        """Returns None, or the reason for which the row leaves."""
        ...


# Asked while images are decoded.
ENCODED_RULES: tuple[type[Rule], ...] = (ImageTooLarge, InfraredIsColormapped, InfraredContradictsUnit)
IMAGE_RULES: tuple[type[Rule], ...] = (
    ImageTooSmall,
    RgbTooFlat,
    RgbIsGray,
    InfraredTooFlat,
    TooMuchNodata,
    RgbIsClouded,
)
PAIR_RULES: tuple[type[Rule], ...] = (SizesDiffer, InfraredIsGrayOfRgb, Misaligned)
TEXT_RULES: tuple[type[Rule], ...] = (
    CaptionEmpty,
    CaptionNotText,
    CaptionHasControlCharacters,
    CaptionHasMarkup,
    CaptionTooShort,
    CaptionTooLong,
)
RULES = (*ENCODED_RULES, *IMAGE_RULES, *PAIR_RULES, *TEXT_RULES)


def make_rules(thresholds: Thresholds | None = None, classes: Sequence[type[Rule]] = RULES) -> list[Rule]:
    """Builds rules from a recipe's `{rule: {threshold: value} | false}`; what it does not name keeps its defaults.

    Args:
        thresholds: By reason code; `false` leaves the rule out, `true` or null means its defaults. May name any rule,
            also one that is not among `classes`: one recipe entry serves several stages.
        classes: Rules to build, in the order in which they will be asked.

    Raises:
        InputError: A rule or threshold is unknown, or a value is not a number of at least zero.
    """
    return build_rules(thresholds, classes, RULES, "filter")


class FilterStage:
    """Batch stage: writes into `_reason` the first rule's reason that hits; rows that have a reason keep it."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = list(rules)

    def __call__(self, batch: dict[str, list]) -> dict[str, list]:
        """Judges each row of the batch in the order of the rules."""
        reasons = batch.setdefault("_reason", [None] * len(batch["sample_id"]))
        for index, row_reason in enumerate(reasons):
            if row_reason is None:
                row = {name: values[index] for name, values in batch.items()}
                reasons[index] = next((reason for rule in self.rules if (reason := rule(row))), None)
        return batch
