import pytest
import torch

from dataset_builder.claims.grounding import FACT_KINDS
from fusionrs_hf.errors import InputError
from tests.made import tiny_vlm
from tests.training.made.captioned_rows import make_rows
from training.data.conversations import fact_examples
from training.scoring.validation_reading import ValidationReading, validation_rows


def test_cost_is_the_mean_cross_entropy_of_the_true_sentences_in_any_batches():
    model, processor, rows = tiny_vlm.vlm_model(), tiny_vlm.vlm_processor(), make_rows(6)
    reading = ValidationReading(rows, processor, batch_size=4)
    for with_images in (True, False):
        total, tokens = 0.0, 0
        for example in fact_examples(rows, processor, ("rgb", "ir") if with_images else ()):
            batch = reading.collator([example])
            labels = batch.pop("labels")[:, 1:]
            with torch.no_grad():
                scores = model(**batch).logits[:, :-1].log_softmax(-1)
            chosen = scores.gather(2, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
            total, tokens = total - chosen[labels != -100].sum().item(), tokens + int((labels != -100).sum())
        assert reading.cost(model, with_images) == pytest.approx(total / tokens, rel=1e-4)


@pytest.mark.parametrize("images", [("rgb",), ("ir",), ()])
def test_rows_are_scored_by_what_is_shown_of_them(images):
    model, rows, shown = tiny_vlm.vlm_model(), make_rows(4), []
    core = model.model

    def look(module, positional, inputs):
        if inputs["input_ids"].shape[1] > 1:  # not of a word that it has written itself
            shown.append(core.find_infrared(inputs["input_ids"]).tolist())

    core.register_forward_pre_hook(look, with_kwargs=True)
    reading = ValidationReading(rows, tiny_vlm.vlm_processor(), images)
    reading.cost(model)
    assert shown == [[images == ("ir",)] * 4 if images else []]
    assert 0 <= reading.written(model)["fact_accuracy"] <= 1
    assert shown[1] == ([images == ("ir",)] * 4 if images else [])


def test_written_facts_are_scored_by_kind():
    scores = ValidationReading(make_rows(4), tiny_vlm.vlm_processor()).written(tiny_vlm.vlm_model())
    assert list(scores) == ["fact_accuracy", *FACT_KINDS]
    assert scores["fact_accuracy"] == pytest.approx(sum(scores[kind] for kind in FACT_KINDS) / 5)


def test_validation_rows_are_balanced_over_bands_and_must_be_there(tmp_path):
    (tmp_path / "data").mkdir()
    make_rows(12).to_parquet(tmp_path / "data" / "validation-00000-of-00001.parquet")
    rows = validation_rows(str(tmp_path), "sensor", 4)
    assert sorted(rows["ir_band"]) == ["lwir", "lwir", "nir", "nir"]
    make_rows(4, ir_origin="translated").to_parquet(tmp_path / "data" / "validation-00000-of-00001.parquet")
    with pytest.raises(InputError, match="no validation rows with ir_origin sensor"):
        validation_rows(str(tmp_path), "sensor", 4)
    assert set(validation_rows(str(tmp_path), "translated", 4)["ir_origin"]) == {"translated"}
