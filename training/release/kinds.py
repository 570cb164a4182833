"""What is released: one row a kind, in plain strings, so that the command line reads it without loading a library."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fusionrs_hf.errors import InputError, shown

DATASET_FILES = (
    *("README.md", "NOTICE.md", "LICENSE*", "croissant.json", "build_report.json", "rights.yaml", "*.jsonl"),
    "data/*.parquet",
)
MODEL_FILES = ("*.md", "LICENSE*", "*.json", "*.jinja", "*.txt", "*.model", "*.py", "*.safetensors")


@dataclass(frozen=True, slots=True)
class Form:
    """Another form in which a kind goes up.

    Args:
        title: What it is, for messages.
        push: `module:function` that checks and uploads a folder so.
    """

    title: str
    push: str


@dataclass(frozen=True, slots=True)
class ReleaseKind:
    """A kind of folder that is released.

    Args:
        repo_type: `dataset` or `model`, as the Hub says.
        files: Patterns of what goes up; the rest stays at home.
        push: `module:function` that checks and uploads a folder.
        auto_class: Of transformers, that loads a model.
        forms: Others, by the option of `door.push` that asks for one.
    """

    repo_type: str
    files: tuple[str, ...]
    push: str
    auto_class: str | None = None
    forms: Mapping[str, Form] = field(default_factory=dict)


KINDS = {
    "dataset": ReleaseKind("dataset", DATASET_FILES, "training.release.dataset:push_dataset"),
    "clip": ReleaseKind(
        "model",
        MODEL_FILES,
        "training.release.models:push_clip",
        auto_class="AutoModel",
        forms={"as_clip": Form("a dual-modal CLIP", "training.release.models:push_plain_clip")},
    ),
    "vlm": ReleaseKind(
        "model",
        MODEL_FILES,
        "training.release.models:push_vlm",
        auto_class="AutoModelForImageTextToText",
        forms={"base": Form("a VLM's adapter", "training.release.models:push_adapter")},
    ),
}


def find_kind(kind: str) -> ReleaseKind:
    """Returns a kind's row; raises InputError for one that is not released."""
    if kind not in KINDS:
        raise InputError(f"kind is {shown(kind)}, expected one of {', '.join(KINDS)}")
    return KINDS[kind]
