"""How a dual-modal CLIP starts: towers built, weights taken from other models, text positions stretched.

Copied to the Hub as remote code: imports torch, transformers and siblings only.
"""

from typing import Self

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel

from .modeling_fusionrs_layers import keep_layers

KEPT_POSITIONS = 20  # Long-CLIP: how far CLIP's text tower reads with effect


class StartFromWeights:
    """How `FusionRSCLIPModel` starts from weights that there are; a mix-in, to stand before `PreTrainedModel`."""

    @classmethod
    def from_pretrained(cls, *args: object, **kwargs: object) -> Self:
        """As in transformers; besides, an infrared tower that the checkpoint lacks is an error, never left random.

        Raises:
            ValueError: The configuration has an infrared tower and the checkpoint has none.
        """
        wanted = kwargs.pop("output_loading_info", False)
        model, info = super().from_pretrained(*args, output_loading_info=True, **kwargs)
        if missing := [key for key in info["missing_keys"] if key.startswith("ir_vis")]:
            raise ValueError(
                f"the checkpoint lacks the infrared tower ({len(missing)} keys, such as {min(missing)}); start one "
                "from RGB's by FusionRSCLIPModel.from_clip(..., ir_channels=3)"
            )
        return (model, info) if wanted else model

    @classmethod
    def from_towers(
        cls, rgb: str, text: str, ir: str | None = None, vision_layers: int | None = None, **options: object
    ) -> Self:
        """Starts a model from pretrained towers; the projections are new.

        Args:
            rgb: Hub id or folder of the image tower.
            text: Hub id or folder of the text tower.
            ir: The same for an infrared tower of its own; None: RGB's tower reads both.
            vision_layers: Keep so many of the image towers' lowest layers; None: all.
            **options: Fields of `FusionRSCLIPConfig`.

        Raises:
            ValueError: An image tower has not so many layers.
        """
        towers = {"vision": AutoModel.from_pretrained(rgb), "text": AutoModel.from_pretrained(text)}
        if ir is not None:
            towers["ir_vision"] = AutoModel.from_pretrained(ir)
        if vision_layers is not None:
            for tower in (tower for name, tower in towers.items() if name != "text"):
                keep_layers(tower, range(vision_layers))
        configs = {f"{name}_config": tower.config.to_dict() for name, tower in towers.items()}
        model = cls(cls.config_class(**configs, **options))
        for name, tower in towers.items():
            getattr(model, f"{name}_model").load_state_dict(tower.state_dict())
        return model

    @classmethod
    def from_clip(cls, path: str, **options: object) -> Self:
        """Starts a model with other options from a checkpoint: `from_pretrained`, then `with_options`.

        Args:
            path: Hub id or folder of a CLIP or FusionRS-CLIP.
            **options: See `with_options`.
        """
        return cls.from_pretrained(path).with_options(**options)

    def with_options(
        self, ir_channels: int | None = None, text_positions: int | None = None, **options: object
    ) -> Self:
        """Returns a model of other options that starts with this one's weights; what is new starts without effect.

        Args:
            ir_channels: Give infrared a tower of its own, a copy of RGB's with the projection; 3, or 1: its stem's
                weights are summed over the channels, which changes nothing where the processor normalises infrared
                alike in all three. None: as it is.
            text_positions: Tokens that a text may have: the text tower's table is stretched (`stretched_positions`).
                The processor has a limit of its own to raise: `processor.tokenizer.model_max_length`. None: as it is.
            **options: Fields of `FusionRSCLIPConfig`.

        Raises:
            ValueError: `ir_channels` is neither 1 nor 3, there is an infrared tower already, or the text tower's
                positions cannot be stretched.
        """
        if ir_channels not in (None, 1, 3):
            raise ValueError(f"ir_channels must be 1 or 3, or None for a shared tower, got {ir_channels}")
        config, state = self.config.to_dict() | options, self.state_dict()
        if ir_channels is not None:
            if self.ir_vision_model is not None:
                raise ValueError("the model has an infrared tower already; leave ir_channels out")
            config["ir_vision_config"] = self.config.vision_config.to_dict() | {"num_channels": ir_channels}
            state |= {f"ir_{key}": value for key, value in state.items() if key.startswith("vis")}
        if text_positions is not None:
            key, table = stretched_positions(self.text_model, text_positions)
            state[f"text_model.{key}"] = table
            config["text_config"] = config["text_config"] | {"max_position_embeddings": len(table)}
        model = type(self)(self.config_class(**config))
        for key, target in model.state_dict().items():
            source = state.get(key)
            if source is not None and source.ndim == 4 and source.shape[1] == 3 and target.shape[1] == 1:
                state[key] = source.sum(1, keepdim=True)  # the stem, of a grey image replicated to three channels
        model.load_state_dict(state, strict=False)
        return model.to(self.device, self.dtype).train(self.training)


def build_tower(config: object, name: str) -> PreTrainedModel:
    """Returns a backbone of this configuration with new weights.

    Args:
        config: That `AutoModel.from_config` takes.
        name: Of the configuration, for the error.

    Raises:
        ValueError: `AutoModel` builds no backbone of it.
    """
    try:
        return AutoModel.from_config(config)
    except ValueError as error:
        kind = type(config).__name__
        raise ValueError(
            f"{name} of class {kind} is not a backbone that AutoModel.from_config builds: {error}"
        ) from error


def position_table(tower: nn.Module) -> tuple[str, nn.Embedding] | None:
    """Returns the name and module of a text tower's learned absolute positions; None where it has none."""
    for name, module in tower.named_modules():
        if isinstance(module, nn.Embedding) and name.endswith((".position_embedding", ".position_embeddings")):
            return name, module
    return None


def text_limit(tower: nn.Module) -> int | None:
    """Returns how many tokens a text may have; None where positions are no table (rotary, relative)."""
    named_table = position_table(tower)
    return None if named_table is None else named_table[1].num_embeddings - _reserved(named_table[1])


def stretched_positions(tower: nn.Module, positions: int) -> tuple[str, Tensor]:
    """Stretches a text tower's table of positions as Long-CLIP stretches CLIP's (arXiv 2403.15378).

    The first 20 positions stay as they are; the rest are interpolated linearly, and the last ones go on in a line. So
    a text of at most 20 tokens keeps its embedding where the tower reads no further; a longer one needs training.

    Args:
        tower: With learned absolute positions, as CLIP's, BERT's and RoBERTa's.
        positions: Tokens that a text may have; Long-CLIP takes 248 for CLIP's 77.

    Returns:
        The table's name in the tower's state dict, and the new table `(rows, hidden_size)`.

    Raises:
        ValueError: The tower has no such table, has no position beyond the kept ones, or has as many already.
    """
    named_table = position_table(tower)
    if named_table is None:
        raise ValueError(
            f"text_positions stretches a table of learned positions, but {type(tower).__name__} has none: only the "
            "tokenizer's model_max_length bounds its texts"
        )
    name, module = named_table
    old, kept = text_limit(tower), KEPT_POSITIONS
    if positions <= old or old < kept + 2:
        raise ValueError(
            f"text_positions must be more than the {old} that the text tower has, which must be at least {kept + 2}, "
            f"got {positions}; leave it out to keep the table"
        )
    table = module.weight.detach()
    source = torch.arange(positions, dtype=torch.float64)  # in positions of the old table
    source[kept:] = kept + (source[kept:] - kept) * (old - kept) / (positions - kept)
    low = source.long().clamp(max=old - 2)
    share = (source - low).to(table).unsqueeze(1)  # (positions, 1), above 1 where the last positions go on in a line
    low += _reserved(module)
    stretched = torch.lerp(table[low], table[low + 1], share)  # (positions, hidden_size)
    return f"{name}.weight", torch.cat([table[: _reserved(module)], stretched])


def _reserved(table: nn.Embedding) -> int:
    return 0 if table.padding_idx is None else table.padding_idx + 1  # RoBERTa counts from after the padding
