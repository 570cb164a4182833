"""Averaged weights: an exponential mean over the steps of a training, kept in its checkpoints, resumed with them."""

from pathlib import Path
from typing import Any

from diffusers.training_utils import EMAModel
from safetensors.torch import save_file
from torch import nn
from transformers import TrainerCallback

from fusionrs_hf.errors import InputError
from fusionrs_hf.weights import load_tensors
from training.trainers.refusing import RefusingTrainer

FILE, STEP = "averaged.safetensors", "step"


class AverageSteps(TrainerCallback):
    """Takes the weights into the mean after each optimiser step."""

    def __init__(self, average: EMAModel) -> None:
        self.average = average

    def on_step_end(self, args: object, state: object, control: object, model: nn.Module, **kwargs: object) -> None:
        """Takes the new weights in."""
        self.average.step(model.parameters())


class AveragingTrainer(RefusingTrainer):
    """A Trainer that follows its weights by their exponential mean.

    Args:
        decay: Weight of the past at each step, less in the first ones.
        checkpoint: Folder of a checkpoint whose mean is gone on with; None: the mean begins with the weights.
        **options: As `transformers.Trainer`.
    """

    def __init__(self, decay: float, checkpoint: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.average = EMAModel(list(self.model.parameters()), decay=decay, use_ema_warmup=True, power=0.75)
        if checkpoint is not None:
            self._go_on(Path(checkpoint) / FILE)
        self.add_callback(AverageSteps(self.average))

    def _go_on(self, file: Path) -> None:
        saved, means = load_tensors(file, counts=(STEP,)), self.average.shadow_params
        shapes = {str(index): mean.shape for index, mean in enumerate(means)} | {STEP: (1,)}
        if shapes != {name: value.shape for name, value in saved.items()}:
            raise InputError(f"{file} does not hold the averaged weights of this run; use another output_dir")
        self.average.optimization_step = int(saved[STEP])
        self.average.shadow_params = [saved[str(index)] for index in range(len(means))]

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        state = state_dict or self.accelerator.unwrap_model(self.model).state_dict()
        super()._save(output_dir, {name: value.contiguous() for name, value in state.items()})
        values = {str(index): value.contiguous() for index, value in enumerate(self.average.shadow_params)}
        step = self.average.shadow_params[0].new_tensor([self.average.optimization_step]).long()
        save_file(values | {STEP: step}, Path(output_dir or self.args.output_dir) / FILE)

    def apply_average(self) -> None:
        """Puts the mean in the place of the weights."""
        self.average.copy_to(self.model.parameters())
