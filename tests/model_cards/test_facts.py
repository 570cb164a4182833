import json

from model_cards.facts import BaseModel, read_base_model


def test_a_converted_tower_is_described_by_its_origin_and_a_plain_one_by_its_id(tmp_path):
    stated = {
        "model": "A ViT", "package": "p", "version": "1", "hub_id": None, "weights_licence": None,
        "statement": "Unstated.", "demo_only": True,
    }  # fmt: skip
    (tmp_path / "origin.json").write_text(json.dumps(stated))
    assert read_base_model(str(tmp_path)) == BaseModel("A ViT (p 1)", None, None, "Unstated.", True)
    assert read_base_model("openai/clip-vit-base-patch32").hub_id == "openai/clip-vit-base-patch32"
