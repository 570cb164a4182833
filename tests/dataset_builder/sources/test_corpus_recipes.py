import shutil
from pathlib import Path

import pytest

import dataset_builder
from dataset_builder.recipe import load_recipe
from dataset_builder.rights.table import read_policy
from dataset_builder.sources import open_source
from tests.dataset_builder.made.corpora import (
    index_row,
    nwpu,
    rows_of,
    rs5m_tar,
    rsicd,
    rsitmd,
    skyscript,
    sydney,
    ucm,
    write_index,
)

RECIPES = Path(dataset_builder.__file__).parent / "recipes"


def rs5m(folder):
    rs5m_tar(folder / "RS5M/train/pub11-train-0000.tar", 0, 3)
    rs5m_tar(folder / "RS5M/val/rs3-val-0000.tar", 3, 1)


def corpora(folder):
    rsicd(folder / "RSICD")
    rsitmd(folder / "RSITMD")
    ucm(folder / "UCM_captions")
    sydney(folder / "Sydney_captions")
    nwpu(folder / "NWPU-Captions")


def index(folder):
    corpora(folder)
    skyscript(folder / "SkyScript", name="SkyScript_train_unfiltered_5M.csv")
    rows = [
        index_row("NWPU", 1, "NWPU_images/airport/airport_002.jpg"),
        index_row("RSICD", 2, "RSICD_images/airport_1.jpg"),
        index_row("RSITMD", 3, "images/boat_1.tif"),
        index_row("SkyScript", 4, "images2/w7_US_21.jpg"),
        index_row("RS5M", 5, "images/laion2b_5.jpg"),
    ]
    write_index(folder / "fusionrs_public_index_v3_rc4_20260727.jsonl.gz", rows)


# Rows by reason that the fixture gives when read by the recipe as it is shipped, set only beside the data.
CASES = {
    "rs5m.yaml": (rs5m, {None: 3}),
    "skyscript.yaml": (lambda folder: skyscript(folder / "SkyScript"), {None: 3}),
    "caption_corpora.yaml": (corpora, {None: 11}),
    "fusionrs_index.yaml": (index, {None: 4, "source_not_local": 1}),
}


@pytest.mark.parametrize("name", CASES)
def test_an_example_recipe_reads_data_laid_out_as_it_says(tmp_path, name):
    make, expected = CASES[name]
    make(tmp_path)
    recipe = load_recipe(shutil.copy(RECIPES / name, tmp_path))
    rows = [row for spec in recipe.sources for row in rows_of(open_source(spec, recipe.base))]
    reasons = [row["_reason"] for row in rows]
    assert {reason: reasons.count(reason) for reason in reasons} == expected
    assert all(row["captions"] for row in rows if row["_reason"] is None)
    assert {row["source_dataset"] for row in rows} <= set(recipe.attribution) | {"RS5M"}
    known = {code.casefold() for code in read_policy().entries}
    unknown = {row["rights"] for row in rows if row["rights"].casefold() not in known}
    assert unknown <= {"UCM-Captions", "Sydney-Captions"}
