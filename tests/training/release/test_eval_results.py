import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData, parse_eval_result_entries

from training.release.eval_results import TASKS, eval_yaml, write_eval_results


def card(**more) -> ModelCard:
    result = EvalResult(
        task_type="feature-extraction",
        task_name="Cross-modal retrieval",
        dataset_type="me/rows",
        dataset_name="Rows, held-out region",
        metric_type="recall",
        metric_name="RGB → IR R@1",
        metric_value=48.2,
    )
    data = ModelCardData(model_name="clip", eval_results=[result], **more)
    return ModelCard(f"---\n{data.to_yaml()}\n---\n# clip\n")


def test_results_are_read_back_by_the_hub_s_client_and_called_self_reported(tmp_path):
    assert write_eval_results(tmp_path, card(), "me/rows") == [".eval_results/fusionrs.yaml"]
    entries = parse_eval_result_entries(yaml.safe_load((tmp_path / ".eval_results/fusionrs.yaml").read_text()))
    assert [(entry.dataset_id, entry.task_id, entry.value) for entry in entries] == [
        ("me/rows", "cross_modal_retrieval", 48.2)
    ]
    assert "self-reported" in entries[0].notes and "RGB → IR R@1" in entries[0].notes


def test_demo_only_weights_and_unpublished_data_write_none(tmp_path):
    write_eval_results(tmp_path, card(), "me/rows")
    assert write_eval_results(tmp_path, card(demo_only=True), "me/rows") == []
    assert not (tmp_path / ".eval_results/fusionrs.yaml").exists()
    assert write_eval_results(tmp_path, card(), None) == []


def test_a_dataset_s_tasks_are_those_that_results_name():
    said = yaml.safe_load(eval_yaml("Rows", {"train": 1, "test": 1}))
    assert [task["id"] for task in said["tasks"]] == list(TASKS)
    assert {task["split"] for task in said["tasks"]} == {"test"}
    assert yaml.safe_load(eval_yaml("Rows", {"train": 1}))["tasks"] == []
