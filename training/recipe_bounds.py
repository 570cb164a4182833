"""Least and most of the numbers in recipes of training, by field; of whichever class, its own or the libraries'.

What is not here may be any finite number: the libraries judge it, or it has a meaning at any value.
"""

import math
from typing import Any

from fusionrs_hf.errors import InputError, shown

COUNTS = (  # at least 1
    *("train_rows", "train_tiles", "vision_layers", "projection_dim", "text_positions", "ir_channels", "grid_size"),
    *("projector_batch_size", "sample_rows", "shuffle_buffer", "lora_alpha", "per_device_train_batch_size"),
    *("per_device_eval_batch_size", "gradient_accumulation_steps", "eval_accumulation_steps", "save_total_limit"),
    *("dataset_num_proc", "max_length", "pad_to_multiple_of", "ddp_bucket_cap_mb", "ddp_timeout"),
)
NOT_NEGATIVE = (
    *("learning_rate", "head_learning_rate", "text_learning_rate", "projector_stage_learning_rate", "weight_decay"),
    *("projector_learning_rate", "adam_epsilon", "max_grad_norm", "warmup_steps", "num_train_epochs", "logging_steps"),
    *("save_steps", "eval_steps", "eval_delay", "rgb_text_weight", "ir_text_weight", "rgb_ir_weight"),
    *("fused_text_weight", "facts_share", "questions_share", "captions_share", "joint_share", "place_weight"),
    *("dataloader_num_workers", "neftune_noise_alpha", "router_aux_loss_coef"),
)
SHARES = ("fusion_weight", "label_smoothing_factor", "adam_beta1", "adam_beta2")
MOST = 2**31 - 1  # what the libraries take for a count
LIMITS = {
    **dict.fromkeys(COUNTS, (1, MOST)),
    **dict.fromkeys(NOT_NEGATIVE, (0, MOST)),
    **dict.fromkeys(SHARES, (0, 1)),
    "max_steps": (-1, MOST),
    "seed": (0, 2**32 - 1),
    "data_seed": (0, 2**32 - 1),
    "lora_rank": (0, 65_536),
    "max_logit_scale": (1, MOST),
    "logit_scale_init_value": (-10, 10),
    "logit_bias_init_value": (-1_000, 1_000),
}


def check_number(name: str, value: Any) -> None:
    """Refuses a number that is not finite or beyond its field's limits; what is no number passes.

    Raises:
        InputError: It is.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    low, high = LIMITS.get(name, (-math.inf, math.inf))
    if not math.isfinite(value):
        raise InputError(f"the recipe is refused: {name} must be a finite number, got {value}")
    if not low <= value <= high:
        raise InputError(f"the recipe is refused: {name} must lie between {low} and {high}, got {shown(value)}")
