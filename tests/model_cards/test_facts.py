import json

from model_cards.facts import BaseModel, Estimate, percent, read_base_model


def test_a_converted_tower_is_described_by_its_origin_and_a_plain_one_by_its_id(tmp_path):
    stated = {
        "model": "A ViT", "package": "p", "version": "1", "hub_id": None, "weights_licence": None,
        "statement": "Unstated.", "demo_only": True,
    }  # fmt: skip
    (tmp_path / "origin.json").write_text(json.dumps(stated))
    assert read_base_model(str(tmp_path)) == BaseModel("A ViT (p 1)", None, None, "Unstated.", True)
    assert read_base_model("openai/clip-vit-base-patch32").hub_id == "openai/clip-vit-base-patch32"


def test_a_folder_has_no_hub_id_and_a_stated_licence_is_kept(tmp_path):
    assert read_base_model(str(tmp_path)) == BaseModel(name=tmp_path.name, hub_id=None)
    stated = {
        "model": "A ViT", "package": "p", "version": "2", "hub_id": "a/vit", "weights_licence": "mit",
        "statement": "Stated.", "demo_only": False,
    }  # fmt: skip
    (tmp_path / "origin.json").write_text(json.dumps(stated))
    assert read_base_model(str(tmp_path)) == BaseModel("A ViT (p 2)", "a/vit", "mit", "Stated.", False)


def test_shares_are_percent_with_one_decimal_and_their_interval():
    assert percent(Estimate(0.05)) == "5.0" and percent(0.05, sign=True) == "+5.0"
    assert percent(Estimate(0.5, 0.0, 0.25)) == "50.0 [0.0, 25.0]"
