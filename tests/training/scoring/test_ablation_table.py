import numpy as np
import pytest

from fusionrs_hf.encoders import Encoder
from tests.made import tiny, tiny_dataset
from training.evaluate_clip import evaluate
from training.scoring.ablation_table import AblationTable, Tallies, markdown, tally_rows
from training.scoring.held_out import held_out

COLUMNS = ("held_out_region/nir|rgb_to_ir", "held_out_region/nir|ir_to_rgb", "held_out_region/swir|rgb_to_ir")


def tallies(hits):
    """Three tiles, of which the third has no row in the second band; one query each."""
    queries = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    return Tallies(np.array(["a", "b", "c"]), COLUMNS, np.array(hits, float) * queries, queries)


WEAK, STRONG = [[0, 0, 0], [0, 1, 0], [1, 0, 0]], [[1, 1, 1], [1, 1, 1], [1, 1, 0]]


def test_recall_is_averaged_within_a_column_and_then_over_columns():
    """Columns by hand: 1/3, 1/3 and 0/2; of the strong one all 1."""
    table = AblationTable({("weak", 0): tallies(WEAK), ("strong", 0): tallies(STRONG)}, "weak")
    cell = table.cell("weak", "held_out_region", "RGB and infrared")
    assert cell["mean"][0] == pytest.approx((1 / 3 + 1 / 3 + 0) / 3)
    cell = table.cell("strong", "held_out_region", "RGB and infrared")
    assert cell["mean"] == [1.0, 1.0, 1.0] and cell["difference"][0] == pytest.approx(1 - 2 / 9)
    assert table.cell("weak", "held_out_region", "RGB and infrared")["difference"] == [0.0, 0.0, 0.0]


def test_seeds_are_averaged_and_shown_one_by_one():
    runs = {("weak", 0): tallies(WEAK), ("weak", 1): tallies(WEAK)}
    runs |= {("other", 0): tallies(WEAK), ("other", 1): tallies(STRONG)}
    cell = AblationTable(runs, "weak").cell("other", "held_out_region", "RGB and infrared")
    assert cell["by_seed"] == pytest.approx([2 / 9, 1.0]) and cell["mean"][0] == pytest.approx((2 / 9 + 1) / 2)
    assert [value for value, *_ in cell["difference_by_seed"]] == pytest.approx([0, 7 / 9])


def test_the_best_has_the_highest_published_mean_recall():
    runs = {(name, 0): tallies(hits) for name, hits in (("weak", WEAK), ("strong", STRONG), ("again", WEAK))}
    assert AblationTable(runs, "weak").best() == "strong"


def test_the_best_has_the_highest_mean_and_not_the_luckiest_resample():
    """One tile answers all, another recipe's tiles a third each: resamples without that tile have none of it."""
    one, thirds = [[1, 1, 1], [0, 0, 0], [0, 0, 0]], [[0.3, 0.3, 0.3]] * 3
    runs = {(name, 0): tallies(hits) for name, hits in (("thirds", thirds), ("one", one))}
    table = AblationTable(runs, "thirds")
    value, low, _ = table.cell("one", "held_out_region", "RGB and infrared")["mean"]
    assert value > 0.3 > low and table.best() == "one"


def test_the_interval_is_of_the_paired_difference():
    """Two recipes that rise and fall together over tiles, one always half a point above: no spread is left."""
    generator = np.random.default_rng(0)
    hits = generator.random((40, 3))
    groups, queries = np.arange(40).astype(str), np.ones((40, 3))
    runs = {("a", 0): Tallies(groups, COLUMNS, hits, queries), ("b", 0): Tallies(groups, COLUMNS, hits + 0.5, queries)}
    cell = AblationTable(runs, "a").cell("b", "held_out_region", "RGB and infrared")
    assert cell["difference"] == pytest.approx([0.5, 0.5, 0.5])
    assert cell["mean"][2] - cell["mean"][1] > 0.05


def test_markdown_sorts_by_score_and_marks_what_excludes_zero():
    runs = {(name, 0): tallies(hits) for name, hits in (("weak", WEAK), ("strong", STRONG))}
    lines = markdown(AblationTable(runs, "weak").report(), "weak").splitlines()
    assert lines[0] == "**held out region**" and lines[2] == "| recipe | RGB and infrared | seeds above |"
    assert lines[4].startswith("| strong | 100.0 **[+") and lines[4].endswith("| 1 of 1 |")
    assert lines[5] == "| weak | 22.2 |  |"


def test_tallies_give_the_mean_recall_of_the_evaluation(tmp_path):
    folder = tiny_dataset.write(tmp_path / "dataset", held_out=4)
    model, processor = tiny.clip_model(), tiny.clip_processor()
    found = tally_rows(Encoder.for_scores(model, processor), held_out(str(folder), "test"))
    found.save(tmp_path / "tallies.npz")
    found = Tallies.load(tmp_path / "tallies.npz")
    scored = evaluate(model, processor, str(folder))
    table = AblationTable({("tiny", 0): found}, "tiny")
    for measure, kinds in (
        ("with scene captions", ["scene"]),
        ("with IR-aware captions", ["ir_aware"]),
        ("mean recall", ["scene", "ir_aware"]),
    ):
        expected = np.mean([subset.mean_recall[kind].value for subset in scored.values() for kind in kinds])
        assert table.cell("tiny", table.parts[0], measure)["mean"][0] == pytest.approx(expected)
