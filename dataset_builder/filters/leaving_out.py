"""Takes single captions out of a row that is worth keeping without them."""

from dataset_builder.filters.text_rules import CaptionTooShort

BESIDE = {"captions": "caption_origin", "ir_captions": "ir_caption_form"}  # lists of one entry a caption


class LeaveOutStage:
    """Batch stage: where a row has other captions, those that say next to nothing leave it, and it stays.

    Writes into `_left_out` how many. A row without any other caption is left as it is, for `rule` to set aside.

    Args:
        rule: Tells which captions are too short.
    """

    def __init__(self, rule: CaptionTooShort) -> None:
        self.rule = rule

    def __call__(self, batch: dict[str, list]) -> dict[str, list]:
        """Shortens `captions`, `ir_captions` and the lists beside them."""
        rows = range(len(batch["sample_id"]))
        batch["_left_out"] = [sum(self._shorten(batch, index, column) for column in BESIDE) for index in rows]
        return batch

    def _shorten(self, batch: dict[str, list], index: int, column: str) -> int:
        texts = batch[column][index] or []
        kept = [number for number, text in enumerate(texts) if not self.rule.is_short(text)]
        if len(kept) == len(texts) or not kept and not self._has_others(batch, index, column):
            return 0
        for name in (column, BESIDE[column]):
            if batch[name][index] is not None:
                batch[name][index] = [batch[name][index][number] for number in kept]
        if column == "ir_captions" and not kept:
            batch["captioner"][index] = None  # names who wrote them
        return len(texts) - len(kept)

    def _has_others(self, batch: dict[str, list], index: int, column: str) -> bool:
        (other,) = {*BESIDE} - {column}
        return any(not self.rule.is_short(text) for text in batch[other][index] or [])
