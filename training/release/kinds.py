"""What is released: one row a kind, in plain strings, so that the command line reads it without loading a library."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fusionrs_hf.errors import InputError, shown

VERIFICATION = "verification.json"  # what was verified of a release, in the release
TEXTS = ("README.md", "NOTICE.md", "LICENSE*", "CITATION.cff")
DATASET_FILES = (
    *TEXTS,
    *("croissant.json", "build_report.json", "rights.yaml", "tombstones.jsonl", "eval.yaml"),
    *("data/*.parquet", "trust/*.parquet", "pictures/*.png"),
)
RESULTS = ("training_log.json", "metrics.json", "origin.json", ".eval_results/*.yaml")
PROCESSOR = ("processor_config.json", "preprocessor_config.json", "chat_template.jinja", "added_tokens.json")
PROCESSOR += ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "vocab.txt")
PROCESSOR += ("merges.txt", "*.model")
WEIGHTS = ("model.safetensors", "model-*-of-*.safetensors", "model.safetensors.index.json")
MODEL_FILES = (*TEXTS, *RESULTS, "config.json", "generation_config.json", *PROCESSOR, *WEIGHTS)
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
TRANSLATOR_FILES = (
    *(*TEXTS, *RESULTS, "model_index.json", "pipeline_fusionrs_translator.py", "translator/config.json"),
    *("translator/modeling_fusionrs_translator.py", "translator/diffusion_pytorch_model*.safetensors"),
)
ALWAYS_STAYS = (".DS_Store", "*/.DS_Store", "__pycache__/*", "*/__pycache__/*", ".git/*", ".gitattributes")
ALWAYS_STAYS += (VERIFICATION,)
# What our verbs, the Trainer and the Hub's clients leave beside, and what never goes up.
STAYS = (
    *(".fusionrs.json", ".training.json", ".work/*", ".cache/*", "checkpoint-*", "runs/*", "training_args.bin"),
    *("quarantine/*", "publish/*", "caption_report.json", "audit*", "adapter/*", "base/*", "trainer_state.json"),
    *ALWAYS_STAYS,
)


@dataclass(frozen=True, slots=True)
class Form:
    """Another form in which a kind goes up.

    Args:
        title: What it is, for messages.
        make: `module:function` that writes the form of a folder into another; takes the option's value, too.
    """

    title: str
    make: str


@dataclass(frozen=True, slots=True)
class ReleaseKind:
    """A kind of folder that is released.

    Args:
        repo_type: `dataset`, `model` or `space`, as the Hub says.
        files: Patterns of the names that its writers write and that go up; code besides, see `code`.
        check: `module:function` that refuses a folder which is no whole one of this kind.
        code: Files whose `auto_map` names the code that goes up.
        auto_class: Of transformers, that loads a model.
        stays: Patterns of what may lie beside and never goes up.
        forms: Others, by the option of `door.push` that asks for one.
    """

    repo_type: str
    files: tuple[str, ...]
    check: str
    code: tuple[str, ...] = ()
    auto_class: str | None = None
    stays: tuple[str, ...] = STAYS
    forms: Mapping[str, Form] = field(default_factory=dict)


MODEL_CODE = ("config.json", "processor_config.json", "tokenizer_config.json")
KINDS = {
    "dataset": ReleaseKind("dataset", DATASET_FILES, "training.release.whole:check_dataset"),
    "clip": ReleaseKind(
        "model",
        MODEL_FILES,
        "training.release.whole:check_model",
        MODEL_CODE,
        auto_class="AutoModel",
        forms={"as_clip": Form("a dual-modal CLIP", "training.release.forms:make_plain_clip")},
    ),
    "vlm": ReleaseKind(
        "model",
        (*MODEL_FILES, *ADAPTER_FILES),
        "training.release.whole:check_model",
        MODEL_CODE,
        auto_class="AutoModelForImageTextToText",
        forms={"base": Form("a VLM's adapter", "training.release.forms:make_adapter")},
    ),
    "translator": ReleaseKind("model", TRANSLATOR_FILES, "training.release.whole:check_translator"),
    "metric": ReleaseKind("space", (*TEXTS, "*.py"), "training.release.whole:check_metric"),
    "space": ReleaseKind("space", ("*",), "training.release.whole:check_space", stays=ALWAYS_STAYS),
}


def find_kind(kind: str) -> ReleaseKind:
    """Returns a kind's row; raises InputError for one that is not released."""
    if kind not in KINDS:
        raise InputError(f"kind is {shown(kind)}, expected one of {', '.join(KINDS)}")
    return KINDS[kind]
