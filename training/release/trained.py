"""The release of what was just trained: evaluated first where it is not, then through the one door."""

from importlib import import_module
from pathlib import Path

from transformers import TrainingArguments

from training.release import door
from training.release.hub import Repository, in_a_line
from training.scoring.results import METRICS_NAME

EVALUATION = {  # page that scores a kind; by name, as it loads libraries and pages know of this one
    "clip": "training.evaluate_clip",
    "vlm": "training.evaluate_vlm",
    "translator": "training.evaluate_translator",
}


def release(kind: str, folder: Path, dataset: str, training: TrainingArguments) -> str:
    """Scores a finished model on the test rows of its dataset, unless it was scored, and pushes it.

    Args:
        kind: `clip`, `vlm` or `translator`.
        folder: Of the model.
        dataset: That it was trained on.
        training: With `hub_model_id`, `hub_private_repo` and `hub_revision`.

    Returns:
        URL of the commit.

    Raises:
        InputError: As of the evaluation, and of `door.push`.
    """
    if not (folder / METRICS_NAME).is_file():
        output = str(folder / METRICS_NAME)
        page = import_module(EVALUATION[kind])
        page.main(["--model", str(folder), "--dataset", str(dataset), "--output", output])
    repo_id = training.hub_model_id or folder.name
    if "/" not in repo_id:
        repository = Repository("model", repo_id)
        with in_a_line(repository, lambda: f"the model is in {folder}; push it by `fusionrs push {kind}`"):
            repo_id = f"{repository.patiently(repository.api.whoami)['name']}/{repo_id}"
    return door.push(kind, folder, repo_id, private=bool(training.hub_private_repo), revision=training.hub_revision)
