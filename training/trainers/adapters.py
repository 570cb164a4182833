"""Low-rank adapters (LoRA, arXiv 2106.09685) on a model's towers: put in, merged when saved, resumed exactly."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from torch import Tensor, nn

from fusionrs_hf.errors import InputError
from fusionrs_hf.weights import load_tensors
from training.trainers.checkpoints import checkpoint_step
from training.trainers.contrastive import TOWERS, ContrastiveTrainer

STATE_NAME = "trained.safetensors"  # in a checkpoint: adapters and all else that is trained, as training holds it


def add_adapters(
    model: nn.Module, rank: int, alpha: int | None = None, dropout: float = 0.0, modules: Sequence[str] | None = None
) -> None:
    """Puts adapters beside the towers' linear layers, in place: `W x` becomes `W x + alpha / rank B A x`, B zero.

    What is frozen already gets none. In a tower nothing but the adapters is trained from here on; what is no tower
    (heads, scale, modality embedding, fusion) is trained as before.

    Args:
        model: Has towers named as `TOWERS`.
        rank: Rows of A.
        alpha: None: twice the rank.
        dropout: Of the adapters' input, in [0, 1).
        modules: Last names of the layers to adapt, such as `q_proj`; None: all.

    Raises:
        InputError: No layer is left to adapt, or a name is not among the layers'.
    """
    layers = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name.startswith(TOWERS) and module.weight.requires_grad
    ]
    last_names = {name.rpartition(".")[2] for name in layers}
    if not last_names:
        raise InputError("there is nothing to adapt: all towers are frozen; freeze fewer layers, or drop lora_rank")
    if unknown := sorted(set(modules or ()) - last_names):
        raise InputError(f"lora_modules must be of {sorted(last_names)}, the linear layers not frozen, got {unknown}")
    heads = [parameter for name, parameter in model.named_parameters() if not name.startswith(TOWERS)]
    trained = [parameter for parameter in heads if parameter.requires_grad]
    chosen = [name for name in layers if not modules or name.rpartition(".")[2] in modules]
    config = LoraConfig(r=rank, lora_alpha=alpha or 2 * rank, lora_dropout=dropout, target_modules=chosen)
    inject_adapter_in_model(config, model)
    for parameter in trained:
        parameter.requires_grad_(True)


def merged(state: Mapping[str, Tensor], scaling: float) -> dict[str, Tensor]:
    """Returns a state dict as the model without adapters has it: `W + scaling B A` in the place of each layer's three.

    Args:
        state: Of a model that `add_adapters` has changed.
        scaling: `alpha / rank`.
    """
    plain = {}
    for name, value in state.items():
        layer, adapted, _ = name.rpartition(".base_layer.weight")
        if adapted:
            down, up = (state[f"{layer}.lora_{side}.default.weight"] for side in "AB")
            value = value + scaling * up @ down
        if ".lora_" not in name:
            plain[name.replace(".base_layer.", ".")] = value
    return plain


class AdapterTrainer(ContrastiveTrainer):
    """Trains a model that `add_adapters` has changed.

    Every folder it writes loads by `from_pretrained`: the adapters are merged. A checkpoint holds besides what was
    trained, from which a run goes on exactly; what was not trained is as loaded at the start.

    Args:
        *args, **kwargs: Of `ContrastiveTrainer`.

    Raises:
        InputError: Parameters are sharded.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            raise InputError("lora_rank does not run with sharded parameters; use DDP, or lora_rank: 0 under FSDP")

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        core = self.accelerator.unwrap_model(self.model)
        state = state_dict or core.state_dict()
        scaling = next(module.scaling["default"] for module in core.modules() if isinstance(module, LoraLayer))
        super()._save(output_dir, state_dict=merged(state, scaling))
        if output_dir is not None and checkpoint_step(Path(output_dir).name) is not None:
            save_file({name: state[name].contiguous() for name in _changing(core)}, Path(output_dir) / STATE_NAME)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        core = self.accelerator.unwrap_model(self.model if model is None else model)
        path = Path(resume_from_checkpoint) / STATE_NAME
        adapters, wanted = load_tensors(path) if path.is_file() else {}, _changing(core)
        if adapters.keys() != wanted:
            raise InputError(
                f"{path} does not hold the adapters of this run: it has {len(adapters)} tensors, {len(wanted)} are "
                "trained; resume with the options that the checkpoint was written with, or use another output_dir"
            )
        core.load_state_dict(adapters, strict=False)


def _changing(model: nn.Module) -> set[str]:
    """Names of what training may change: trained parameters, and the buffers that a state dict holds."""
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    return trained | {name for name, _ in model.named_buffers()} & set(model.state_dict())
