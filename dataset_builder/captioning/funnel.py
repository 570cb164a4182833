"""What became of the captions of a set of rows: counts by source and reason, examples, claims and variety.

A funnel of many rows is the merge of the funnels of their parts, whatever the parts; it travels as JSON.
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from dataset_builder.captioning.variety import distinct_n, self_bleu
from model_cards.markdown import visible

if TYPE_CHECKING:
    from dataset_builder.captioning.stage import CaptionStage

EXAMPLES = 3  # a reason
EXAMPLE_CHARS = 300
DRAWN_CAPTIONS = 256  # for variety: how many are compared changes the measures, so their number is fixed
CAPTIONER_COLUMNS = ("captioner", "captioner_revision", "captioner_settings")
CLAIMS = ("claims", "rejected_claims")
VERDICTS = ("supported", "contradicted", "unverifiable")


@dataclass(slots=True)
class SourceFunnel:
    """Counts of one `source_dataset`.

    Args:
        rows: Rows that reached the captioner.
        captioned: Rows with at least one accepted caption.
        written, accepted: Infrared-aware captions.
        words: Of the accepted captions.
        scene_captions: Scene captions written for rows that had none.
        rejected: Captions by reason.
        failed: Rows without an answer, or whose images cannot be measured, by reason.
        left: Rows without an accepted caption, by why: their failure, or what was wrong with the first one.
        claims, rejected_claims: Claims about the image in accepted and in rejected captions, by verdict.
        usage: What the captioner took; see `Written`.
    """

    rows: int = 0
    captioned: int = 0
    written: int = 0
    accepted: int = 0
    words: int = 0
    scene_captions: int = 0
    rejected: Counter = field(default_factory=Counter)
    failed: Counter = field(default_factory=Counter)
    left: Counter = field(default_factory=Counter)
    claims: Counter = field(default_factory=Counter)
    rejected_claims: Counter = field(default_factory=Counter)
    usage: Counter = field(default_factory=Counter)

    def add(self, other: "SourceFunnel") -> None:
        """Adds another's counts to these."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))

    def as_dict(self) -> dict[str, Any]:
        """Returns the JSON-able form, counters by falling count, then name."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: _ordered(value) if isinstance(value, Counter) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "SourceFunnel":
        """Reads what `as_dict` gives."""
        return cls(**{name: Counter(value) if isinstance(value, Mapping) else value for name, value in values.items()})


@dataclass(slots=True)
class Funnel:
    """Counts by source, a few examples by reason, and a fixed draw of accepted captions.

    Args:
        sources: By `source_dataset`.
        examples: By reason `[key, sample_id, text, detail]`, those of the smallest keys; the key is a hash of the
            `sample_id`, so which they are depends on neither order nor parts.
        drawn: `[key, text]` of accepted captions, those of the smallest keys.
    """

    sources: dict[str, SourceFunnel] = field(default_factory=dict)
    examples: dict[str, list[list]] = field(default_factory=dict)
    drawn: list[list[str]] = field(default_factory=list)

    def merge(self, other: "Funnel") -> "Funnel":
        """Adds another funnel to this one, and returns it."""
        for name, counts in other.sources.items():
            self.sources.setdefault(name, SourceFunnel()).add(counts)
        for reason, examples in other.examples.items():
            self.examples[reason] = heapq.nsmallest(EXAMPLES, [*self.examples.get(reason, []), *examples])
        self.drawn = heapq.nsmallest(DRAWN_CAPTIONS, [*self.drawn, *other.drawn])
        return self

    def total(self) -> SourceFunnel:
        """Returns the sum over sources."""
        total = SourceFunnel()
        for _, counts in sorted(self.sources.items()):
            total.add(counts)
        return total

    def as_dict(self) -> dict[str, Any]:
        """Returns the JSON-able form."""
        sources = {name: counts.as_dict() for name, counts in sorted(self.sources.items())}
        return {"sources": sources, "examples": self.examples, "drawn": self.drawn}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Funnel":
        """Reads what `as_dict` gives."""
        sources = {name: SourceFunnel.from_dict(counts) for name, counts in values["sources"].items()}
        return cls(sources, dict(values["examples"]), list(values["drawn"]))

    def report(self) -> dict[str, Any]:
        """Returns what reports and cards show: `total` and `sources` as counted, `variety` and `examples`."""
        total, texts = self.total(), [text for _, text in self.drawn]
        bleu = self_bleu(texts)
        return {
            "total": _rounded(total),
            "sources": {name: _rounded(counts) for name, counts in sorted(self.sources.items())},
            "variety": {
                "captions": len(texts),
                "mean_words": round(total.words / total.accepted, 2) if total.accepted else None,
                "distinct_1": round(distinct_n(texts, 1), 4),
                "distinct_2": round(distinct_n(texts, 2), 4),
                "self_bleu": None if bleu is None else round(bleu, 4),
            },
            "examples": {
                reason: [{"sample_id": name, "text": text, "detail": detail} for _, name, text, detail in examples]
                for reason, examples in sorted(self.examples.items())
            },
        }


def collect(batch: Mapping[str, Sequence[Any]]) -> Funnel:
    """Counts a batch that `CaptionTally.caption` has filled; rows with a `_reason` count as failed with it.

    Args:
        batch: `sample_id`, `source_dataset`, `ir_captions`, `_reason`, `_facts`, `_rejected`, `_caption_failure`,
            `_usage` and `_scene_captions` (how many were written for the row).
    """
    from dataset_builder.claims import judge  # slow to import: what only counts does without

    funnel = Funnel()
    for index, name in enumerate(batch["sample_id"]):
        counts = funnel.sources.setdefault(str(batch["source_dataset"][index]), SourceFunnel())
        accepted, rejected = batch["ir_captions"][index], batch["_rejected"][index]
        counts.rows += 1
        counts.captioned += bool(accepted)
        counts.accepted += len(accepted)
        counts.written += len(accepted) + len(rejected)
        if failure := batch["_reason"][index] or batch["_caption_failure"][index]:
            counts.failed[failure] += 1
        if not accepted:
            counts.left[failure or (rejected[0]["reason"] if rejected else "nothing_written")] += 1
        counts.scene_captions += batch["_scene_captions"][index]
        counts.usage.update(batch["_usage"][index])
        for number, text in enumerate(accepted):
            counts.words += len(text.split())
            counts.claims.update(judged.verdict for judged in judge(text, batch["_facts"][index]))
            funnel.drawn.append([_key(name, number), text])
        for number, caption in enumerate(rejected):
            counts.rejected[caption["reason"]] += 1
            counts.rejected_claims.update(judged.verdict for judged in judge(caption["text"], batch["_facts"][index]))
            texts = [visible(caption[part], EXAMPLE_CHARS) for part in ("text", "detail")]
            funnel.examples.setdefault(caption["reason"], []).append([_key(name, number), name, *texts])
    return Funnel().merge(funnel)  # cuts examples and draw to size


def _key(name: str, number: int) -> str:
    return hashlib.sha256(f"{name}\x1f{number}".encode()).hexdigest()[:16]


def _ordered(counter: Counter) -> dict[str, float]:
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def _rounded(counts: SourceFunnel) -> dict[str, Any]:
    values = counts.as_dict()
    return {**values, "usage": {name: round(amount, 6) for name, amount in values["usage"].items()}}


class CaptionTally:
    """Takes the batches of one shard through a caption stage, and keeps count of what becomes of them.

    Args:
        on_batch: Called with the funnel of each batch, for a progress bar.

    Attributes:
        funnel: Of all batches.
        lines: For the file of rejected captions, `sample_id, source, text, reason, detail` of each one, and of each
            row that failed, with a null `text`.
    """

    def __init__(self, on_batch: Callable[[Funnel], None] | None = None) -> None:
        self.funnel, self.lines, self.on_batch = Funnel(), [], on_batch

    def caption(self, stage: "CaptionStage", batch: dict[str, list]) -> dict[str, list]:
        """Runs the stage on a batch, and returns it.

        Rows that end without an infrared-aware caption name no captioner, also where they had one: `ir_aware` is
        found by that column. Rows that were not asked for (a `_reason`, no infrared) lose the captions that they
        came with.
        """
        had_captions = [bool(captions) for captions in batch["captions"]]
        batch = stage(batch)
        written = zip(batch["captions"], had_captions, strict=True)
        batch["_scene_captions"] = [0 if had else len(captions or []) for captions, had in written]
        for index, name in enumerate(batch["sample_id"]):
            if batch["_facts"][index] is None:
                batch["ir_captions"][index] = []
            if not batch["ir_captions"][index]:
                for column in CAPTIONER_COLUMNS:
                    batch[column][index] = None
            row = {"sample_id": name, "source": batch["source_dataset"][index]}
            self.lines += [row | rejected for rejected in batch["_rejected"][index]]
            if failure := batch["_reason"][index] or batch["_caption_failure"][index]:
                self.lines.append(row | {"text": None, "reason": failure, "detail": None})
        counted = collect(batch)
        self.funnel.merge(counted)
        if self.on_batch:
            self.on_batch(counted)
        return batch


def left_without(captions: Mapping[str, Any]) -> str:
    """Returns in a line how many rows of a report have no infrared caption, and why."""
    left = captions["total"].get("left", {})
    reasons = ", ".join(f"{count} {reason}" for reason, count in left.items()) or "none"
    return f"rows left without an infrared caption: {sum(left.values())} ({reasons})"


def merged_report(stage: "CaptionStage", funnels: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the report on all funnels, given in their JSON-able form, with who wrote and how often was repaired."""
    funnel = Funnel()
    for part in funnels:
        funnel.merge(Funnel.from_dict(part))
    captioner = {"captioner": stage.captioner.name, "revision": stage.captioner.revision, "repairs": stage.repairs}
    return captioner | funnel.report()
