import pytest
import torch
from torch import nn
from transformers import TrainingArguments

from fusionrs_hf.errors import InputError
from training.trainers.refusing import RefusingTrainer


class Line(nn.Module):
    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return {"loss": (self.slope * x).square().mean()}


def trainer(tmp_path, **options):
    fixed = {"max_steps": 2, "report_to": "none", "use_cpu": True, "save_strategy": "no", "disable_tqdm": True}
    arguments = TrainingArguments(output_dir=str(tmp_path), **{**fixed, **options})
    return RefusingTrainer(model=Line(), args=arguments, train_dataset=[{"x": torch.ones(1)}] * 4)


@pytest.mark.parametrize("options", [{"report_to": "nobody"}, {"torch_compile_backend": "none such"}])
def test_what_the_trainer_does_not_take_is_a_refused_recipe(tmp_path, options):
    with pytest.raises(InputError, match="the recipe is refused"):
        trainer(tmp_path, **options)


@pytest.mark.parametrize("options", [{"optim_args": "x"}, {"optim_args": "betas"}])
def test_what_the_optimizer_does_not_take_is_a_refused_recipe(tmp_path, options):
    with pytest.raises(InputError, match="the recipe is refused"):
        trainer(tmp_path, **options).train()


def test_a_training_that_diverges_ends_in_a_line(tmp_path):
    trainer(tmp_path).train()
    with pytest.raises(InputError, match="diverged: 'slope' holds NaN or infinity after 2 steps"):
        trainer(tmp_path, learning_rate=float("inf")).train()
