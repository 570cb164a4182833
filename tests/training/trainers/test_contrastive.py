"""The trainer itself, on tensors: attention, batches without a modality, parts of a batch, weight decay."""

import copy
from functools import partial

import pytest
import torch
from transformers import TrainingArguments

import fusionrs_hf.auto  # noqa: F401
from tests.made import tiny
from training.trainers.contrastive import ContrastiveTrainer


def make_trainer(model, folder, **options):
    named = {name: options.pop(name) for name in ("encode_rows",) if name in options}
    options = {"use_cpu": True, "report_to": "none", "label_names": [], "remove_unused_columns": False} | options
    return ContrastiveTrainer(model=model, args=TrainingArguments(str(folder), **options), **named)


def batch(rows=6, infrared=True):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, rows, 3, tiny.IMAGE_PX, tiny.IMAGE_PX, generator=generator)
    ids = torch.randint(4, 12, (rows, 5), generator=generator)
    ids[:, -1] = tiny.EOS_ID
    found = {"pixel_values": images[0], "input_ids": ids, "attention_mask": torch.ones_like(ids)}
    found |= {"image_ids": torch.arange(rows), "caption_ids": torch.arange(rows)}
    return found | ({"ir_pixel_values": images[1]} if infrared else {})


def record(seen, encode, **given):
    seen.append(sorted(given))
    return encode(**given)


@pytest.mark.parametrize(("bf16", "expected"), [(True, "eager"), (False, "sdpa")])
def test_attention_is_eager_in_bf16_on_a_cpu_and_else_as_it_was(tmp_path, bf16, expected):
    model = tiny.clip_model()
    make_trainer(model, tmp_path, bf16=bf16)
    for part in (model, model.vision_model, model.text_model):
        assert part.config._attn_implementation == expected


def test_a_batch_without_infrared_has_the_loss_of_its_one_pair(tmp_path):
    model, given = tiny.clip_model(), batch(infrared=False)
    found = make_trainer(model, tmp_path).compute_loss(model, given)
    images, texts = (
        torch.nn.functional.normalize(features, dim=-1)
        for features in (
            model.get_rgb_features(given["pixel_values"]),
            model.get_text_features(given["input_ids"], given["attention_mask"]),
        )
    )
    logits = model.logit_scale.exp() * images @ texts.T  # (rows, rows)
    by_hand = -(logits.log_softmax(0).diagonal() + logits.log_softmax(1).diagonal()).mean() / 2
    torch.testing.assert_close(found, by_hand)


def test_parts_hold_one_modality_of_encode_rows_at_a_time_and_their_gradient_is_the_whole_batchs(
    tmp_path, monkeypatch
):
    gradients, seen = [], []
    for rows in (0, 4):
        model = copy.deepcopy(tiny.clip_model()).train()
        trainer = make_trainer(model, tmp_path, encode_rows=rows)
        monkeypatch.setattr(model, "forward", partial(record, seen, model.forward))
        trainer.compute_loss(model, batch()).backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    texts = ["attention_mask", "input_ids"]
    whole, first = sorted([*texts, "pixel_values", "ir_pixel_values"]), [["pixel_values"], ["ir_pixel_values"], texts]
    assert seen[0] == whole
    assert seen[1:7] == [names for names in first for _ in range(2)]  # 6 rows as 4 and 2; then the backward pass
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-6)


def test_weight_decay_spares_what_it_should_unless_told_otherwise():
    model = tiny.clip_model(modality_embedding=True)
    spared = {}
    for decay_all in (False, True):
        arguments = TrainingArguments(weight_decay=0.1, report_to="none", use_cpu=True)
        trainer = ContrastiveTrainer(model=model, args=arguments, decay_all=decay_all)
        groups = trainer.create_optimizer().param_groups
        none = {id(parameter) for group in groups if group["weight_decay"] == 0 for parameter in group["params"]}
        spared[decay_all] = {name for name, parameter in model.named_parameters() if id(parameter) in none}
    assert spared[True] == set()
    assert {"logit_scale", "modality_embedding", "text_model.final_layer_norm.weight"} <= spared[False]
    assert not any(name.endswith(("q_proj.weight", "projection.weight")) for name in spared[False])
