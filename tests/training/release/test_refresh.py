"""A card that is out of date is refused at the door, and an evaluation brings it up to date."""

import json
from pathlib import Path

import pytest

import fusionrs_hf.auto  # noqa: F401 - so that save_pretrained writes the remote code
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.rights_rows import build_rows, write_source
from tests.made import tiny
from tests.training.release.test_cards import LOG, subset
from training.release.card_checks import check_card
from training.release.cards import write_clip_card
from training.release.refresh import refresh_beside, refresh_card
from training.trainers.run_log import LOG_NAME, base_models


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    folder = tmp_path / "clip"
    tiny.clip_model().save_pretrained(folder)
    tiny.clip_processor().save_pretrained(folder)
    described = {"name": "Fields of the coast", "hub_id": None}
    (folder / LOG_NAME).write_text(json.dumps(LOG | {"dataset": described}))
    write_clip_card(folder, model_id="runs/clip")
    return folder


def score(folder: Path, recall: float) -> None:
    metrics = {"trained": {"held_out_region/nir": subset(recall)}}
    (folder / "metrics.json").write_text(json.dumps(metrics))


def test_an_evaluation_writes_the_card_anew_and_the_door_insists(clip):
    with pytest.raises(InputError, match="README.md line \\d+: 'Not evaluated yet' stands where a result should"):
        check_card(clip, "clip")
    score(clip, 0.75)
    refresh_beside(clip / "metrics.json")
    check_card(clip, "clip")
    text = (clip / "README.md").read_text()
    assert "75.0" in text and "Not evaluated" not in text and '"runs/clip"' in text
    score(clip, 0.5)
    with pytest.raises(InputError, match="is not as in metrics.json; `fusionrs card"):
        check_card(clip, "clip")
    refresh_card(clip)
    check_card(clip, "clip")


def test_a_line_of_the_run_that_was_changed_is_named(clip):
    score(clip, 0.75)
    refresh_card(clip)
    card = clip / "README.md"
    card.write_text(card.read_text().replace("20 training rows", "20,000 training rows"))
    with pytest.raises(InputError, match="lacks the line '| data | Fields of the coast, 20 training rows"):
        check_card(clip, "clip")


def test_a_snippet_that_is_no_python_is_named_by_its_line(clip):
    score(clip, 0.75)
    refresh_card(clip)
    card = clip / "README.md"
    lines = card.read_text().splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("rgb = "))
    lines[place] = "rgb = = Image"
    card.write_text("\n".join(lines))
    with pytest.raises(InputError, match=f"README.md line {place + 1}: the snippet is no Python"):
        check_card(clip, "clip")


def test_a_card_names_its_own_data_and_what_it_started_from(clip):
    text = (clip / "README.md").read_text()
    assert "| data | Fields of the coast, 20 training rows" in text and "FusionRS, " not in text
    started = base_models(str(clip))
    assert [model.name for model in started] == ["clip", "A tower"]
    assert (
        started[0].statement == "Trained by fusionrs-hf on Fields of the coast, 5 steps; it started from what follows."
    )


def test_nothing_is_written_where_there_is_no_run(tmp_path):
    (tmp_path / "metrics.json").write_text("{}")
    refresh_beside(tmp_path / "metrics.json")
    assert not (tmp_path / "README.md").exists()
    with pytest.raises(InputError, match="has no training_log.json or build_report.json"):
        refresh_card(tmp_path)


def test_a_saved_configuration_names_no_folder_of_its_towers(tmp_path):
    model = tiny.clip_model()
    model.config.vision_config._name_or_path = model.config.text_config._name_or_path = str(tmp_path)
    model.save_pretrained(tmp_path / "clip")
    assert str(tmp_path) not in (tmp_path / "clip" / "config.json").read_text()
    assert model.config.vision_config._name_or_path == str(tmp_path)


def test_a_dataset_s_card_is_written_anew_from_its_report(tmp_path: Path):
    out = tmp_path / "out"
    build_rows(write_source(tmp_path / "source"), out)
    names = ("README.md", "croissant.json")
    before = [(out / name).read_bytes() for name in names]
    for name in names:
        (out / name).write_text("torn")
    assert refresh_card(out) == out / "README.md"
    assert [(out / name).read_bytes() for name in names] == before
