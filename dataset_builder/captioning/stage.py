"""The batch stage between a captioner and the columns: measures facts, asks, checks each caption, asks again."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dataset_builder.captioning.protocol import Captioner, Written
from dataset_builder.captioning.rules.caption_rules import CaptionRule, first_fault
from dataset_builder.claims.grounding import InfraredFacts, measure

NOT_OF_JOINT = {"rgb_color", "near_copy"}  # rules: what is seen in RGB has colours, and is what the scene caption says


class CaptionStage:
    """Fills `ir_captions`, their forms, `joint_captions` and the captioner columns: what was written and accepted.

    Rows that already have a `_reason`, or no decoded infrared, are left as they are. A caption that a rule rejects
    leaves the row's other captions and the row alone: it goes to `_rejected`.

    Args:
        captioner: Who writes.
        rules: Asked in order for each caption; see `caption_rules`.
        repairs: How often a row whose captions were all rejected is asked for again, with what was wrong.
    """

    def __init__(self, captioner: Captioner, rules: Sequence[CaptionRule] = (), repairs: int = 0) -> None:
        self.captioner, self.rules, self.repairs = captioner, list(rules), repairs
        self.joint_rules = [rule for rule in self.rules if rule.reason not in NOT_OF_JOINT]
        self._settings = json.dumps(dict(captioner.settings), sort_keys=True)

    def __call__(self, batch: dict[str, list]) -> dict[str, list]:
        """Reads `_ir` uint8 `(h, w)`, `_rgb` uint8 `(h, w, 3)` and the record's columns.

        Adds `_facts` (None where not measured), `_rejected` (a list of `{text, reason, detail}` a row),
        `_caption_failure` (reason code or None) and `_usage` (see `Written`).
        """
        size = len(batch["sample_id"])
        facts: list[InfraredFacts | None] = [None] * size
        batch["_facts"], batch["_rejected"] = facts, [[] for _ in range(size)]
        batch["_caption_failure"], batch["_usage"] = [None] * size, [{} for _ in range(size)]
        batch["ir_caption_form"], batch["joint_captions"] = [None] * size, [None] * size
        rows: dict[int, dict[str, Any]] = {}
        for index in range(size):
            row = {name: values[index] for name, values in batch.items()}
            if not row.get("_reason") and row.get("_ir") is not None:
                row["_facts"] = facts[index] = measure(row["_ir"], row.get("_rgb"))
                rows[index] = row
        faults: dict[int, str | None] = dict.fromkeys(rows)
        for attempt in range(1 + self.repairs):
            waiting = [index for index in rows if attempt == 0 or faults[index]]
            if not waiting:
                break
            written = self.captioner.caption(
                [rows[index] for index in waiting],
                [facts[index] for index in waiting],
                [faults[index] for index in waiting] if attempt else None,
            )
            for index, answer in zip(waiting, written, strict=True):
                faults[index] = self._take(batch, index, rows[index], answer)
        return batch

    def _take(self, batch: dict[str, list], index: int, row: Mapping[str, Any], answer: Written) -> str | None:
        """Puts an answer into the batch; returns what was wrong if no caption passed, for the next attempt."""
        for name, amount in answer.usage.items():
            batch["_usage"][index][name] = batch["_usage"][index].get(name, 0) + amount
        batch["_caption_failure"][index] = answer.failure
        if answer.captions and not row["captions"]:
            batch["captions"][index] = row["captions"] = list(answer.captions)
            batch["caption_origin"][index] = ["model"] * len(answer.captions)
        checked = [(text, first_fault(text, row, self.rules)) for text in answer.ir_captions]
        of_both = [(text, first_fault(text, row, self.joint_rules)) for text in answer.joint_captions]
        forms = answer.forms or ["free"] * len(checked)
        accepted = [(text, form) for (text, fault), form in zip(checked, forms, strict=True) if fault is None]
        batch["_rejected"][index] += [
            {"text": text, "reason": fault.reason, "detail": fault.detail}
            for text, fault in (*checked, *of_both)
            if fault is not None
        ]
        wrong = [f"{fault.reason}: {fault.detail}" for _, fault in checked if fault is not None]
        batch["ir_captions"][index] = [text for text, _ in accepted]
        batch["ir_caption_form"][index] = [form for _, form in accepted] or None
        batch["joint_captions"][index] = [text for text, fault in of_both if fault is None] or None
        batch["captioner"][index] = self.captioner.name
        batch["captioner_revision"][index] = self.captioner.revision
        batch["captioner_settings"][index] = self._settings
        return "; ".join(wrong) if wrong and not accepted else None
