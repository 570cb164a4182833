import errno
from copy import deepcopy

import numpy as np
import pytest
import torch
from transformers import AutoProcessor, BertConfig, Dinov2Config

from fusionrs_hf import export
from fusionrs_hf.encoders import Encoder, model_fingerprint
from fusionrs_hf.errors import InputError
from fusionrs_hf.exported_text import embed_text, export_facts
from fusionrs_hf.folder_manifest import read_manifest
from tests.made import tiny

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

DINO = {"vision_pooling": "grid", "feature_norm": True} | {
    "vision_config": Dinov2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, mlp_ratio=2, image_size=tiny.IMAGE_PX, patch_size=4
    )
}
BERT = {"text_pooling": "mean"} | {
    "text_config": BertConfig(
        vocab_size=4 + len(tiny.WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
    )
}


def run(folder, name, inputs):
    session = onnxruntime.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])
    return session.run(None, dict(inputs))[0]


@pytest.fixture(scope="module")
def model():
    """Towers as the demo's, with a modality tile and a gate that are not neutral."""
    model = tiny.clip_model(**DINO, **BERT, modality_embedding=True, fusion="gated")
    with torch.no_grad():
        model.modality_embedding.normal_()
        model.fusion.gate.weight.normal_()
    return model


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    """Infrared and text only: a file takes seconds. `test_every_kind_of_tower` makes all four."""
    folder, make_parts = tmp_path_factory.mktemp("model"), export.make_parts
    model.save_pretrained(folder / "model")
    tiny.clip_processor().save_pretrained(folder / "model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "make_parts", lambda *given: {n: make_parts(*given)[n] for n in ("ir", "text")})
        assert max(export.export_onnx(str(folder / "model"), folder / "onnx").values()) < 1e-5
    return folder / "onnx"


def test_the_files_give_the_models_embeddings_for_any_batch_and_length(exported, model):
    processor = AutoProcessor.from_pretrained(exported)
    encoder = Encoder(model, processor)
    for count in (1, 2, 5):
        images = [tiny.ir_image(seed) for seed in range(count)]
        texts = ["water", "a dark forest over wet ground", "the field", "dry", "bright water north"][:count]
        found = run(exported, "ir", processor(ir_images=images, return_tensors="np"))
        np.testing.assert_allclose(found, encoder.ir(images), atol=1e-5)
        found = run(exported, "text", processor(text=texts, return_tensors="np"))
        np.testing.assert_allclose(found, encoder.text(texts), atol=1e-5)


def test_a_text_alone_is_embedded_without_torch(exported, model):
    facts, texts = export_facts(exported), ["water", "a dark forest over wet ground"]
    expected = Encoder(model, tiny.clip_processor()).text(texts)
    np.testing.assert_allclose([embed_text(exported, facts, text) for text in texts], expected, atol=1e-5)
    assert facts.fingerprint == model_fingerprint(model, tiny.clip_processor())
    with pytest.raises(InputError, match="has 31 tokens, at most 16 are read"):
        embed_text(exported, facts, "water " * 30)
    assert export_facts(exported.parent / "model") is None


def test_the_folder_says_what_is_in_it(exported):
    text = (exported / "README.md").read_text()
    assert f"Opset {export.OPSET}" in text and "| `ir.onnx` | ir_pixel_values | ir_embeds |" in text
    assert "at most 16 tokens" in text


def test_a_folder_with_something_in_it_is_refused(exported, tmp_path):
    before = {path.name: path.read_bytes() for path in exported.iterdir()}
    with pytest.raises(InputError, match="holds a finished export; --overwrite replaces it"):
        export.export_onnx("any", exported)
    assert {path.name: path.read_bytes() for path in exported.iterdir()} == before
    (tmp_path / "thesis.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="is not empty and not of `fusionrs export` .thesis.txt"):
            export.export_onnx("any", tmp_path, overwrite)


def test_an_export_is_replaced_file_by_file(tmp_path, monkeypatch):
    tiny.clip_model().save_pretrained(tmp_path / "model")
    tiny.clip_processor().save_pretrained(tmp_path / "model")
    make_parts = export.make_parts
    monkeypatch.setattr(export, "make_parts", lambda *given: {"fused": make_parts(*given)["fused"]})
    out = tmp_path / "onnx"
    export.export_onnx(str(tmp_path / "model"), out)
    (out / "config.old").write_text("mine")
    with pytest.raises(InputError, match="did not write .config.old"):
        export.export_onnx(str(tmp_path / "model"), out, overwrite=True)
    (out / "config.old").unlink()
    export.export_onnx(str(tmp_path / "model"), out, overwrite=True)
    manifest = read_manifest(out)
    assert manifest.finished and {"fused.onnx", "README.md"} <= set(manifest.files)
    assert {path.name for path in tmp_path.iterdir()} == {"model", "onnx"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_and_a_closed_folder_are_told_in_a_line(tmp_path, monkeypatch, number):
    tiny.clip_model().save_pretrained(tmp_path / "model")
    tiny.clip_processor().save_pretrained(tmp_path / "model")

    def fail(part, path):
        raise OSError(number, "as the system says", str(path))

    monkeypatch.setattr(export, "write_part", fail)
    with pytest.raises(InputError, match=r"`fusionrs export` stopped in .*onnx: .*, then run the same command again"):
        export.export_onnx(str(tmp_path / "model"), tmp_path / "onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_file_that_differs_from_torch_is_refused(exported, model):
    part = export.make_parts(model, tiny.clip_processor())["ir"]
    assert export.compare_part(part, exported / "ir.onnx") < 1e-5
    with torch.no_grad():
        part.module.model = deepcopy(model)
        part.module.model.visual_projection.weight[0, 0] += 0.1
    with pytest.raises(InputError, match="ir.onnx differs from torch by .* it is refused"):
        export.compare_part(part, exported / "ir.onnx")


def test_nothing_is_left_where_a_file_is_refused(tmp_path, monkeypatch):
    tiny.clip_model().save_pretrained(tmp_path / "model")
    tiny.clip_processor().save_pretrained(tmp_path / "model")

    def refuse(part, path):
        path.write_bytes(b"half")
        raise InputError("refused")

    monkeypatch.setattr(export, "write_part", refuse)
    with pytest.raises(InputError, match="refused"):
        export.export_onnx(str(tmp_path / "model"), tmp_path / "onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.slow
@pytest.mark.every_change
@pytest.mark.parametrize("kind", ["shared", "separate", "one_channel", "demo"])
def test_every_kind_of_tower(tmp_path, model, kind):
    clip = tiny.clip_model()
    models = {"shared": clip, "demo": model}
    models |= {"separate": clip.with_options(ir_channels=3), "one_channel": clip.with_options(ir_channels=1)}
    model, processor = models[kind].eval(), tiny.clip_processor()
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    errors = export.export_onnx(str(tmp_path / "model"), tmp_path / "onnx")
    assert set(errors) == {"rgb.onnx", "ir.onnx", "text.onnx", "fused.onnx"} and max(errors.values()) < 1e-5
    encoder, rgb, ir = Encoder(model, processor), [tiny.rgb_image(1)], [tiny.ir_image(1)]
    found = {
        "rgb_embeds": run(tmp_path / "onnx", "rgb", processor(images=rgb, return_tensors="np")),
        "ir_embeds": run(tmp_path / "onnx", "ir", processor(ir_images=ir, return_tensors="np")),
    }
    fused = encoder.fuse(encoder.rgb(rgb), encoder.ir(ir))
    np.testing.assert_allclose(run(tmp_path / "onnx", "fused", found), fused, atol=1e-5)
