import pytest
from datasets import Dataset

from dataset_builder.schema import FEATURES
from fusionrs_hf.errors import InputError
from fusionrs_hf.prompts import PROMPT
from tests.training.made.captioned_rows import CAPTIONS, make_rows
from training.data.conversations import conversations


def test_examples_are_the_compact_caption_under_the_prompt():
    example = conversations(make_rows(2), PROMPT)[0]
    assert example["prompt"] == [{"role": "user", "content": PROMPT}]
    assert example["completion"] == [{"role": "assistant", "content": CAPTIONS[0]}]
    assert [image.mode for image in example["images"]] == ["RGB", "L"]


def test_rows_without_infrared_captions_are_refused_or_left_out(caplog):
    with pytest.raises(InputError, match="none of 2 training rows has ir_captions"):
        conversations(make_rows(2, ir_captions=[]), PROMPT)
    rows = Dataset.from_list([*make_rows(2, ir_captions=[]), *make_rows(2)], features=FEATURES)
    assert len(conversations(rows, PROMPT)) == 2
    assert "2 of 4 rows have no ir_captions" in caplog.text
