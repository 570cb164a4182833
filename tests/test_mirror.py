"""The tests mirror the tree: a test file lies in the room of what it tests and bears its name."""

from pathlib import Path

import pytest

from tests.house import PACKAGES, ROOT

# Tests of what several files do together, and what holds them together.
TOGETHER = {
    "dataset_builder/test_loading.py": "a build as its users load it",
    "dataset_builder/test_own_data.py": "the builder's README, run as it stands",
    "dataset_builder/test_quarantine_reasons.py": "the reasons for which rows leave, in the code and in the README",
    "dataset_builder/test_fusionrs_versions.py": "the builder under older datasets",
    "dataset_builder/test_former_version.py": "datasets that an older version built",
    "dataset_builder/test_recaption_by_row.py": "the caption verb while an endpoint fails",
    "dataset_builder/test_verbs_at_once.py": "verbs that meet on one folder, and verbs that are killed",
    "dataset_builder/test_verb_folders.py": "what verbs write into, replace and leave alone",
    "dataset_builder/audit/test_against.py": "audit of several datasets",
    "dataset_builder/audit/test_agrees.py": "the builder's groups and the audit's",
    "dataset_builder/building/test_bad_inputs.py": "whole builds of damaged images",
    "dataset_builder/building/test_kills.py": "builds that are killed",
    "dataset_builder/building/test_launches.py": "one build, launched in different ways",
    "dataset_builder/captioning/test_injection.py": "hostile texts through build, card and page",
    "dataset_builder/captioning/models/test_endpoint_secrets.py": "keys of the endpoint in whatever is written",
    "dataset_builder/claims/test_pair_invariance.py": "each kind of fact of a pair, on changed images",
    "dataset_builder/publish/test_verbs.py": "flags of the build verb that publish and remove",
    "dataset_builder/sources/test_recipes.py": "the shipped recipes of each reader",
    "dataset_builder/sources/test_corpus_recipes.py": "the shipped recipes of public corpora",
    "training/release/test_hub_faults.py": "pushes to a Hub on which any request fails",
    "training/release/test_stock_doors.py": "what the libraries' own push_to_hub leaves",
    "training/release/test_takedown.py": "rows that are taken down, and the history that still has them",
    "training/test_train_clip_inputs.py": "wrong inputs of CLIP training and evaluation",
}
TESTS = sorted(path for package in PACKAGES for path in (ROOT / "tests" / package).rglob("test_*.py"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT / "tests")))
def test_a_test_file_bears_the_name_of_what_it_tests(path):
    place = path.relative_to(ROOT / "tests")
    if place.as_posix() in TOGETHER:
        return
    name = place.stem.removeprefix("test_")
    of_a_file = ROOT / place.parent / f"{name}.py"
    of_the_room = place.parent.name == name and (ROOT / place.parent / "__init__.py").exists()
    of_a_metric = ROOT / place.parent / name / f"{name}.py"
    assert of_a_file.exists() or of_the_room or of_a_metric.exists(), f"{place} tests nothing of its name"


def test_exceptions_are_there():
    assert [name for name in TOGETHER if not (ROOT / "tests" / name).exists()] == []


def test_makers_of_inputs_lie_apart():
    plain = {"__init__.py", "conftest.py", "house.py"}
    strays = [
        str(path.relative_to(ROOT))
        for package in ("", *PACKAGES)
        for path in Path(ROOT / "tests" / package).rglob("*.py")
        if not path.name.startswith("test_") and path.name not in plain
        if not {"made", "attacks", "benchmarks", "data", "mutants"} & set(path.relative_to(ROOT / "tests").parts)
    ]
    assert strays == []
