"""The second stage of the VLM: its projectors alone learn to tell measured facts, and are kept as a file."""

from pathlib import Path

from safetensors.torch import save_file
from transformers import PreTrainedTokenizerBase, TrainingArguments

from fusionrs_hf.modeling_fusionrs_vlm import FusionRSVLMForConditionalGeneration
from fusionrs_hf.weights import load_tensors, loading
from training.data.fact_features import FactFeatures
from training.trainers.fact_reader import FactReader, ProjectorTrainer, fact_accuracy, fact_prototypes, quieten
from training.trainers.text_stage import stage_arguments
from training.vlm_arguments import VlmArguments

WEIGHTS = "projector.safetensors"
WEIGHT_DECAY = 0.01


def train_projectors(
    model: FusionRSVLMForConditionalGeneration,
    tokenizer: PreTrainedTokenizerBase,
    features: FactFeatures,
    validation: FactFeatures | None,
    arguments: VlmArguments,
    training: TrainingArguments,
) -> dict[str, object]:
    """Trains the projectors in place; returns the Trainer's log, and the accuracy by kind of fact on the rows given.

    Args:
        model: Its standardisation is set.
        tokenizer: Of the language model, whose words are prototypes.
        features: Training rows.
        validation: Held-out rows; None: not scored.
        arguments, training: The recipe.
    """
    quieten(model.model)
    prototypes = fact_prototypes(model.get_input_embeddings().weight, tokenizer, training.seed)
    reader = FactReader(model.model, prototypes, arguments.rearranged, arguments.shown).to(training.device)
    stage = stage_arguments(
        training,
        max_steps=arguments.projector_steps,
        per_device_train_batch_size=max(1, arguments.projector_batch_size // training.world_size),
        learning_rate=arguments.projector_stage_learning_rate,
        weight_decay=WEIGHT_DECAY,
        train_sampling_strategy="random",
    )
    trainer = ProjectorTrainer(reader, stage, train_dataset=features)
    trainer.train()
    told: dict[str, object] = {"history": [entry for entry in trainer.state.log_history if "loss" in entry]}
    for name, part in (("training", features), ("validation", validation)):
        if part is not None:
            told[f"{name}_accuracy"] = fact_accuracy(reader, part)
    return told


def save_projectors(model: FusionRSVLMForConditionalGeneration, folder: Path) -> None:
    """Writes the projectors into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = model.model.multi_modal_projector.state_dict()
    save_file({name: value.detach().cpu().contiguous() for name, value in weights.items()}, folder / WEIGHTS)


def load_projectors(model: FusionRSVLMForConditionalGeneration, folder: Path) -> None:
    """Takes the projectors from a folder that `save_projectors` wrote, where there is one."""
    path = folder / WEIGHTS
    if path.is_file():
        with loading(path, "this model's projectors", "add --overwrite to start anew"):
            model.model.multi_modal_projector.load_state_dict(load_tensors(path))
