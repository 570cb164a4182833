import torch
from torch.testing import assert_close
from transformers import TrainingArguments

from dataset_builder.claims.grounding import CELLS, FACT_KINDS
from tests.made import tiny_vlm
from training.data.fact_features import UNKNOWN, FactFeatures
from training.data.fact_texts import VALUES
from training.trainers.fact_reader import (
    FactReader,
    ProjectorTrainer,
    fact_accuracy,
    fact_prototypes,
    quieten,
    rearrange_cells,
)

BRIGHTEST, DARKEST = FACT_KINDS.index("brightest"), FACT_KINDS.index("darkest")


def readable(pairs, seed=0):
    """Pairs whose brightest and darkest cell stick out, and whose level is written all over the infrared."""
    generator = torch.Generator().manual_seed(seed)
    hidden = 0.1 * torch.randn(pairs, 2, 10, 16, generator=generator)
    values = []
    for index in range(pairs):
        bright, dark = torch.randperm(9, generator=generator)[:2].tolist()
        level = int(torch.randint(5, (1,), generator=generator))
        hidden[index, 1, 1 + bright, 0] += 3
        hidden[index, 1, 1 + dark, 1] += 3
        hidden[index, 1, :, 2 + level] += 2
        values.append(
            {
                "level": VALUES["level"][level],
                "contrast": "low",
                "brightest": CELLS[bright],
                "darkest": CELLS[dark],
                "relation": None,
            }
        )
    return FactFeatures(hidden, values)


def reader_of(model, rearranged=0.0, images=("rgb", "ir")):
    prototypes = fact_prototypes(model.lm_head.weight, tiny_vlm.tokenizer(), 0)
    return FactReader(model.model, prototypes, rearranged, images)


def test_prototypes_are_fixed_unit_vectors_and_of_words_where_these_say_the_value():
    words = torch.randn(len(tiny_vlm.tokenizer()), 16)
    first, again = (fact_prototypes(words, tiny_vlm.tokenizer(), 3) for _ in range(2))
    for kind, values in VALUES.items():
        assert_close(first[kind].norm(dim=1), torch.ones(len(values)))
        assert torch.equal(first[kind], again[kind])
    other = fact_prototypes(words, tiny_vlm.tokenizer(), 4)
    assert torch.equal(first["level"], other["level"]) and not torch.equal(first["contrast"], other["contrast"])


def test_scores_compare_the_mean_token_with_the_prototypes():
    model = tiny_vlm.vlm_model(projector_scale=0.2)
    reader, hidden = reader_of(model), torch.randn(3, 2, 10, 16)
    rgb, ir = (
        torch.stack(
            [model.model.project_hidden(pair[place : place + 1], torch.tensor([place == 1]))[0] for pair in hidden]
        )
        for place in (0, 1)
    )
    projectors = model.model.multi_modal_projector
    rgb, ir = (
        tokens.mean(1) / 0.2 - projector.position.mean(0)
        for tokens, projector in ((rgb, projectors.rgb), (ir, projectors.ir))
    )
    scores = reader.scores(hidden)
    assert_close(scores["level"], 0.5 * ir @ reader.level.T)
    assert_close(scores["relation"], 0.5 * (rgb + ir) @ reader.relation.T)


def test_one_image_alone_is_read_alone_and_its_projector_alone_is_trained(tmp_path):
    model, features = tiny_vlm.vlm_model(), readable(8)
    before = {name: value.clone() for name, value in model.named_parameters()}
    reader = reader_of(model, images=("rgb",))
    other = features.hidden.clone()
    other[:, 1] += 1
    first, second = (reader.scores(hidden) for hidden in (features.hidden, other))
    assert all(torch.equal(first[kind], second[kind]) for kind in FACT_KINDS)
    training = TrainingArguments(tmp_path, max_steps=2, use_cpu=True, report_to="none", disable_tqdm=True)
    ProjectorTrainer(reader, training, train_dataset=features).train()
    changed = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert changed and all("multi_modal_projector.rgb." in name for name in changed)


def test_rearranged_cells_keep_their_names():
    torch.manual_seed(0)
    features = readable(40)
    hidden, targets = features.hidden, torch.stack([features[index]["targets"] for index in range(40)])
    moved, renamed = rearrange_cells(hidden, targets, 0.5)
    changed = (moved != hidden).flatten(1).any(1)
    assert 5 < changed.sum() < 35
    rows = torch.arange(40)
    for column, channel in ((BRIGHTEST, 0), (DARKEST, 1)):
        assert (moved[rows, 1, 1 + renamed[:, column], channel] > 2).all()
    assert torch.equal(moved[:, :, 0], hidden[:, :, 0])  # the class token stays
    assert torch.equal(moved.sort(2).values, hidden.sort(2).values)
    assert (renamed[:, FACT_KINDS.index("relation")] == UNKNOWN).all()


def test_rgb_and_infrared_are_rearranged_alike():
    hidden = torch.arange(9.0).repeat(4, 2, 1)
    hidden = torch.cat([torch.full((4, 2, 1), -1.0), hidden], dim=2)[..., None]
    moved, _ = rearrange_cells(hidden, torch.full((4, 5), UNKNOWN), 1.0)
    assert torch.equal(moved[:, 0], moved[:, 1])


def test_no_cells_are_rearranged_where_tokens_are_not_the_cells_of_facts():
    assert reader_of(tiny_vlm.vlm_model(grid_size=2), 0.8).rearranged == 0
    assert reader_of(tiny_vlm.vlm_model(pooling="patches"), 0.8).rearranged == 0
    assert reader_of(tiny_vlm.vlm_model(), 0.8).rearranged == 0.8


def test_projectors_learn_to_tell_facts_of_pairs_they_have_not_seen_and_nothing_else_changes(tmp_path):
    model = tiny_vlm.vlm_model()
    quieten(model.model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    reader = reader_of(model, 0.8)
    arguments = TrainingArguments(
        tmp_path, max_steps=150, per_device_train_batch_size=64, learning_rate=1e-2, use_cpu=True, report_to="none",
        save_strategy="no", disable_tqdm=True, remove_unused_columns=False,
    )  # fmt: skip
    ProjectorTrainer(reader, arguments, train_dataset=readable(400)).train()
    scores = fact_accuracy(reader, readable(100, seed=1))
    assert scores["level"] > 0.7 and scores["brightest"] > 0.5 and scores["darkest"] > 0.5  # chance: 0.2, 0.11, 0.11
    assert scores["relation"] == 0  # was not measured
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all("multi_modal_projector" in name for name in changed)
