import random

from dataset_builder.captioning.choice import tell
from dataset_builder.captioning.joint import joint_caption
from dataset_builder.claims import judge, measure
from tests.dataset_builder.captioning.made.pairs import reversed_pair, row_of
from tests.dataset_builder.made.sample_tiles import sample_rows


def test_a_joint_caption_tells_rgb_then_infrared_and_nothing_that_is_contradicted():
    for row in sample_rows(150):
        facts = measure(row["_ir"], row["_rgb"])
        draw = random.Random(0)
        told = list(tell(row, facts, draw))
        text = joint_caption(told, "farmland", row, facts, draw)
        if text is None:
            continue
        assert "RGB" in text.split(".")[0] or "visible" in text.split(".")[0].lower(), text
        assert "contradicted" not in {judged.verdict for judged in judge(text, facts)}, text


def test_without_a_fact_of_the_pair_there_is_none():
    facts = measure(*reversed_pair())
    assert joint_caption([], "a farm", row_of(), facts, random.Random(0)) is None
