"""Runs `training.train_clip` with FSDP in CPU processes, and writes what each of them holds.

    accelerate launch --config_file training/accelerate_configs/fsdp.yaml -m tests.training.made.fsdp_on_cpu ...

`fully_shard` runs on a CPU, with gloo, but accelerate would not call it there: it is told that these are accelerators.
`rank_<n>.json` in the output folder counts the elements of the model and of the process's share.
"""

import json
from pathlib import Path

from accelerate.state import PartialState
from accelerate.utils import DistributedType

from training import train_clip
from training.trainers.contrastive import ContrastiveTrainer

start = PartialState.__init__


def start_as_accelerator(state: PartialState, *args: object, **options: object) -> None:
    start(state, *args, **options)
    if state.distributed_type == DistributedType.MULTI_CPU:
        state.distributed_type = DistributedType.MULTI_XPU


class CountingTrainer(ContrastiveTrainer):
    def save_model(self, output_dir=None, _internal_call=False):
        super().save_model(output_dir, _internal_call)
        parameters = list(self.model.parameters())
        held = [getattr(parameter, "_local_tensor", parameter) for parameter in parameters]
        counts = {"all": sum(whole.numel() for whole in parameters), "held": sum(part.numel() for part in held)}
        (Path(self.args.output_dir) / f"rank_{self.args.process_index}.json").write_text(json.dumps(counts))


if __name__ == "__main__":
    PartialState.__init__ = start_as_accelerator
    train_clip.ContrastiveTrainer = CountingTrainer
    train_clip.main()
