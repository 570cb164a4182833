"""Which image a model needed: on our class and on a stock one that knows nothing of modalities."""

import json

import pytest
import torch
from transformers import CLIPVisionConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

from dataset_builder.claims.grounding import FACT_KINDS
from fusionrs_hf.errors import InputError
from fusionrs_hf.processing_fusionrs_vlm import CHAT_TEMPLATE
from tests.made import tiny, tiny_vlm
from tests.training.test_train_vlm import deep_dataset, vlm_run  # noqa: F401 - fixtures
from training.evaluate_vlm_need import BOTH_SHUFFLED, SHOWN, conversations_of, main
from training.scoring.image_need import NEEDS


def save_stock(folder):
    """A tiny random LLaVA of transformers itself, with its processor."""
    words = tiny_vlm.tokenizer()
    torch.manual_seed(0)
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=tiny.IMAGE_PX,
        patch_size=tiny.IMAGE_PX // 2,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=vision.to_dict(),
        text_config=tiny_vlm.language_config(vocab_size=len(words)).to_dict(),
        image_token_index=words.convert_tokens_to_ids("<image>"),
        image_token_id=words.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
    )
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    LlavaProcessor(
        tiny_vlm.image_processor(), words, patch_size=tiny.IMAGE_PX // 2, num_additional_image_tokens=1,
        vision_feature_select_strategy="default", chat_template=CHAT_TEMPLATE,
    ).save_pretrained(folder)  # fmt: skip
    return str(folder)


def check(results, pairs):
    assert results.pairs == pairs
    conditions = {*SHOWN, BOTH_SHUFFLED}
    assert set(results.facts) == set(results.claims) == set(results.captions) == conditions
    assert conditions <= set(results.pair_claims) and set(results.costs) == conditions - {"both"}
    for name, costs in results.costs.items():
        assert list(costs) == [*FACT_KINDS, "mean", "pair_claims"]
        assert costs["mean"].value == pytest.approx(results.facts["both"].mean - results.facts[name].mean)
    assert list(results.needed) == list(FACT_KINDS)
    assert all(list(shares) == list(NEEDS) for shares in results.needed.values())


def test_our_model_is_scored_with_both_images_one_and_none(vlm_run, tmp_path):  # noqa: F811
    output = tmp_path / "need.json"
    options = ["--dataset", vlm_run["dataset"], "--pairs", "4", "--batch_size", "3", "--output", str(output)]
    results = main(["--model", vlm_run["output"], *options])
    check(results, 4)
    assert json.loads(output.read_text()) == json.loads(json.dumps(results.as_dict()))


def test_a_model_that_is_none_is_told_in_one_line(vlm_run, tmp_path):  # noqa: F811
    with pytest.raises(InputError, match="no folder"):
        main(["--model", str(tmp_path / "none"), "--dataset", vlm_run["dataset"]])


def test_deep_infrared_is_read_as_its_grey_levels(vlm_run, deep_dataset):  # noqa: F811
    arguments = ["--model", vlm_run["output"], "--pairs", "2", "--dataset"]
    deep, grey = (main([*arguments, dataset]) for dataset in (deep_dataset, vlm_run["dataset"]))
    assert deep.as_dict() == grey.as_dict()


def test_a_stock_class_that_takes_two_images_is_scored_alike(vlm_run, tmp_path):  # noqa: F811
    model = save_stock(tmp_path / "stock")
    check(main(["--model", model, "--dataset", vlm_run["dataset"], "--pairs", "2"]), 2)


def test_infrared_keeps_its_channel_for_our_processor_alone(vlm_run):  # noqa: F811
    rows = [{"rgb": tiny.rgb_image(index)} for index in range(2)]
    infrared = [tiny.ir_image(index) for index in range(2)]
    ours = conversations_of(rows, infrared, [1, 0], ("own", "donor"), tiny_vlm.vlm_processor(), "what")
    modes = [part["image"].mode for part in ours[0][0]["content"] if part["type"] == "image"]
    assert modes == ["RGB", "L"] and ours[0][0]["content"][1]["image"] == infrared[1]
    stock = conversations_of(rows, infrared, [1, 0], (None, "own"), object(), "what")
    assert [part["image"].mode for part in stock[0][0]["content"] if part["type"] == "image"] == ["RGB"]
