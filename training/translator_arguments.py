"""What a recipe of the learned translator may say; read without torch, for the help."""

from dataclasses import dataclass, field
from typing import Any

from dataset_builder.schema import IR_BANDS
from fusionrs_hf.bounded_json import parse_json_field
from fusionrs_hf.errors import shown
from training.run_arguments import KEEP_CHECKPOINTS, OVERWRITE

IR_ORIGINS = {"sensor": "sensor", "any": None}  # as options name them -> as columns do
STRETCH_KEYS = {"unit", "rgb", "ir"}


@dataclass
class TranslatorArguments:
    """What is trained on what; everything else is a field of `transformers.TrainingArguments`."""

    dataset: str = field(metadata={"help": "Hub id or folder of the dataset, with sensor infrared."})
    translator: str | None = field(
        default=None, metadata={"help": "Hub id or folder of a translator to start from; its bands and widths stay."}
    )
    ir_origin: str = field(default="sensor", metadata={"help": "Which infrared: sensor or any."})
    ir_range: dict | str | None = field(
        default=None,
        metadata={"help": "Limits of infrared above 8 bit, in its unit: [low, high], or a pair by ir_band (JSON)."},
    )
    bands: list[str] | None = field(
        default=None, metadata={"help": "ir_band values to learn; none: those of the start, or nir swir lwir."}
    )
    scenes: list[str] | None = field(
        default=None, metadata={"help": "Scenes that become conditions, by the name in source_locator, or dataset."}
    )
    unknown_bands: list[str] | None = field(
        default=None, metadata={"help": "Bands that may be asked for where nothing is known; none: all."}
    )
    stretches: dict | str | None = field(
        default=None,
        metadata={
            "help": 'By scene, values that became 0 and 255: {"unit", "rgb": 3 pairs, "ir": {band: pair}} (JSON).'
        },
    )
    reflectance_condition: str | None = field(
        default=None, metadata={"help": "Scene in whose stretch reflectance is shown; its unit is reflectance_1e4."}
    )
    channels: list[int] | None = field(
        default=None, metadata={"help": "Widths of the three scales (default 24 40 64)."}
    )
    tile_px: int = field(default=64, metadata={"help": "Side of what is trained on; larger tiles are cut at random."})
    train_tiles: int | None = field(
        default=None, metadata={"help": "Train on so many tiles only: a prefix of one shuffle, so that scales nest."}
    )
    unknown_ratio: float = field(default=0.35, metadata={"help": "Share of tiles shown as of unknown radiometry."})
    jitter: float = field(
        default=0.25, metadata={"help": "Of unknown tiles, how far each channel's ends move, share of the range."}
    )
    haze: float = field(default=0.2, metadata={"help": "Of unknown tiles, how much gray veil is laid over at most."})
    ema_decay: float = field(default=0.995, metadata={"help": "Of the averaged weights, which are those saved."})
    keep_checkpoints: bool = field(default=False, metadata=KEEP_CHECKPOINTS)
    overwrite: bool = field(default=False, metadata=OVERWRITE)

    def __post_init__(self) -> None:
        """Checks what no other place can."""
        for name in ("ir_range", "stretches"):
            if isinstance(getattr(self, name), str):
                setattr(self, name, parse_json_field(name, getattr(self, name)))
        if self.ir_origin not in IR_ORIGINS:
            raise ValueError(f"ir_origin must be one of {tuple(IR_ORIGINS)}, got {shown(self.ir_origin)}")
        for name in ("bands", "unknown_bands"):
            if wrong := sorted(set(getattr(self, name) or ()) - set(IR_BANDS)):
                raise ValueError(f"{name} must be of {IR_BANDS}, got {wrong}")
        if self.bands is not None and len(set(self.bands)) != len(self.bands):
            raise ValueError(f"bands must name each band once, got {self.bands}")
        if self.scenes is not None and len({"unknown", *self.scenes}) != len(self.scenes) + 1:
            raise ValueError(f"scenes must name each scene once, and none `unknown`, got {self.scenes}")
        for name in ("unknown_ratio", "jitter", "haze", "ema_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        if self.tile_px < 8:
            raise ValueError(f"tile_px must be 8 or more, got {self.tile_px}")
        if self.channels is not None and (len(self.channels) != 3 or min(self.channels) < 1):
            raise ValueError(f"channels must be three positive widths, got {self.channels}")
        self._check_stretches()

    def _check_stretches(self) -> None:
        for scene, stretch in (self.stretches or {}).items():
            if not isinstance(stretch, dict) or set(stretch) != STRETCH_KEYS:
                raise ValueError(f"stretches.{scene} must have the keys {sorted(STRETCH_KEYS)}, got {shown(stretch)}")
            pairs = [*stretch["rgb"], *stretch["ir"].values()]
            if len(stretch["rgb"]) != 3 or not all(_rises(pair) for pair in pairs):
                raise ValueError(
                    f"stretches.{scene} must hold pairs [low, high] with low < high, got {shown(stretch)}"
                )
        condition = self.reflectance_condition
        if condition is not None and (self.stretches or {}).get(condition, {}).get("unit") != "reflectance_1e4":
            raise ValueError(
                f"reflectance_condition {shown(condition)} needs an entry of stretches with unit reflectance_1e4; "
                f"add it"
            )


def _rises(pair: Any) -> bool:
    return isinstance(pair, list | tuple) and len(pair) == 2 and pair[0] < pair[1]
