import torch
from torch.testing import assert_close
from trl import SFTConfig

from tests.made import tiny_vlm
from tests.training.made.captioned_rows import CAPTIONS, make_rows
from training.data.conversations import LESSONS, Lessons
from training.data.fact_texts import VALUES
from training.trainers.captioning import PROJECTOR, CaptionTrainer, word_tokens, word_weights

WORDS = ("high", "very bright")


def trainer_of(folder, model, processor, **options):
    config = SFTConfig(
        folder, bf16=False, use_cpu=True, report_to="none", max_length=None, remove_unused_columns=False
    )
    shares = {name: float(name == "captions") for name in LESSONS}
    lessons = Lessons(shares, {kind: dict.fromkeys(values, 1) for kind, values in VALUES.items()}, processor)
    rows = make_rows(4)
    examples = [lessons(row, 0) for row in rows]
    course = lessons.course(rows, 4)
    trainer = CaptionTrainer(model=model, args=config, train_dataset=course, processing_class=processor, **options)
    return trainer, trainer.data_collator([examples[0], examples[2]])  # captions of two lengths


def costs(model, batch):
    """Cost of each label by the slow way: all logits; and the labels."""
    with torch.no_grad():
        scores = model(**{name: value for name, value in batch.items() if name != "labels"}).logits.log_softmax(-1)
    labels = batch["labels"][:, 1:]
    return -scores[:, :-1].gather(2, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1), labels


def test_loss_at_labelled_columns_equals_the_loss_over_all_positions(tmp_path):
    model, processor = tiny_vlm.vlm_model(), tiny_vlm.vlm_processor()
    trainer, batch = trainer_of(tmp_path, model, processor)
    with torch.no_grad():
        ours = trainer.compute_loss(model, dict(batch))
    chosen, labels = costs(model, batch)
    assert (labels != -100).sum() == sum(len(processor.tokenizer.tokenize(text)) + 1 for text in CAPTIONS)
    assert_close(ours, chosen[labels != -100].mean())


def test_weighted_words_count_as_often_as_they_weigh(tmp_path):
    model, processor = tiny_vlm.vlm_model(), tiny_vlm.vlm_processor()
    trainer, batch = trainer_of(tmp_path, model, processor, weighted_words=["high"], word_weight=3.0)
    chosen, labels = costs(model, batch)
    high = labels == processor.tokenizer.convert_tokens_to_ids("high")
    assert high.sum() == 1
    expected = (chosen[labels != -100].sum() + 2 * chosen[high].sum()) / ((labels != -100).sum() + 2)
    with torch.no_grad():
        assert_close(trainer.compute_loss(model, dict(batch)), expected)


def test_weights_cover_whole_words_in_both_spellings_and_nothing_that_is_no_label():
    labels = torch.tensor([[-100, 7, 8, 9, 7, 9, 8], [8, -100, 7, 8, 1, 2, 8]])
    weights = word_weights(labels, [[7, 8], [9]], 4.0)
    assert weights.tolist() == [[0, 4, 4, 4, 1, 4, 1], [1, 0, 4, 4, 1, 1, 1]]
    assert word_weights(labels, [list(range(20))], 4.0).max() == 1  # longer than any caption
    tokens = word_tokens(tiny_vlm.tokenizer(), WORDS)
    assert tokens[0] == tokens[1] and len(tokens[2]) == 2  # a word-level tokenizer knows no leading space


def test_a_learning_rate_of_zero_freezes_the_projectors(tmp_path):
    model, processor = tiny_vlm.vlm_model(), tiny_vlm.vlm_processor()
    trainer, _ = trainer_of(tmp_path, model, processor, projector_learning_rate=0)
    trainable = {name for name, value in trainer.model.named_parameters() if value.requires_grad}
    assert trainable and not any(PROJECTOR in name for name in trainable)
    grouped = {id(value) for group in trainer.create_optimizer().param_groups for value in group["params"]}
    assert grouped == {id(value) for value in trainer.model.parameters() if value.requires_grad}


def test_projectors_learn_at_their_own_rate(tmp_path):
    model, processor = tiny_vlm.vlm_model(), tiny_vlm.vlm_processor()
    trainer, _ = trainer_of(tmp_path, model, processor, projector_learning_rate=0.5)
    rates = {id(value): group["lr"] for group in trainer.create_optimizer().param_groups for value in group["params"]}
    for name, value in trainer.model.named_parameters():
        assert rates[id(value)] == (0.5 if PROJECTOR in name else trainer.args.learning_rate)
