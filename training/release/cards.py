"""Writes a model folder's README.md from the files that its runs left there: log, metrics, configuration."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fusionrs_hf.configuration_fusionrs_clip import FusionRSCLIPConfig
from model_cards.clip import ClipFacts, Retrieval, read_mean_recall, read_retrieval, render_clip_card
from model_cards.facts import BaseModel, Estimate
from model_cards.vlm import FactScore, VlmFacts, render_vlm_card
from training.trainers.run_log import read_run_log

METRICS_NAME = "metrics.json"
LARGE = 10**6  # a tokenizer's limit beyond this means none
FACT_CONTROLS = {
    "constant": "constant caption",
    "ir_shuffled": "another tile's infrared",
    "ir_blanked": "infrared blanked",
    "rgb_shuffled": "another tile's RGB",
}


TERMS = {"rgb_text": "RGB-text", "ir_text": "infrared-text", "rgb_ir": "RGB-infrared", "fused_text": "fused-text"}


def write_clip_card(folder: Path, bench: Path | None = None, model_id: str | None = None) -> None:
    """Writes the card of a dual-modal CLIP.

    Args:
        folder: Of the trained model; results come from its `metrics.json` where there is one.
        bench: Committed result of the controls that this run did not train, if any.
        model_id: How snippets load it; default: the folder.
    """
    config = FusionRSCLIPConfig.from_pretrained(folder).to_dict()
    metrics, common = read_metrics(folder), _common(folder)
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
        retrieval=retrieval_rows(metrics, bench),
        mean_recall=read_mean_recall(metrics.get("trained", metrics)),
        scored_fusion=_scored_fusion(config, metrics["fusion"]) if "fusion" in metrics else "",
        control_source="(a) is of this run; (b) and (c) are means over the seeds of the committed bench result.",
    )
    render_clip_card(facts).save(folder / "README.md")


def _tower(config: Mapping[str, Any]) -> str:
    kind = f"`{config['model_type']}`"
    if "num_hidden_layers" not in config or "hidden_size" not in config:
        return kind
    return f"{kind}, {config['num_hidden_layers']} layers of {config['hidden_size']}"


def _text_tokens(folder: Path) -> int | None:
    limit = json.loads((folder / "tokenizer_config.json").read_text()).get("model_max_length", LARGE)
    return limit if limit < LARGE else None


def _fusion(config: Mapping[str, Any], recipe: Mapping[str, Any]) -> str:
    weight, dropout = config["fusion_weight"], recipe.get("modality_dropout")
    how = "a learned gate" if config["fusion"] == "gated" else f"the mean, infrared by {weight}"
    return how + (f", trained with one modality left out in {100 * dropout:g} % of the rows" if dropout else "")


def _scored_fusion(config: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    if chosen["weight"] is None:
        return "what the model's gate makes of both" if config["fusion"] == "gated" else "the model's own mean of both"
    how = "chosen on the validation split" if chosen["chosen_on"] == "validation" else "as given"
    return f"the mean of both embeddings, infrared by {chosen['weight']}, {how}"


def _infrared_tower(config: dict) -> str:
    if config.get("ir_vision_config"):
        channels = config["ir_vision_config"].get("num_channels", 3)
        return f"its own, {channels} channel{'s' if channels > 1 else ''}"
    return "shared with a learned infrared tile" if config["modality_embedding"] else "shared"


def write_vlm_card(folder: Path, model_id: str | None = None) -> None:
    """Writes the cards of a two-image VLM, of its adapter and of the adapter's base; arguments as for the CLIP."""
    config = json.loads((folder / "config.json").read_text())
    processor = json.loads((folder / "processor_config.json").read_text())
    metrics, log = read_metrics(folder), read_run_log(folder)
    facts = VlmFacts(
        model_id=model_id or str(folder),
        **_common(folder),
        prompt=log["recipe"]["prompt"],
        tokens_per_image=processor["num_image_tokens"],
        language_layers=config["text_config"]["num_hidden_layers"],
        scored_pairs=metrics.get("pairs", 0),
        scores=fact_scores(metrics),
        examples=[
            (example["reference"], example["captions"]["own_images"]) for example in metrics.get("examples", [])[:5]
        ],
    )
    render_vlm_card(facts).save(folder / "README.md")
    if (folder / "adapter").is_dir():
        base = json.loads((folder / "adapter/adapter_config.json").read_text())["base_model_name_or_path"]
        adapter = replace(facts, adapter_base=base, model_id=f"{facts.model_id}/adapter")
        render_vlm_card(adapter).save(folder / "adapter/README.md")
        untrained = replace(facts, model_id=base, steps=0, train_seconds=0, scored_pairs=0, scores=[], examples=[])
        render_vlm_card(untrained).save(folder / "base/README.md")


def read_metrics(folder: Path) -> dict[str, Any]:
    """Returns the folder's metrics, empty before an evaluation."""
    path = folder / METRICS_NAME
    return json.loads(path.read_text()) if path.is_file() else {}


def retrieval_rows(metrics: Mapping[str, Any], bench: Path | None = None) -> list[Retrieval]:
    """Returns the results table of a CLIP's metrics, beside the controls of the run and of a committed bench result.

    Args:
        metrics: `{"trained": ..., "pretrained": ...}` as the journey writes it, or what `evaluate_clip` writes alone.
        bench: `tests/benchmarks/results/retrieval_controls.json`, or None.
    """
    trained = metrics.get("trained", metrics)
    controls = {"pretrained": metrics["pretrained"]} if "pretrained" in metrics else {}
    margins: dict[str, dict] = {}
    if bench is not None and bench.is_file():
        subsets = json.loads(bench.read_text())["subsets"]
        for name in ("grayscale", "shuffled"):
            known = {
                (subset, key): row[name] for subset, part in subsets.items() for key, row in part["directions"].items()
            }
            controls[name] = {
                subset: {
                    "scores": {key: {"R@1": row["mean"][0]} for (where, key), row in known.items() if where == subset}
                }
                for subset in subsets
            }
            margins[name] = {
                subset: {key: row["difference"] for (where, key), row in known.items() if where == subset}
                for subset in subsets
            }
    return read_retrieval(trained, controls, margins)


def fact_scores(metrics: Mapping[str, Any]) -> list[FactScore]:
    """Returns the fact-accuracy table of a VLM's metrics: each kind of fact, then their mean with intervals."""
    if not metrics:
        return []
    accuracy = metrics["accuracy"]
    own = accuracy["own_images"]
    kinds = [kind for kind in own if kind not in ("mean", "interval", "by_band")]
    rows = [
        FactScore(
            kind, Estimate(own[kind]), {title: Estimate(accuracy[name][kind]) for name, title in FACT_CONTROLS.items()}
        )
        for kind in kinds
    ]
    controls = {
        title: Estimate(accuracy[name]["mean"], *accuracy[name]["interval"]) for name, title in FACT_CONTROLS.items()
    }
    margins = {title: Estimate(**metrics["differences"][name]) for name, title in FACT_CONTROLS.items()}
    return [*rows, FactScore("mean", Estimate(own["mean"], *own["interval"]), controls, margins)]


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
