"""Rules as recipes name them: `{reason: {threshold: value} | false}`, checked and built for any family of rules."""

from collections.abc import Mapping, Sequence
from dataclasses import field, fields
from typing import Any

from dataset_builder.fields import KINDS
from fusionrs_hf.errors import InputError, nearest, shown
from fusionrs_hf.records import fits

Thresholds = Mapping[str, Mapping[str, float] | bool | None]


def threshold(default: float, unit: str) -> Any:
    """Returns a rule's field with its default and the unit that cards and reports print."""
    return field(default=default, metadata={"unit": unit})


def build_rules(
    thresholds: Thresholds | None, classes: Sequence[type], family: Sequence[type], noun: str
) -> list[Any]:
    """Builds rules from a recipe's entry; what it does not name keeps its defaults.

    Args:
        thresholds: By reason code; `false` leaves the rule out, `true` or null means its defaults.
        classes: Frozen dataclasses of thresholds with a `reason`, in the order in which they will be asked.
        family: All rules that the entry may name, also those that are not among `classes`.
        noun: What errors call such a rule, e.g. `filter`.

    Raises:
        InputError: A rule or threshold is unknown, or a value is not a number of at least zero.
    """
    thresholds = thresholds or {}
    if not isinstance(thresholds, Mapping):
        raise InputError(
            f"{noun}s are {shown(thresholds)}; expected a mapping of names such as {shown(family[0].reason)}"
        )
    by_reason = {rule.reason: rule for rule in family}
    for name, chosen in thresholds.items():
        if name not in by_reason:
            raise InputError(f"unknown {noun} {shown(name)}; {nearest(name, list(by_reason))}")
        _check(noun, name, chosen, {item.name: item.type for item in fields(by_reason[name])})
    wanted = [(rule, thresholds.get(rule.reason)) for rule in classes]
    return [rule(**(chosen if isinstance(chosen, Mapping) else {})) for rule, chosen in wanted if chosen is not False]


def _check(noun: str, rule: str, chosen: Mapping[str, float] | bool | None, types: Mapping[str, Any]) -> None:
    if chosen is None or isinstance(chosen, bool):
        return
    if not isinstance(chosen, Mapping):
        raise InputError(
            f"{noun} {rule} is {shown(chosen)}; expected false or a mapping of thresholds, such as {[*types]}"
        )
    for name, value in chosen.items():
        if name not in types:
            remedy = nearest(name, [*types]) if types else "it has none"
            raise InputError(f"unknown threshold {shown(name)} of {noun} {rule}; {remedy}")
        if not fits(value, types[name], finite=True) or value < 0:
            raise InputError(
                f"threshold {rule}.{name} is {shown(value)}; expected {KINDS[types[name]]} of at least zero"
            )
