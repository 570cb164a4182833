import fusionrs_hf.auto  # noqa: F401
from training.trainers.contrastive_arguments import ClipTrainingArguments


def test_another_metric_may_be_named():
    options = {"output_dir": "x", "load_best_model_at_end": True, "eval_strategy": "steps", "use_cpu": True}
    options |= {"eval_steps": 1, "save_steps": 1}
    default, named = (ClipTrainingArguments(**options, **more) for more in ({}, {"metric_for_best_model": "loss"}))
    assert (default.metric_for_best_model, default.greater_is_better) == ("mean_recall", True)
    assert (named.metric_for_best_model, named.greater_is_better) == ("loss", False)
