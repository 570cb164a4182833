import doctest
import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import AutoModel, CLIPConfig, CLIPModel, CLIPProcessor

from fusionrs_hf import encoders
from fusionrs_hf.encoders import Encoder, load_clip
from fusionrs_hf.errors import InputError
from fusionrs_hf.images import readable_infrared
from fusionrs_hf.processing_fusionrs_images import one_channel
from tests.made import tiny


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """A folder as the authors publish theirs: `CLIPModel` and `CLIPProcessor`, nothing else."""
    folder = tmp_path_factory.mktemp("stock")
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config=tiny.text_config().to_dict(), vision_config=tiny.vision_config().to_dict(), projection_dim=8
    )
    CLIPModel(config).save_pretrained(folder)
    CLIPProcessor(tiny.image_processor(), tiny.tokenizer()).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Paths of five RGB images, and of five infrared ones kept in three equal channels."""
    folder = tmp_path_factory.mktemp("files")
    for index in range(5):
        tiny.rgb_image(index).save(folder / f"rgb{index}.png")
        tiny.ir_image(index).convert("RGB").save(folder / f"ir{index}.png")
    return [[folder / f"{name}{index}.png" for index in range(5)] for name in ("rgb", "ir")]


def test_a_stock_clip_folder_gives_clip_s_own_embeddings_of_all_three(stock, files):
    encoder = Encoder(*load_clip(str(stock)), batch_size=2)  # 2 does not divide 5
    model, processor = CLIPModel.from_pretrained(stock).eval(), CLIPProcessor.from_pretrained(stock)
    texts = ["dark water", "a bright dry field over the ground", "forest"]
    with torch.inference_mode():
        for found, paths in ((encoder.rgb(files[0]), files[0]), (encoder.ir(files[1]), files[1])):
            inputs = processor(images=[Image.open(path) for path in paths], return_tensors="pt")
            theirs = F.normalize(model.get_image_features(**inputs).pooler_output, dim=-1)
            torch.testing.assert_close(torch.from_numpy(found), theirs, rtol=0, atol=1e-6)
        inputs = processor(text=texts, return_tensors="pt", padding=True)
        theirs = F.normalize(model.get_text_features(**inputs).pooler_output, dim=-1)
        torch.testing.assert_close(torch.from_numpy(encoder.text(texts)), theirs, rtol=0, atol=1e-6)


def test_a_stock_folder_saved_by_us_loads_by_the_auto_classes(stock, files, tmp_path):
    model, processor = load_clip(str(stock))
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = AutoModel.from_pretrained(tmp_path)
    assert type(again) is type(model)
    first, last = (Encoder(*load_clip(str(folder))) for folder in (stock, tmp_path))
    np.testing.assert_allclose(first.rgb(files[0]), last.rgb(files[0]), atol=1e-6)


def test_paths_and_images_give_the_same(stock, files):
    encoder = Encoder(*load_clip(str(stock)), batch_size=2)
    rgb = encoder.rgb([Image.open(path) for path in files[0]])
    ir = encoder.ir([Image.open(path).convert("L") for path in files[1]])
    np.testing.assert_array_equal(encoder.rgb([str(path) for path in files[0]]), rgb)
    np.testing.assert_array_equal(encoder.ir(files[1]), ir)
    fused = encoder.fuse(rgb, ir)
    np.testing.assert_allclose(np.linalg.norm(fused, axis=1), 1, atol=1e-6)
    assert len(encoder.rgb([])) == len(encoder.text([])) == 0


@pytest.mark.parametrize("memory", [False, True])
def test_arrays_and_tensors_give_what_their_images_give(stock, memory):
    encoder = Encoder(*load_clip(str(stock)), batch_size=2, memory=memory)
    rgb, ir = tiny.rgb_image(), tiny.ir_image()
    given = [rgb, np.asarray(rgb), torch.tensor(np.asarray(rgb)).permute(2, 0, 1)]
    np.testing.assert_allclose(encoder.rgb(given), np.repeat(encoder.rgb([rgb]), 3, 0), atol=1e-6)
    given = [ir, np.asarray(ir), torch.tensor(np.asarray(ir))]
    np.testing.assert_allclose(encoder.ir(given), np.repeat(encoder.ir([ir]), 3, 0), atol=1e-6)


def test_what_is_missing_or_no_list_or_no_pair_is_told(stock):
    encoder = Encoder(*load_clip(str(stock)), batch_size=1)
    with pytest.raises(ValueError, match="image 1: it is None"):
        encoder.ir([tiny.ir_image(), None])
    for one, embed in ((tiny.rgb_image(), encoder.rgb), ("a.png", encoder.ir), ("dark water", encoder.text)):
        with pytest.raises(ValueError, match=r"takes a list, got one .*; give \[it\]"):
            embed(one)
    with pytest.raises(ValueError, match="got 2 RGB and 1 infrared"):
        encoder.fuse(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32)[:1], 0.5)


def test_a_file_that_cannot_be_read_is_named(stock, files, tmp_path):
    encoder = Encoder(*load_clip(str(stock)))
    (tmp_path / "cut.png").write_bytes(files[0][0].read_bytes()[:60])
    with pytest.raises(InputError, match="cut.png cannot be read as such an image"):
        encoder.rgb([files[0][0], tmp_path / "cut.png"])
    with pytest.raises(InputError, match="none.png cannot be read.*No such file"):
        encoder.ir([tmp_path / "none.png"])
    with pytest.raises(InputError, match="ir3.png cannot be read.*three equal channels"):
        encoder.rgb([files[1][3]])
    with pytest.raises(InputError, match="rgb3.png cannot be read.*got RGB; RGB goes into images="):
        encoder.ir([files[0][3]])


def test_sixteen_bit_files_go_to_the_processor_as_they_are(tmp_path):
    wide = np.arange(1024, dtype=np.uint16).reshape(32, 32)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    model = tiny.clip_model()
    encoder = Encoder(model, tiny.clip_processor(ir_range=[0, 1023]))
    np.testing.assert_array_equal(encoder.ir([tmp_path / "wide.png"]), encoder.ir([wide]))
    with pytest.raises(ValueError, match="infrared of dtype uint16 needs limits"):
        Encoder(model, tiny.clip_processor()).ir([tmp_path / "wide.png"])


@pytest.mark.parametrize("batch_size", [2, 64])
def test_a_memory_changes_no_embedding(batch_size):
    images = [tiny.rgb_image(index % 3) for index in range(7)], [tiny.ir_image(index % 3) for index in range(7)]
    texts = ["water", "dry field", "dark water", "water", "field"]
    plain, scoring = (
        build(tiny.clip_model(), tiny.clip_processor(), batch_size=batch_size)
        for build in (Encoder, Encoder.for_scores)
    )
    for _ in range(2):
        np.testing.assert_allclose(scoring.rgb(images[0]), plain.rgb(images[0]), atol=1e-6)
        np.testing.assert_allclose(scoring.ir(images[1]), plain.ir(images[1]), atol=1e-6)
        np.testing.assert_allclose(scoring.text(texts), plain.text(texts), atol=1e-6)
    assert plain.memory is None and len(scoring.memory) == 3 + 3 + 4
    assert len(scoring.rgb([])) == len(scoring.text([])) == 0


def test_bands_say_which_limits_an_infrared_image_has():
    encoder = Encoder(tiny.clip_model(), tiny.clip_processor(ir_range={"nir": [0, 510], "lwir": [0, 1020]}), 2)
    grey = [tiny.ir_image(index) for index in range(3)]
    wide = [np.asarray(image).astype(np.uint16) * factor for image, factor in zip(grey, (2, 4, 2))]
    np.testing.assert_array_equal(encoder.ir(wide, ["nir", "lwir", "nir"]), encoder.ir(grey))
    with pytest.raises(ValueError, match="infrared of dtype uint16 needs limits"):
        encoder.ir(wide, ["nir", "swir", "nir"])


def test_pooled_features_are_standardised_where_asked():
    model = tiny.clip_model(feature_norm=True)
    size = model.config.image_feature_size
    model.fit_feature_norm(torch.randn(9, size), 1 + torch.randn(9, size))
    encoder, processor = Encoder(model, tiny.clip_processor(), pooled=True), tiny.clip_processor()
    with torch.no_grad():
        pooled = model.get_pooled_features(processor(ir_images=tiny.ir_image())["ir_pixel_values"], "ir")
        for encoder.standardise in (False, True):
            features = model.feature_norm(pooled, "ir") if encoder.standardise else pooled
            expected = F.normalize(features, dim=-1)
            torch.testing.assert_close(torch.from_numpy(encoder.ir([tiny.ir_image()])), expected)


def test_declared_rgb_may_be_grey_and_infrared_is_checked_as_ever(tmp_path):
    grey = tiny.ir_image().convert("RGB")
    grey.save(tmp_path / "grey.png")
    model, processor = tiny.clip_model(), tiny.clip_processor()
    with pytest.raises(ValueError, match="three equal channels"):
        Encoder(model, processor).rgb([grey])
    encoder = Encoder(model, processor, declared=True)
    np.testing.assert_array_equal(encoder.rgb([grey]), encoder.rgb([tmp_path / "grey.png"]))
    with pytest.raises(ValueError, match="RGB goes into images="):
        encoder.ir([tiny.rgb_image()])


def test_three_channels_that_agree_are_one_and_colours_are_not():
    values = np.full((10, 10, 3), 100, np.uint8)
    values[..., 1] += 2
    assert np.unique(one_channel(Image.fromarray(values))).tolist() == [101]  # 302 / 3 is 100.67
    values[0, 0] = (0, 90, 200)
    assert one_channel(Image.fromarray(values)).mode == "L"  # one pixel of a hundred
    values[0, 1] = (0, 90, 200)
    coloured = Image.fromarray(values)
    assert one_channel(coloured) is coloured
    grey = tiny.ir_image()
    assert one_channel(grey) is grey and readable_infrared(grey.convert("RGB"), None, "nir")[0] == grey


def test_the_example_runs_as_printed(stock, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(stock, "clip")
    for index, name in enumerate("ab"):
        shutil.copy(files[0][index], f"{name}.png")
        shutil.copy(files[1][index], f"{name}_ir.png")
    (example,) = (test for test in doctest.DocTestFinder().find(encoders) if test.examples)
    assert doctest.DocTestRunner().run(example, clear_globs=False).failed == 0
    cosines, pairs = example.globs["cosines"], example.globs["pairs"]
    assert [matrix.shape for matrix in cosines.values()] == [(2, 2)] * 3 and pairs.shape == (2, 8)
    assert np.abs(cosines["rgb_ir"]).max() <= 1 + 1e-6
