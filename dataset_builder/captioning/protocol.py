"""What every captioner takes and gives: rows and their measured facts in, captions or a counted failure out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from dataset_builder.claims.grounding import InfraredFacts


@dataclass(slots=True)
class Written:
    """What a captioner gives for one row.

    Attributes:
        ir_captions: Infrared-aware captions, not checked yet.
        captions: Scene captions, only for rows that came without; their origin is `model`.
        joint_captions: Captions of both images, not checked yet.
        forms: Of `ir_captions`, each of `IR_CAPTION_FORMS`; none: all are `free`.
        failure: Reason code where nothing came (`request_failed`, `bad_answer`, `answer_cut`, `refused`), else None.
        usage: What it took, summed over rows in the report: `prompt_tokens`, `completion_tokens`, `cost_usd`,
            `requests`, `cached` (answers that a former run had asked for). Empty for captioners that ask nobody.
    """

    ir_captions: list[str] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    joint_captions: list[str] = field(default_factory=list)
    forms: list[str] = field(default_factory=list)
    failure: str | None = None
    usage: dict[str, float] = field(default_factory=dict)


class Captioner(Protocol):
    """Writes infrared-aware captions for a batch of rows.

    Attributes:
        name, revision: What is recorded with each caption.
        settings: JSON-able settings that, with name and revision, determine the captions; never a secret.
    """

    name: str
    revision: str
    settings: Mapping[str, Any]

    def caption(
        self,
        rows: Sequence[Mapping[str, Any]],
        facts: Sequence["InfraredFacts"],
        faults: Sequence[str | None] | None = None,
    ) -> list[Written]:
        """Returns one `Written` a row, in order.

        Args:
            rows: Columns of the record, with `_ir` uint8 `(height, width)` and `_rgb` uint8 `(height, width, 3)`.
            facts: Of each row's infrared image and its pair.
            faults: When asking again: what was wrong with each row's first caption, in words. A captioner that cannot
                do better returns the same.
        """
        ...
