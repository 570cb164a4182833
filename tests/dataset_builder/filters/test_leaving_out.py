from dataset_builder.filters.leaving_out import LeaveOutStage
from dataset_builder.filters.text_rules import CaptionTooShort


def left(**row):
    """The row after the stage."""
    row = {"captions": [], "caption_origin": [], "ir_captions": [], "ir_caption_form": None, "captioner": None} | row
    batch = LeaveOutStage(CaptionTooShort())({"sample_id": ["a"], **{name: [value] for name, value in row.items()}})
    return {name: values[0] for name, values in batch.items()}


def test_a_short_caption_leaves_with_what_lies_beside_it_and_is_counted():
    row = left(captions=["farm", "a farm"], caption_origin=["hand", "source"])
    assert (row["captions"], row["caption_origin"], row["_left_out"]) == (["a farm"], ["source"], 1)


def test_a_caption_of_the_other_kind_is_enough_for_the_row_to_stay():
    row = left(captions=["farm"], caption_origin=["source"], ir_captions=["very dark"], captioner="grounded")
    assert (row["captions"], row["ir_captions"], row["captioner"]) == ([], ["very dark"], "grounded")
    row = left(captions=["a farm"], caption_origin=["source"], ir_captions=["dark"], captioner="source")
    assert (row["captions"], row["ir_captions"], row["captioner"]) == (["a farm"], [], None)


def test_what_has_no_other_caption_is_set_aside_by_the_rule_as_it_is():
    row = left(captions=["farm"], caption_origin=["source"])
    assert row["captions"] == ["farm"] and row["_left_out"] == 0
    assert CaptionTooShort()(row) == "caption_too_short"
    assert (
        CaptionTooShort()(left(captions=["farm", " "], caption_origin=["source"] * 2)) is None
    )  # the blank one is worse
