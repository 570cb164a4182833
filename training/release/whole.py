"""Whether a folder is whole as one of its kind: what a user needs to load it is there, and nothing that is damaged."""

import ast
from pathlib import Path

from dataset_builder.publish.clearance import check_folder
from fusionrs_hf.bounded_files import read_text
from fusionrs_hf.bounded_yaml import front_matter
from fusionrs_hf.errors import InputError, shown
from training.release.checks import check_code, check_shards, read_json


def check_dataset(folder: Path, kind: str) -> None:
    """Refuses a dataset without Parquet, with rows whose rights forbid it, or other shards than reported."""
    if not list(folder.glob("data/*.parquet")):
        raise InputError(f"{folder} has no data/*.parquet, expected a built dataset; run `fusionrs build` first")
    check_folder(folder)
    check_shards(folder)


def check_model(folder: Path, kind: str) -> None:
    """Refuses a CLIP, VLM or adapter that lacks weights, configuration, processor or the code that these name."""
    auto_class = {"clip": "AutoModel", "vlm": "AutoModelForImageTextToText"}[kind]
    plain = False
    if (folder / "adapter_config.json").is_file():
        base = read_json(folder / "adapter_config.json").get("base_model_name_or_path") or ""
        if not base or Path(base).exists() or base.count("/") != 1:
            raise InputError(
                f"{folder} adapts {shown(base)}, expected owner/name of a base on the Hub; push the base first, "
                "then --base"
            )
    else:
        plain = kind == "clip" and read_json(folder / "config.json").get("model_type") == "clip"
        if not plain:
            check_code(folder / "config.json", auto_class)
    if not list(folder.glob("*.safetensors")):
        raise InputError(f"{folder} has no *.safetensors, the one form of weights released; save_pretrained writes it")
    if not plain:
        check_code(folder / "processor_config.json", "AutoProcessor")


def check_translator(folder: Path, kind: str) -> None:
    """Refuses a translator that lacks its pipeline, weights or code."""
    read_json(folder / "model_index.json")
    for name in (
        "pipeline_fusionrs_translator.py",
        "translator/config.json",
        "translator/modeling_fusionrs_translator.py",
    ):
        if not (folder / name).is_file():
            raise InputError(f"{folder / name} is missing, expected what `fusionrs train translator` writes")
    if not list(folder.glob("translator/*.safetensors")):
        raise InputError(f"{folder} has no translator/*.safetensors, the one form of weights released")


def check_metric(folder: Path, kind: str) -> None:
    """Refuses a folder that holds no `evaluate` module of its own name."""
    main = folder / f"{folder.name}.py"
    if not main.is_file():
        raise InputError(f"{main} is missing, expected a folder with an `evaluate` module of its own name")
    ast.parse(main.read_text(encoding="utf-8"))


def check_space(folder: Path, kind: str) -> None:
    """Refuses an application whose card does not say how it runs, or whose file is missing or is no Python."""
    try:
        card = front_matter(read_text(folder / "README.md"), "README.md")
    except (FileNotFoundError, InputError):
        card = {}
    sdk, main = card.get("sdk"), card.get("app_file", "app.py")
    if sdk not in ("gradio", "docker", "static"):
        raise InputError(
            f"{folder / 'README.md'} has sdk {shown(sdk)}, expected gradio, docker or static in its front matter"
        )
    if not (folder / str(main)).is_file():
        raise InputError(f"{folder / str(main)} is missing, which the Space would run; see app_file in README.md")
    for path in sorted(folder.rglob("*.py")):
        try:
            ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError) as error:
            raise InputError(f"{path} line {getattr(error, 'lineno', 1)} is no Python ({error}); mend it") from error
