import pytest
import torch
from transformers import (
    AutoModel,
    AutoProcessor,
    BertConfig,
    CLIPModel,
    ModernBertConfig,
    PreTrainedConfig,
    PreTrainedModel,
    RobertaConfig,
)

import fusionrs_hf.auto  # noqa: F401
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from fusionrs_hf.modeling_fusionrs_start import stretched_positions, text_limit
from tests.made import tiny

SMALL = {
    "vocab_size": 30,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}
MODERN = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}


def clip_with(positions: int, **options: object) -> FusionRSCLIPModel:
    text = tiny.text_config()
    text.max_position_embeddings = positions
    return tiny.clip_model(text_config=text, **options)


def backbone(config: PreTrainedConfig) -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModel.from_config(config).eval()


def long_clip(table: torch.Tensor) -> torch.Tensor:
    """Long-CLIP's table four times as dense after the first twenty, entry by entry as the paper's method says."""
    rows = [table[index] for index in range(20)]
    for index in range(20, len(table) - 1):
        rows += [((4 - part) * table[index] + part * table[index + 1]) / 4 for part in range(4)]
    slope = table[-1] - table[-2]
    return torch.stack(rows + [table[-1] + part / 4 * slope for part in range(4)])


def test_positions_are_stretched_as_long_clip_s():
    model = clip_with(77)
    name, table = stretched_positions(model.text_model, 248)
    old = model.text_model.get_parameter(name).detach()
    assert table.shape == (248, 16)  # 20 + 4 * (77 - 20)
    torch.testing.assert_close(table, long_clip(old), rtol=0, atol=1e-7)
    assert torch.equal(table[:21], old[:21])


def test_any_length_interpolates_a_line_exactly():
    model = clip_with(40)
    table = model.text_model.embeddings.position_embedding.weight
    with torch.no_grad():
        table[:] = torch.arange(40.0).unsqueeze(1)  # a position's embedding is its number
    for positions in (41, 77, 333):
        _, new = stretched_positions(model.text_model, positions)
        wanted = torch.tensor([min(i, 20 + (i - 20) * 20 / (positions - 20)) for i in range(positions)])
        torch.testing.assert_close(new[:, 0], wanted, rtol=1e-6, atol=0)


def test_short_texts_keep_their_embeddings_and_long_ones_run():
    model = clip_with(40)
    longer = model.with_options(text_positions=120)
    assert (longer.text_limit, longer.config.text_config.max_position_embeddings) == (120, 120)
    ids = torch.randint(4, 20, (2, 120), generator=torch.Generator().manual_seed(0))
    ids[:, 19] = ids[:, 119] = tiny.EOS_ID
    short = ids[:, :20]
    torch.testing.assert_close(longer.get_text_features(short), model.get_text_features(short), rtol=0, atol=0)
    ids[:, 19] = 5
    assert longer.get_text_features(ids).isfinite().all()
    with pytest.raises(ValueError, match=r"120 tokens but the text tower reads 40; .*with_options\(text_positions"):
        model.get_text_features(ids)
    with pytest.raises(ValueError, match="121 tokens but the text tower reads 120"):
        longer(input_ids=torch.full((1, 121), 5))


def test_a_stretched_folder_loads_by_the_auto_classes_and_as_a_plain_clip(tmp_path):
    model = clip_with(40).with_options(text_positions=64)
    processor = tiny.clip_processor()
    processor.tokenizer.model_max_length = 64
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    ours, again = AutoModel.from_pretrained(tmp_path).eval(), AutoProcessor.from_pretrained(tmp_path)
    inputs = again(text=["dark water " * 31, "a dry field"])
    assert inputs["input_ids"].shape == (2, 63)
    expected = model.get_text_features(**inputs)
    torch.testing.assert_close(ours.get_text_features(**inputs), expected, rtol=0, atol=1e-6)
    plain = CLIPModel.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(plain.get_text_features(**inputs).pooler_output, expected, rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="65 tokens but the text tower reads 64"):
        again(text="water " * 64)
    assert again(text="water " * 64, truncation=True)["input_ids"].shape == (1, 64)


@pytest.mark.parametrize(("config", "reserved"), [(BertConfig, 0), (RobertaConfig, 2)])
def test_tables_of_other_text_towers_are_stretched(config, reserved):
    text = config(**SMALL, max_position_embeddings=40)
    model = tiny.clip_model(text_config=text, text_pooling="mean")
    longer = model.with_options(text_positions=90)
    assert (model.text_limit, longer.text_limit) == (40 - reserved, 90)
    ids = torch.randint(5, 30, (2, 90), generator=torch.Generator().manual_seed(0))
    short = ids[:, :20]
    torch.testing.assert_close(longer.get_text_features(short), model.get_text_features(short), rtol=0, atol=0)
    assert longer.get_text_features(ids).isfinite().all()
    with pytest.raises(ValueError, match=f"90 tokens but the text tower reads {40 - reserved}"):
        model.get_text_features(ids)


def test_what_cannot_be_stretched_says_so():
    rotary = backbone(ModernBertConfig(**SMALL, **MODERN))
    assert text_limit(rotary) is None
    with pytest.raises(ValueError, match="ModernBertModel has none: only the tokenizer's model_max_length"):
        stretched_positions(rotary, 100)
    with pytest.raises(ValueError, match="more than the 40 that the text tower has.*got 40; leave it out"):
        clip_with(40).with_options(text_positions=40)
    with pytest.raises(ValueError, match="must be at least 22, got 100"):
        clip_with(21).with_options(text_positions=100)


def test_a_model_of_other_options_keeps_dtype_and_mode():
    model = tiny.clip_model().to(torch.bfloat16)
    changed = model.with_options(fusion="gated", ir_channels=1)
    assert {parameter.dtype for parameter in changed.parameters()} == {torch.bfloat16} and not changed.training
    assert model.train().with_options().training
