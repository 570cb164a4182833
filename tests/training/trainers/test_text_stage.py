import torch
from trl import SFTConfig

from tests.made import tiny_vlm
from tests.training.made.captioned_rows import make_rows
from training.data.conversations import LESSONS, Lessons
from training.data.fact_texts import VALUES
from training.trainers.text_stage import stage_arguments, train_on_texts


def config(folder, **options):
    return SFTConfig(
        folder, bf16=False, use_cpu=True, report_to="none", max_length=None, remove_unused_columns=False,
        per_device_train_batch_size=4, disable_tqdm=True, activation_checkpointing=False, **options,
    )  # fmt: skip


def test_a_stage_takes_its_own_steps_and_leaves_the_last_stages_arguments_alone(tmp_path):
    last = config(tmp_path, max_steps=9, warmup_steps=2, save_steps=3)
    stage = stage_arguments(last, max_steps=4, learning_rate=0.5)
    assert (stage.max_steps, stage.learning_rate, stage.save_strategy, stage.warmup_steps) == (4, 0.5, "no", 0)
    assert (last.max_steps, last.save_strategy, last.warmup_steps) == (9, "steps", 2)


def test_texts_are_learnt_by_the_layers_of_the_language_model_alone(tmp_path):
    model, processor = tiny_vlm.vlm_model(), tiny_vlm.vlm_processor()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    shares = {name: float(name == "captions") for name in LESSONS}
    counts = {kind: dict.fromkeys(values, 1) for kind, values in VALUES.items()}
    course = Lessons(shares, counts, processor, images=()).course(make_rows(4), 120)
    history = train_on_texts(
        model, processor, course, config(tmp_path, max_steps=30, learning_rate=0.02, logging_steps=10)
    )
    assert history[-1]["loss"] < 0.7 * history[0]["loss"]
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith("model.language_model.") for name in changed)
    assert not any("embed_tokens" in name for name in changed)
