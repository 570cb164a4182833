"""Results in the Hub's own files: `.eval_results/*.yaml` of a model, `eval.yaml` of a dataset."""

from collections.abc import Collection
from pathlib import Path

import yaml
from huggingface_hub import EvalResult, EvalResultEntry, ModelCard
from huggingface_hub import eval_result_entries_to_yaml as entries_to_yaml

from model_cards import clip, translator, vlm

FOLDER = ".eval_results"
NOTES = "self-reported; split made by fusionrs build"
TASKS = {  # of a dataset's test rows, by what `fusionrs eval` scores
    "cross_modal_retrieval": "Cross-modal retrieval between RGB, infrared and text",
    "infrared_captioning": "Infrared facts stated rightly in generated captions",
    "rgb_to_infrared": "RGB to infrared, against the sensor's",
}
TASK_OF = {
    clip.TASK.name: "cross_modal_retrieval",
    vlm.TASK.name: "infrared_captioning",
    translator.TASK.name: "rgb_to_infrared",
}


def write_eval_results(folder: Path, card: ModelCard, dataset_id: str | None) -> list[str]:
    """Writes a model's results as the Hub reads them; of demo-only weights, and of data without a repository, none.

    Args:
        folder: Of the model.
        card: With its results.
        dataset_id: Repository of the dataset.

    Returns:
        Names of what is there now.
    """
    path = folder / FOLDER / "fusionrs.yaml"
    results = card.data.eval_results or []
    if dataset_id is None or card.data.get("demo_only") or not results:
        path.unlink(missing_ok=True)
        return []
    path.parent.mkdir(exist_ok=True)
    text = yaml.safe_dump(entries_to_yaml([entry_of(result, dataset_id) for result in results]), sort_keys=False)
    path.write_text(text, encoding="utf-8")
    return [f"{FOLDER}/{path.name}"]


def entry_of(result: EvalResult, dataset_id: str) -> EvalResultEntry:
    """Returns one result of a card as an entry; in percent, as the card has it."""
    return EvalResultEntry(
        dataset_id=dataset_id,
        task_id=TASK_OF[result.task_name],
        value=result.metric_value,
        notes=f"{result.metric_name}; {result.dataset_name}; {NOTES}",
    )


def eval_yaml(name: str, splits: Collection[str]) -> str:
    """Returns a dataset's `eval.yaml`: what can be scored on its test rows.

    No `evaluation_framework` is named: the Hub's list has none that runs these tasks; `fusionrs eval` does.
    """
    tasks = [{"id": task, "config": "default", "split": "test"} for task in TASKS] if "test" in splits else []
    description = f"{name}: {'; '.join(TASKS.values())}. Scored by `fusionrs eval`; self-made split."
    return yaml.safe_dump({"name": name, "description": description, "tasks": tasks}, sort_keys=False)
