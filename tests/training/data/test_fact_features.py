import torch
from torch.testing import assert_close

from dataset_builder.claims.grounding import FACT_KINDS
from tests.made import tiny_vlm
from tests.training.made.captioned_rows import make_rows
from training.data.fact_features import UNKNOWN, FactFeatures, measure_row
from training.data.fact_texts import VALUES, fact_values


def test_pairs_are_encoded_as_the_model_does_and_measured():
    model, processor, rows = tiny_vlm.vlm_model(), tiny_vlm.vlm_processor(), make_rows(6)
    features = FactFeatures.encode(model.model, processor, rows, batch_size=4)
    assert len(features) == 6 and features.hidden.shape == (6, 2, 10, 16)
    row = rows[5]
    pixels = processor(images=[row["rgb"], row["ir"]], text="<image><image>", return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        assert_close(features.hidden[5], model.model.get_image_features(pixels).last_hidden_state)
    values = fact_values(measure_row(row, processor))
    targets = dict(zip(FACT_KINDS, features[5]["targets"].tolist()))
    assert all(VALUES[kind][targets[kind]] == values[kind] for kind in FACT_KINDS if values[kind])


def test_what_was_not_measured_has_no_target():
    values = dict.fromkeys(FACT_KINDS) | {"level": "dark"}
    features = FactFeatures(torch.zeros(1, 2, 10, 4), [values])
    assert features[0]["targets"].tolist() == [VALUES["level"].index("dark"), *[UNKNOWN] * 4]
