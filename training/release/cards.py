"""Writes a model folder's README.md from the files that its runs left there: log, metrics, configuration."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard

from fusionrs_hf.bounded_json import read_object
from fusionrs_hf.configuration_fusionrs_clip import FusionRSCLIPConfig
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.prompts import FACTS_PROMPT
from model_cards.clip import ClipFacts, render_clip_card
from model_cards.facts import BaseModel, place_name
from model_cards.translator import TranslatorFacts, render_translator_card
from model_cards.vlm import VlmFacts, render_vlm_card
from training.release.eval_results import write_eval_results
from training.release.result_rows import fact_scores, mean_recall_cells, retrieval_rows, translation_rows
from training.scoring.clip_results import ClipResults, FusionChoice, TrainedControls
from training.scoring.results import METRICS_NAME
from training.scoring.vlm_results import VlmResults
from training.trainers.run_log import read_run_log
from training.vlm_arguments import IMAGES

LARGE = 10**6  # a tokenizer's limit beyond this means none
TERMS = {"rgb_text": "RGB-text", "ir_text": "infrared-text", "rgb_ir": "RGB-infrared", "fused_text": "fused-text"}


def card_of(kind: str, folder: Path) -> ModelCard:
    """Returns the card that is due of a folder of `clip`, `vlm` or `translator`; raises InputError for others."""
    if kind not in CARDS:
        raise InputError(f"kind is {shown(kind)}, expected one of {', '.join(CARDS)}, whose runs leave a log")
    return CARDS[kind](folder)


def write_clip_card(
    folder: Path, trained_controls: TrainedControls | None = None, model_id: str | None = None
) -> None:
    """Writes the card of a dual-modal CLIP; arguments as of `clip_card`."""
    card = clip_card(folder, trained_controls, model_id)
    card.save(folder / "README.md")
    write_eval_results(folder, card, _common(folder)["dataset_id"])


def clip_card(folder: Path, trained_controls: TrainedControls | None = None, model_id: str | None = None) -> ModelCard:
    """Returns the card of a dual-modal CLIP.

    Args:
        folder: Of the trained model; results come from its `metrics.json` where there is one.
        trained_controls: Of the controls that this run did not train, if any.
        model_id: How snippets load it; default: the folder.
    """
    config = FusionRSCLIPConfig.from_pretrained(folder).to_dict()
    results, common = ClipResults.load(folder / METRICS_NAME), _common(folder)
    facts = ClipFacts(
        model_id=model_id or place_name(folder),
        **common,
        projection_dim=config["projection_dim"],
        image_size=_image_side(folder),
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
        control_source=_control_source(results, trained_controls),
    )
    return render_clip_card(facts)


def _control_source(results: ClipResults | None, trained_controls: TrainedControls | None) -> str:
    said = ["(a) is of this run"] if results and results.pretrained else []
    if trained_controls:
        said.append("(b) and (c) are means over the seeds of the committed bench result")
    return "; ".join(said)


def _tower(config: Mapping[str, Any]) -> str:
    kind = f"`{config['model_type']}`"
    if "num_hidden_layers" not in config or "hidden_size" not in config:
        return kind
    return f"{kind}, {config['num_hidden_layers']} layers of {config['hidden_size']}"


def _image_side(folder: Path) -> int:
    """Returns the pixels of a side as the processor makes it: not every tower's configuration tells."""
    image_processor = read_object(folder / "processor_config.json", "save the model again")["image_processor"]
    size = image_processor["crop_size" if image_processor.get("do_center_crop") else "size"]
    return size.get("height") or size["shortest_edge"]


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


def vlm_facts(folder: Path, model_id: str | None = None) -> VlmFacts:
    """Returns what the card of a two-image VLM says; arguments as for the CLIP."""
    config = read_object(folder / "config.json", "save the model again")
    processor = read_object(folder / "processor_config.json", "save the model again")
    results = VlmResults.load(folder / METRICS_NAME)
    return VlmFacts(
        model_id=model_id or place_name(folder),
        **_common(folder),
        prompt=FACTS_PROMPT,
        tokens_per_image=processor["num_image_tokens"],
        language_layers=config["text_config"]["num_hidden_layers"],
        scored_pairs=results.pairs if results else 0,
        scores=fact_scores(results),
        examples=[
            (example.reference, example.captions["own_images"])
            for example in (results.examples[:5] if results else ())
        ],
        shown=IMAGES.get(read_run_log(folder)["recipe"].get("images"), IMAGES["both"]),
    )


def write_vlm_card(folder: Path, model_id: str | None = None) -> None:
    """Writes the cards of a two-image VLM, of its adapter and of the adapter's base; arguments as for the CLIP."""
    facts = vlm_facts(folder, model_id)
    card = render_vlm_card(facts)
    card.save(folder / "README.md")
    write_eval_results(folder, card, facts.dataset_id)
    if (folder / "adapter").is_dir():
        saved = read_object(folder / "adapter/adapter_config.json", "save the model again")
        stated = str(saved.get("base_model_name_or_path") or "")
        base = stated if not Path(stated).is_absolute() else f"{Path(stated).parent.name}/{Path(stated).name}"
        adapter = replace(facts, adapter_base=base, model_id=f"{facts.model_id}/adapter")
        render_vlm_card(adapter).save(folder / "adapter/README.md")
        steps = read_run_log(folder)["recipe"].get("text_steps", 0)
        blind = replace(facts, model_id=base, steps=steps, train_seconds=0, scored_pairs=0, scores=[], examples=[])
        render_vlm_card(blind).save(folder / "base/README.md")


def translator_card(folder: Path, model_id: str | None = None) -> ModelCard:
    """Returns the card of a learned translator; arguments as for the CLIP."""
    config = read_object(folder / "translator/config.json", "train it again")
    path = folder / METRICS_NAME
    results = read_object(path, "score it again") if path.is_file() else {}
    facts = TranslatorFacts(
        model_id=model_id or place_name(folder),
        **_common(folder),
        conditions=config["condition_bands"],
        reflectance=config["reflectance_condition"] is not None,
        rights=read_run_log(folder).get("rights", []),
        split=results.get("split", "test"),
        scores=translation_rows(results),
    )
    return render_translator_card(facts)


def write_translator_card(folder: Path, model_id: str | None = None) -> None:
    """Writes the card of a learned translator, and its results as the Hub reads them."""
    card = translator_card(folder, model_id)
    card.save(folder / "README.md")
    write_eval_results(folder, card, _common(folder)["dataset_id"])


CARDS: dict[str, Callable[[Path], ModelCard]] = {
    "clip": clip_card,
    "vlm": lambda folder: render_vlm_card(vlm_facts(folder)),
    "translator": translator_card,
}


def _common(folder: Path) -> dict[str, Any]:
    log = read_run_log(folder)
    names = ("bands", "ir_origins", "seed", "steps", "batch_size", "train_rows", "train_seconds", "hardware")
    names += ("parameters", "trainable_parameters", "versions", "recipe")
    dataset = log["recipe"]["dataset"]
    described = log.get("dataset") or {
        "name": place_name(dataset),
        "hub_id": None if Path(dataset).exists() else dataset,
    }
    return {
        **{name: log[name] for name in names},
        "base_models": [BaseModel(**model) for model in log["base_models"]],
        "dataset_id": described["hub_id"],
        "dataset_name": described["name"],
    }
