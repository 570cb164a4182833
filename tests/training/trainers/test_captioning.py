import torch
from torch.testing import assert_close
from trl import SFTConfig

from fusionrs_hf.prompts import PROMPT
from tests.made import tiny_vlm
from tests.training.made.captioned_rows import CAPTIONS, make_rows
from training.data.conversations import conversations
from training.trainers.captioning import CaptionTrainer


def test_loss_at_labelled_columns_equals_the_loss_over_all_positions(tmp_path):
    config = SFTConfig(
        tmp_path, bf16=False, use_cpu=True, report_to="none", max_length=None, remove_unused_columns=False
    )
    model, processor = tiny_vlm.vlm_model(), tiny_vlm.vlm_processor()
    examples = conversations(make_rows(4), PROMPT)
    trainer = CaptionTrainer(model=model, args=config, train_dataset=examples, processing_class=processor)
    batch = trainer.data_collator([examples[0], examples[2]])  # captions of two lengths
    with torch.no_grad():
        ours = trainer.compute_loss(model, dict(batch))
        scores = model(**{name: value for name, value in batch.items() if name != "labels"}).logits.log_softmax(-1)
    labels = batch["labels"][:, 1:]
    chosen = scores[:, :-1].gather(2, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    assert (labels != -100).sum() == sum(len(processor.tokenizer.tokenize(text)) + 1 for text in CAPTIONS)
    assert_close(ours, -chosen[labels != -100].mean())
