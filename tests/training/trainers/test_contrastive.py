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


def by_hand(model, images, texts):
    """The loss of one pair of modalities whose rows are places of their own."""
    images, texts = (torch.nn.functional.normalize(rows, dim=-1) for rows in (images, texts))
    logits = model.logit_scale.exp() * images @ texts.T
    return -(logits.log_softmax(0).diagonal() + logits.log_softmax(1).diagonal()).mean() / 2


def test_each_of_a_rows_texts_meets_the_same_of_the_others_and_the_losses_are_averaged(tmp_path):
    model, given = tiny.clip_model(), batch(rows=4, infrared=False)
    texts = batch(rows=8)  # two a row, next to each other
    given |= {name: texts[name] for name in ("input_ids", "attention_mask", "caption_ids")}
    found = make_trainer(model, tmp_path).compute_loss(model, given)
    images = model.get_rgb_features(given["pixel_values"])
    embeds = model.get_text_features(given["input_ids"], given["attention_mask"])
    expected = (by_hand(model, images, embeds[0::2]) + by_hand(model, images, embeds[1::2])) / 2
    torch.testing.assert_close(found, expected)


def test_rows_that_share_a_second_caption_are_no_negatives_of_each_other_in_it_alone(tmp_path):
    model, given = tiny.clip_model(), batch(rows=4, infrared=False)
    texts = batch(rows=8)
    given |= {name: texts[name] for name in ("input_ids", "attention_mask", "caption_ids")}
    apart = make_trainer(model, tmp_path).compute_loss(model, given)
    first, second = ({**given, "caption_ids": given["caption_ids"].clone()} for _ in range(2))
    first["caption_ids"][2], second["caption_ids"][3] = 0, 1  # the second row's first and second text are the first's
    losses = [make_trainer(model, tmp_path).compute_loss(model, shared) for shared in (first, second)]
    assert len({round(float(loss.detach()), 6) for loss in (apart, *losses)}) == 3


def test_towers_learn_at_their_rate_and_what_is_no_tower_at_the_heads(tmp_path):
    model = tiny.clip_model(modality_embedding=True)
    arguments = TrainingArguments(str(tmp_path), learning_rate=1e-4, report_to="none", use_cpu=True)
    heads = {"head_learning_rate": 3e-2, "text_head_learning_rate": 0.2}
    trainer = ContrastiveTrainer(model=model, args=arguments, **heads)
    rates = {id(part): group["lr"] for group in trainer.create_optimizer().param_groups for part in group["params"]}
    found = {name: rates[id(parameter)] for name, parameter in model.named_parameters()}
    towers = {name for name in found if name.startswith(("vision_model.", "text_model."))}
    assert {found[name] for name in towers} == {1e-4}
    assert found.pop("text_projection.weight") == 0.2
    assert {found[name] for name in set(found) - towers} == {3e-2}
    assert {"logit_scale", "modality_embedding", "visual_projection.weight"} <= set(found) - towers


def test_modality_dropout_leaves_every_row_one_modality_at_its_chance_anew_at_each_step(tmp_path):
    trainer = make_trainer(tiny.clip_model(), tmp_path, seed=3)
    trainer.modality_dropout = 0.3
    rows, drawn = torch.zeros(4000, 8), []
    for step in (0, 1, 1):
        trainer.state.global_step = step
        drawn.append(trainer._present(rows, training=True))
    present = drawn[0]
    assert present.shape == (4000, 2) and present.any(dim=1).all()
    missing = (~present).float().mean(dim=0)
    torch.testing.assert_close(missing, torch.tensor([0.15, 0.15]), atol=0.02, rtol=0)
    assert torch.equal(drawn[1], drawn[2]) and not torch.equal(drawn[0], drawn[1])
    trainer.args.seed = 4
    assert not torch.equal(trainer._present(rows, training=True), drawn[1])
    assert trainer._present(rows, training=False) is None
    trainer.modality_dropout = 0.0
    assert trainer._present(rows, training=True) is None


def test_accumulated_steps_average_their_gradients(tmp_path):
    """Two alike batches, accumulated, move the weights as one of them does: SGD keeps the gradient's size."""
    moved = []
    for accumulated in (1, 2):
        torch.manual_seed(0)
        model = tiny.clip_model()
        start = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        options = {"gradient_accumulation_steps": accumulated, "max_steps": 1, "per_device_train_batch_size": 4}
        options |= {"optim": "sgd", "learning_rate": 0.5, "lr_scheduler_type": "constant", "max_grad_norm": 0.0}
        trainer = make_trainer(model, tmp_path / str(accumulated), save_strategy="no", disable_tqdm=True, **options)
        given = batch(rows=4)
        trainer.train_dataset = [{"row": row} for row in range(4 * accumulated)]
        trainer.data_collator = lambda rows, given=given: given
        trainer.train()
        moved.append({name: parameter.detach() - start[name] for name, parameter in model.named_parameters()})
    assert max(change.abs().max() for change in moved[0].values()) > 1e-3
    torch.testing.assert_close(moved[1], moved[0], rtol=1e-4, atol=1e-6)
