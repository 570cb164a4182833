"""The public names, each in an example that runs: on the shipped sample and tiny random models."""

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import dataset_builder
from tests.made import tiny, tiny_dataset, tiny_vlm

ROOT = Path(__file__).parent.parent
EXAMPLES = {
    "fusionrs_hf": {
        "FusionRSCLIPConfig": """
            >>> from fusionrs_hf import FusionRSCLIPConfig
            >>> FusionRSCLIPConfig.from_pretrained(clip).projection_dim
            8
        """,
        "FusionRSCLIPModel": """
            >>> from fusionrs_hf import FusionRSCLIPModel
            >>> FusionRSCLIPModel.from_pretrained(clip).config.model_type
            'fusionrs_clip'
        """,
        "FusionRSCLIPProcessor": """
            >>> from fusionrs_hf import FusionRSCLIPProcessor
            >>> sorted(FusionRSCLIPProcessor.from_pretrained(clip)(images=rgb, ir_images=ir, text="a dry field"))
            ['attention_mask', 'input_ids', 'ir_pixel_values', 'pixel_values']
        """,
        "FusionRSVLMConfig": """
            >>> from fusionrs_hf import FusionRSVLMConfig
            >>> FusionRSVLMConfig.from_pretrained(vlm).model_type
            'fusionrs_vlm'
        """,
        "FusionRSVLMForConditionalGeneration": """
            >>> from fusionrs_hf import FusionRSVLMForConditionalGeneration
            >>> type(FusionRSVLMForConditionalGeneration.from_pretrained(vlm).model).__name__
            'FusionRSVLMModel'
        """,
        "FusionRSVLMProcessor": """
            >>> from fusionrs_hf import FusionRSVLMProcessor
            >>> FusionRSVLMProcessor.from_pretrained(vlm).image_token
            '<image>'
        """,
        "load_clip": """
            >>> from fusionrs_hf import load_clip
            >>> model, processor = load_clip(clip)
            >>> type(model).__name__, type(processor).__name__
            ('FusionRSCLIPModel', 'FusionRSCLIPProcessor')
        """,
        "Encoder": """
            >>> from fusionrs_hf import Encoder, load_clip
            >>> encoder = Encoder(*load_clip(clip))
            >>> (encoder.text(["a dry field"]) @ encoder.rgb([rgb]).T).shape
            (1, 1)
        """,
    },
    "dataset_builder": {
        "FusionRS": """
            >>> from dataset_builder import FusionRS
            >>> builder = FusionRS(data_dir=sample, config_name="sensor", cache_dir=out / "cache")
            >>> builder.download_and_prepare()
            >>> builder.as_dataset(split="test")["ir_origin"][0]
            'sensor'
        """,
        "load_recipe": """
            >>> from dataset_builder import load_recipe
            >>> [source["kind"] for source in load_recipe("dataset_builder/recipes/demo.yaml").sources]
            ['repository', 'repository']
        """,
        "build": """
            >>> from dataset_builder import build, load_recipe
            >>> report = build(load_recipe(recipe), built, workers=1)
            >>> report.rows_kept + sum(report.quarantine.values()) == report.rows_read
            True
        """,
        "publish_dataset": """
            >>> from dataset_builder import publish_dataset
            >>> publish_dataset(built, "index", workers=1).relative_to(built).as_posix()
            'publish/index'
        """,
        "caption_dataset": """
            >>> from dataset_builder import caption_dataset
            >>> report = caption_dataset(dataset, out / "captioned", workers=1)
            >>> (out / "captioned" / "caption_report.json").is_file()
            True
        """,
        "audit_dataset": """
            >>> from dataset_builder import audit_dataset
            >>> audit_dataset(dataset, workers=1).rows
            {'train': 8, 'test': 6, 'validation': 6}
        """,
        "search_index": """
            >>> from dataset_builder import search_index
            >>> [hit.rank for hit in search_index(index, "dry ground", k=2)]
            [1, 2]
        """,
    },
}
NEEDS = {"build": ["built"], "publish_dataset": ["built"], "search_index": ["index"]}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    home = tmp_path_factory.mktemp("public")
    for part in (tiny.clip_model(), tiny.clip_processor()):
        part.save_pretrained(home / "clip")
    for part in (tiny_vlm.vlm_model(), tiny_vlm.vlm_processor()):
        part.save_pretrained(home / "vlm")
    dataset = tiny_dataset.write(home / "dataset")
    sample, recipe = ROOT / "dataset_builder" / "sample", home / "recipe.yaml"
    recipe.write_text(f"name: tiny\nsources: [{{kind: repository, path: {sample}, splits: [test]}}]\n")
    folders = {"clip": home / "clip", "vlm": home / "vlm", "dataset": dataset, "sample": sample, "recipe": recipe}
    return folders | {"rgb": tiny.rgb_image(), "ir": tiny.ir_image()}


@pytest.fixture(scope="module")
def built(places, tmp_path_factory):
    """Built anew, from the sample's test split; the same call again reads what is there."""
    folder = tmp_path_factory.mktemp("build") / "built"
    assert dataset_builder.build(dataset_builder.load_recipe(places["recipe"]), folder, workers=1).rows_kept
    return folder


@pytest.fixture(scope="module")
def index(places, tmp_path_factory):
    pytest.importorskip("faiss")
    from dataset_builder.search.embedding import EmbedSettings, embed
    from dataset_builder.search.rows import describe_rows

    folder = tmp_path_factory.mktemp("index") / "index"
    embed(describe_rows(str(places["dataset"]), ["test"], {}), str(places["clip"]), folder, EmbedSettings())
    return folder


@pytest.mark.parametrize(
    ("package", "name"), [(package, name) for package, examples in EXAMPLES.items() for name in examples]
)
def test_the_example_runs(package, name, places, tmp_path, request, monkeypatch):
    monkeypatch.chdir(ROOT)
    values = places | {"out": tmp_path}
    values |= {fixture: request.getfixturevalue(fixture) for fixture in NEEDS.get(name, ())}
    example = doctest.DocTestParser().get_doctest(EXAMPLES[package][name], values, name, None, 0)
    lines = []
    failed, tried = doctest.DocTestRunner(verbose=False).run(example, out=lines.append)
    assert tried and not failed, "".join(lines)


@pytest.mark.parametrize("package", EXAMPLES)
def test_every_public_name_has_an_example_and_is_no_module(package):
    module = importlib.import_module(package)
    assert sorted(module.__all__) == sorted(EXAMPLES[package])
    assert set(module.__all__) <= set(dir(module))
    for name in module.__all__:
        assert not (ROOT / package / name).exists() and not (ROOT / package / f"{name}.py").exists(), name
    with pytest.raises(AttributeError, match=f"'{package}' has no attribute 'nothing'"):
        module.nothing  # noqa: B018


def test_importing_the_packages_imports_nothing_heavy():
    code = (
        "import sys, fusionrs_hf, dataset_builder\n"
        "print([name for name in ('torch', 'transformers', 'datasets', 'numpy') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_any_class_registers_all_with_the_auto_classes(places):
    code = (
        "import sys\nfrom fusionrs_hf import FusionRSCLIPConfig\nfrom transformers import AutoConfig\n"
        "print(*(type(AutoConfig.from_pretrained(folder)).__name__ for folder in sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, str(places["clip"]), str(places["vlm"])]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.split() == ["FusionRSCLIPConfig", "FusionRSVLMConfig"], done.stderr


@pytest.mark.parametrize("package", ["dataset_builder", "fusionrs_hf", "model_cards", "training"])
def test_every_package_tells_checkers_that_it_is_typed(package):
    assert (ROOT / package / "py.typed").is_file()
