"""Writes a model folder's README.md from the files that its runs left there: log, metrics, configuration."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fusionrs_hf.bounded_json import read_object
from fusionrs_hf.configuration_fusionrs_clip import FusionRSCLIPConfig
from model_cards.clip import ClipFacts, render_clip_card
from model_cards.facts import BaseModel
from model_cards.vlm import VlmFacts, render_vlm_card
from training.release.result_rows import fact_scores, mean_recall_cells, retrieval_rows
from training.scoring.clip_results import ClipResults, FusionChoice, TrainedControls
from training.scoring.results import METRICS_NAME
from training.scoring.vlm_results import VlmResults
from training.trainers.run_log import read_run_log

LARGE = 10**6  # a tokenizer's limit beyond this means none
TERMS = {"rgb_text": "RGB-text", "ir_text": "infrared-text", "rgb_ir": "RGB-infrared", "fused_text": "fused-text"}


def write_clip_card(
    folder: Path, trained_controls: TrainedControls | None = None, model_id: str | None = None
) -> None:
    """Writes the card of a dual-modal CLIP.

    Args:
        folder: Of the trained model; results come from its `metrics.json` where there is one.
        trained_controls: Of the controls that this run did not train, if any.
        model_id: How snippets load it; default: the folder.
    """
    config = FusionRSCLIPConfig.from_pretrained(folder).to_dict()
    results, common = ClipResults.load(folder / METRICS_NAME), _common(folder)
    facts = ClipFacts(
        model_id=model_id or str(folder),
        **common,
        projection_dim=config["projection_dim"],
        image_size=config["vision_config"]["image_size"],
        vision_pooling=config["vision_pooling"],
        text_pooling=config["text_pooling"],
        image_tower=_tower(config["vision_config"]),
        text_tower=_tower(config["text_config"]),
        text_tokens=_text_tokens(folder),
        infrared_tower=_infrared_tower(config),
        fusion=_fusion(config, common["recipe"]),
        contrastive_loss=config["contrastive_loss"],
        weights={name: config[f"{key}_weight"] for key, name in TERMS.items() if config[f"{key}_weight"]},
        group_aware=common["recipe"].get("group_aware", True),
        retrieval=retrieval_rows(results, trained_controls),
        mean_recall=mean_recall_cells(results),
        scored_fusion=_scored_fusion(config, results.fusion) if results and results.fusion else "",
        control_source="(a) is of this run; (b) and (c) are means over the seeds of the committed bench result.",
    )
    render_clip_card(facts).save(folder / "README.md")


def _tower(config: Mapping[str, Any]) -> str:
    kind = f"`{config['model_type']}`"
    if "num_hidden_layers" not in config or "hidden_size" not in config:
        return kind
    return f"{kind}, {config['num_hidden_layers']} layers of {config['hidden_size']}"


def _text_tokens(folder: Path) -> int | None:
    limit = read_object(folder / "tokenizer_config.json", "save the model again").get("model_max_length", LARGE)
    return limit if limit < LARGE else None


def _fusion(config: Mapping[str, Any], recipe: Mapping[str, Any]) -> str:
    weight, dropout = config["fusion_weight"], recipe.get("modality_dropout")
    how = "a learned gate" if config["fusion"] == "gated" else f"the mean, infrared by {weight}"
    return how + (f", trained with one modality left out in {100 * dropout:g} % of the rows" if dropout else "")


def _scored_fusion(config: Mapping[str, Any], choice: FusionChoice) -> str:
    if choice.weight is None:
        return "what the model's gate makes of both" if config["fusion"] == "gated" else "the model's own mean of both"
    how = "chosen on the validation split" if choice.chosen_on == "validation" else "as given"
    return f"the mean of both embeddings, infrared by {choice.weight}, {how}"


def _infrared_tower(config: dict) -> str:
    if config.get("ir_vision_config"):
        channels = config["ir_vision_config"].get("num_channels", 3)
        return f"its own, {channels} channel{'s' if channels > 1 else ''}"
    return "shared with a learned infrared tile" if config["modality_embedding"] else "shared"


def write_vlm_card(folder: Path, model_id: str | None = None) -> None:
    """Writes the cards of a two-image VLM, of its adapter and of the adapter's base; arguments as for the CLIP."""
    config = read_object(folder / "config.json", "save the model again")
    processor = read_object(folder / "processor_config.json", "save the model again")
    results, log = VlmResults.load(folder / METRICS_NAME), read_run_log(folder)
    facts = VlmFacts(
        model_id=model_id or str(folder),
        **_common(folder),
        prompt=log["recipe"]["prompt"],
        tokens_per_image=processor["num_image_tokens"],
        language_layers=config["text_config"]["num_hidden_layers"],
        scored_pairs=results.pairs if results else 0,
        scores=fact_scores(results),
        examples=[
            (example.reference, example.captions["own_images"])
            for example in (results.examples[:5] if results else ())
        ],
    )
    render_vlm_card(facts).save(folder / "README.md")
    if (folder / "adapter").is_dir():
        base = read_object(folder / "adapter/adapter_config.json", "save the model again")["base_model_name_or_path"]
        adapter = replace(facts, adapter_base=base, model_id=f"{facts.model_id}/adapter")
        render_vlm_card(adapter).save(folder / "adapter/README.md")
        untrained = replace(facts, model_id=base, steps=0, train_seconds=0, scored_pairs=0, scores=[], examples=[])
        render_vlm_card(untrained).save(folder / "base/README.md")


def _common(folder: Path) -> dict[str, Any]:
    log = read_run_log(folder)
    names = ("bands", "ir_origins", "seed", "steps", "batch_size", "train_rows", "train_seconds", "hardware")
    names += ("parameters", "trainable_parameters", "versions", "recipe")
    dataset = log["recipe"]["dataset"]
    return {
        **{name: log[name] for name in names},
        "base_models": [BaseModel(**model) for model in log["base_models"]],
        "dataset_id": None if Path(dataset).exists() else dataset,
    }
