import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from datasets import Dataset, load_dataset
from PIL import Image

from dataset_builder.schema import FEATURES
from dataset_builder.search import embedding, retrieval
from dataset_builder.search.row_embedder import RowEmbedder
from dataset_builder.search.rows import Rows, describe_rows
from dataset_builder.search.store import ROW_FEATURES, EmbeddingStore
from dataset_builder.shards.opening import bring_dataset
from fusionrs_hf.cli import main
from fusionrs_hf.encoders import Encoder, load_clip, model_fingerprint
from fusionrs_hf.errors import InputError
from fusionrs_hf.export import export_onnx
from tests.made import tiny, tiny_dataset

pytest.importorskip("faiss")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny.clip_model(modality_embedding=True).save_pretrained(folder)
    tiny.clip_processor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Train of 4 tiles, validation and test of 3, two bands a tile."""
    return tiny_dataset.write(tmp_path_factory.mktemp("dataset"))


def embed(data, model, folder, splits=("train", "test"), **settings):
    place = describe_rows(str(data), splits, {})
    return embedding.embed(place, str(model), folder, embedding.EmbedSettings(**settings))


@pytest.fixture(scope="module")
def index(dataset, model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "index"
    embed(dataset, model, folder, batch_size=4)
    return folder


def row_embedder(**settings):
    given = {"modalities": ("rgb", "ir", "fused", "text"), "ir_range": None} | settings
    return RowEmbedder(Encoder(tiny.clip_model(), tiny.clip_processor()), **given)


def test_embeddings_are_the_models_own(index, dataset, model):
    rows = EmbeddingStore.open(index).rows().with_format("torch")
    clip, processor = load_clip(str(model))
    files = [str(dataset / "data" / f"{split}-00000-of-00001.parquet") for split in ("train", "test")]
    stored = {row["sample_id"]: row for row in Dataset.from_parquet(files)}  # decoded by `datasets`
    assert set(rows["sample_id"]) == set(stored) and len(rows) == 14
    for row in rows:
        own = stored[row["sample_id"]]
        text = [*own["captions"], *own["ir_captions"]]
        with torch.inference_mode():
            given = processor(images=[own["rgb"]], ir_images=[own["ir"]], text=text)
            expected = clip(**given)
        for name in ("rgb", "ir", "fused"):
            torch.testing.assert_close(row[f"{name}_embedding"], expected[f"{name}_embeds"][0], rtol=0, atol=1e-6)
        mean = torch.nn.functional.normalize(expected.text_embeds.mean(0), dim=0)
        torch.testing.assert_close(row["text_embedding"], mean, rtol=0, atol=1e-6)


def test_the_index_is_plain_arrow_that_datasets_loads(index, tmp_path):
    rows = load_dataset("arrow", data_files=f"{index}/data/*.arrow", split="train", cache_dir=str(tmp_path))
    assert rows.features == EmbeddingStore.open(index).features
    assert rows["split"][:] == ["test"] * 6 + ["train"] * 8
    meta = json.loads((index / "index.json").read_text())
    assert (meta["dim"], meta["normalised"], meta["rows"]) == (8, True, 14)
    assert meta["embedded"] == {"rgb": 14, "ir": 14, "fused": 14, "text": 14} and meta["skipped"] == {}


def test_float16_is_the_rounded_float32(index, dataset, model, tmp_path):
    embed(dataset, model, tmp_path / "half", batch_size=4, dtype="float16", modalities=["ir"])
    half = EmbeddingStore.open(tmp_path / "half").rows().with_format("numpy")
    assert half.features["ir_embedding"].feature.dtype == "float16"
    full = EmbeddingStore.open(index).rows().with_format("numpy")["ir_embedding"][:]
    np.testing.assert_array_equal(half["ir_embedding"][:], full.astype(np.float16).astype(np.float32))
    assert "rgb_embedding" not in half.column_names and not (tmp_path / "half" / "rgb.faiss").exists()


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_killed_run_continues_at_the_next_shard_to_the_same_bytes(dataset, model, tmp_path, monkeypatch):
    monkeypatch.setattr(embedding, "SHARDS_PER_FILE", 1)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    embed(dataset, model, whole, batch_size=3)
    with monkeypatch.context() as patch:
        plain, calls = RowEmbedder.__call__, []

        def die(self, batch):
            calls.append(len(batch))
            if len(calls) == 4:  # in the midst of the second shard
                raise KeyboardInterrupt
            return plain(self, batch)

        patch.setattr(RowEmbedder, "__call__", die)
        with pytest.raises(KeyboardInterrupt):
            embed(dataset, model, killed, batch_size=3)
    assert [path.name for path in (killed / "data").iterdir()] == ["rows-00000-of-00002.arrow"]
    with pytest.raises(InputError, match="is not finished: `fusionrs embed` is still at work there or was stopped"):
        retrieval.search_index(killed, "water")
    before = (killed / "data" / "rows-00000-of-00002.arrow").stat().st_mtime_ns
    embed(dataset, model, killed, batch_size=3)
    assert (killed / "data" / "rows-00000-of-00002.arrow").stat().st_mtime_ns == before
    assert contents(killed) == contents(whole)


def test_an_index_made_otherwise_is_not_continued(index, dataset, model, tmp_path):
    with pytest.raises(InputError, match="another dtype .*'float32', now 'float16'.*another --output"):
        embed(dataset, model, index, batch_size=4, dtype="float16")
    with pytest.raises(InputError, match="another source"):
        embed(dataset, model, index, splits=["test"], batch_size=4)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"is not empty and not of `fusionrs embed` \(.*notes.txt"):
        embed(dataset, model, tmp_path)


def test_an_image_that_rows_share_is_encoded_once_a_batch(monkeypatch):
    embedder, seen = row_embedder(), []
    plain = embedder.encoder.rgb
    monkeypatch.setattr(embedder.encoder, "rgb", lambda images: seen.append(len(images)) or plain(images))
    columns = embedder(tiny_dataset.rows("train", 3, 0))  # two bands a tile
    assert seen == [3]
    np.testing.assert_array_equal(columns["rgb_embedding"][0::2], columns["rgb_embedding"][1::2])


def test_a_text_that_rows_share_is_encoded_once(monkeypatch):
    embedder, seen = row_embedder(modalities=["text"]), []
    plain = embedder.encoder.text
    monkeypatch.setattr(embedder.encoder, "text", lambda texts: seen.extend(texts) or plain(texts))
    first, second = (embedder(tiny_dataset.rows("train", 3, 0)) for _ in range(2))  # batches of the same rows
    assert len(seen) == len(set(seen)) > 0
    np.testing.assert_array_equal(first["text_embedding"], second["text_embedding"])


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def test_what_cannot_be_embedded_stays_listed_with_its_reason(model, tmp_path):
    rows = tiny_dataset.rows("test", 4, 0)[::2]
    rows[0]["rgb"] = {"bytes": rows[0]["rgb"]["bytes"][:200], "path": None}  # cut off
    rows[1]["ir"] = {"bytes": b"no image", "path": None}
    rows[2]["rgb"] = png(Image.new("RGB", (32, 32), "gray"))
    rows[3] |= {"ir": None, "captions": ["water " * 40], "caption_origin": ["rule"], "ir_captions": []}
    (tmp_path / "d" / "data").mkdir(parents=True)
    Dataset.from_list(rows, features=FEATURES).to_parquet(tmp_path / "d" / "data" / "test-00000-of-00001.parquet")
    meta = embed(tmp_path / "d", model, tmp_path / "index", splits=["test"])
    assert meta.rows == 4 and meta.embedded == {"rgb": 2, "ir": 2, "fused": 0, "text": 3}
    assert meta.skipped == {"rgb: unreadable": 1, "ir: unreadable": 1, "rgb: not_rgb": 1, "text: too_long": 1}
    listed = [json.loads(line) for line in (tmp_path / "index" / "skipped.jsonl").read_text().splitlines()]
    assert [row["skipped"] for row in listed] == [
        ["rgb: unreadable"],
        ["ir: unreadable"],
        ["rgb: not_rgb"],
        ["text: too_long"],
    ]
    store = EmbeddingStore.open(tmp_path / "index")
    found = retrieval.search_index(store.folder, retrieval.Query(text="water"), gallery="rgb", k=9)
    assert {hit.row["sample_id"] for hit in found} == {rows[1]["sample_id"], rows[3]["sample_id"]}
    with pytest.raises(InputError, match="has no fused embeddings; it has rgb, ir, text"):
        retrieval.search_index(store.folder, retrieval.Query(text="water"), gallery="fused")


def test_rows_that_the_source_refuses_are_listed_too():
    [row] = tiny_dataset.rows("test", 1, 0)[:1]
    columns = row_embedder()([row | {"_reason": "nodata", "_split": "test"}])
    assert columns["skipped"] == [["row: nodata"]]
    assert all(np.isnan(columns[f"{name}_embedding"]).all() for name in ("rgb", "ir", "fused", "text"))


def test_wide_infrared_is_scaled_as_the_processor_does_by_band():
    values = np.random.default_rng(0).integers(0, 12000, (32, 32)).astype(np.uint16)
    rows = [row | {"ir": png(Image.fromarray(values))} for row in tiny_dataset.rows("test", 1, 0)]
    ir_range = {"nir": [0, 10000], "swir": [1000, 5000]}
    columns = row_embedder(modalities=["ir"], ir_range=ir_range)(rows)
    processor = tiny.clip_processor(ir_range=ir_range)
    given = processor(ir_images=[Image.fromarray(values)] * 2, ir_bands=["nir", "swir"])
    with torch.inference_mode():
        expected = tiny.clip_model()(**given).ir_embeds
    np.testing.assert_allclose(columns["ir_embedding"], expected, atol=1e-6)
    clipped = [(values > 10000).mean(), ((values < 1000) | (values > 5000)).mean()]
    np.testing.assert_allclose(columns["ir_clipped_ratio"], clipped)
    with pytest.raises(InputError, match="band nir has more than 8 bit and no limits .*--ir-range nir=0,10000"):
        row_embedder(modalities=["ir"])(rows)


@pytest.mark.parametrize("gallery", ["rgb", "ir", "fused", "text"])
def test_search_finds_what_a_plain_loop_finds(index, model, gallery):
    store = EmbeddingStore.open(index)
    vectors = store.rows().with_format("numpy")[f"{gallery}_embedding"][:]
    query = Encoder(*load_clip(str(model))).text(["bright water"])[0]
    hits = retrieval.search_index(store.folder, retrieval.Query(text="bright water"), gallery=gallery, k=5)
    scores = np.sort(vectors @ query)[::-1]
    expected = scores[::2][:5] if gallery == "rgb" else scores[:5]  # two bands share one RGB image
    np.testing.assert_allclose([hit.score for hit in hits], expected, atol=1e-6)
    assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5]
    assert gallery != "rgb" or len({hit.row["source_locator"] for hit in hits}) == 5


def test_an_image_finds_itself_and_a_pair_its_fused_row(index, tmp_path):
    store = EmbeddingStore.open(index)
    tiny.rgb_image(2).save(tmp_path / "rgb.png")
    tiny.ir_image(5).save(tmp_path / "ir.png")  # the second band of tile 2
    for query, gallery in (({"rgb"}, "rgb"), ({"ir"}, "ir"), ({"rgb", "ir"}, None)):
        asked = retrieval.Query(**{name: tmp_path / f"{name}.png" for name in query})
        first = retrieval.search_index(store.folder, asked, gallery=gallery, k=1)[0]
        assert first.score == pytest.approx(1, abs=1e-5)
        assert first.row["sample_id"] == "scene/train2/" + ("nir" if query == {"rgb"} else "swir")


def test_a_band_restricts_what_is_found_and_k_is_still_reached(index):
    hits = retrieval.search_index(index, retrieval.Query(text="water", ir_band="swir"), k=7)
    assert len(hits) == 7 and {hit.row["ir_band"] for hit in hits} == {"swir"}


def test_another_model_is_refused_and_the_same_elsewhere_is_not(index, model, tmp_path):
    store, query = EmbeddingStore.open(index), retrieval.Query(text="water")
    shutil.copytree(model, tmp_path / "same")
    assert retrieval.search_index(store.folder, query, str(tmp_path / "same"), k=1)
    tiny.clip_model(seed=1, modality_embedding=True).save_pretrained(tmp_path / "same")
    with pytest.raises(InputError, match="has the fingerprint .* but .* was embedded with .*embed again"):
        retrieval.search_index(store.folder, query, str(tmp_path / "same"), k=1)


@pytest.mark.slow
@pytest.mark.every_change
def test_an_export_answers_texts_as_its_model_does_without_torch(index, model, tmp_path):
    pytest.importorskip("onnxruntime")
    export_onnx(str(model), tmp_path / "onnx")
    asked = {"index": str(index), "query": "bright water"}
    code = (
        "import json, sys; from dataset_builder.search.retrieval import search_index; "
        "hits = search_index(**json.loads(sys.argv[1])); assert 'torch' not in sys.modules; "
        "print(json.dumps([[hit.row['sample_id'], hit.score] for hit in hits]))"
    )
    command = [sys.executable, "-c", code, json.dumps({**asked, "model": str(tmp_path / "onnx")})]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    hits = retrieval.search_index(**asked)
    assert [name for name, _ in found] == [hit.row["sample_id"] for hit in hits]
    np.testing.assert_allclose([score for _, score in found], [hit.score for hit in hits], atol=1e-5)
    with pytest.raises(InputError, match="exported encoders, which answer --text; for images give the model itself"):
        retrieval.search_index(index, retrieval.Query(rgb=tmp_path / "a.png"), str(tmp_path / "onnx"))
    facts = json.loads((tmp_path / "onnx" / "encoders.json").read_text())
    (tmp_path / "onnx" / "encoders.json").write_text(json.dumps(facts | {"fingerprint": "0" * 64}))
    with pytest.raises(InputError, match="has the fingerprint 000000000000, but"):
        retrieval.search_index(index, "water", str(tmp_path / "onnx"))


def test_the_fingerprint_counts_weights_fusion_and_image_settings():
    base = model_fingerprint(tiny.clip_model(), tiny.clip_processor())
    assert base == model_fingerprint(tiny.clip_model(), tiny.clip_processor(ir_range=[0, 1]))
    brighter = tiny.clip_processor()
    brighter.ir_image_processor.image_mean = [0.1, 0.1, 0.1]
    others = [model_fingerprint(tiny.clip_model(seed=1), tiny.clip_processor())]
    others += [model_fingerprint(tiny.clip_model(fusion_weight=0.4), tiny.clip_processor())]
    others += [model_fingerprint(tiny.clip_model(), brighter)]
    assert len({base, *others}) == 4


def test_images_are_found_again_and_changed_data_is_told(dataset, index, tmp_path):
    store = EmbeddingStore.open(index)
    hits = [hit.row for hit in retrieval.search_index(store.folder, retrieval.Query(text="water"), k=4)]
    found = Rows(store.meta.source).pick(hits)
    assert [row["sample_id"] for row in found] == [row["sample_id"] for row in hits]
    moved = shutil.copytree(dataset, tmp_path / "moved")
    file = moved / "data" / "train-00000-of-00001.parquet"
    pq.write_table(pq.read_table(file).slice(1), file)
    for split in ("test", "validation"):
        (moved / "data" / f"{split}-00000-of-00001.parquet").unlink()
    with pytest.raises(InputError, match="is not where it was embedded; the data changed"):
        Rows(store.meta.source | {"dataset": str(moved)}).pick(hits)
    with pytest.raises(InputError, match="gone is not there any more; name its place by --dataset"):
        Rows(store.meta.source | {"dataset": str(tmp_path / "gone")})


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["search", "INDEX"], "look for a --text that is not empty"),
        (["search", "INDEX", "--text", " "], "look for a --text that is not empty"),
        (["search", "INDEX", "--text", "a", "--rgb", "RGB"], "look for a --text"),
        (["search", "INDEX", "--text", "water " * 40], "--text: a text has 41 tokens but the text tower reads 16"),
        (["search", "INDEX", "--ir", "RGB"], "an image must be of mode RGB (RGB) or of one channel"),
        (["search", "INDEX", "--rgb", "NONE"], "none.png cannot be read as such an image"),
        (["search", "INDEX", "--text", "a", "--in", "depth"], "has no depth embeddings; it has rgb, ir, fused, text"),
        (["search", "INDEX", "--text", "a", "--k", "0"], "--k: must be a whole number from 1 to 1000000, got '0'"),
        (["search", "INDEX", "--text", "a", "--geojson", "GEO"], "none of 10 rows found has a bbox"),
        (["search", "DATA", "--text", "a"], "has no index.json; expected a folder that `fusionrs embed` wrote"),
        (["embed", "NONE", "--model", "MODEL", "--output", "OUT"], "none.png is no GeoTIFF, recipe, dataset folder"),
        (["embed", "DATA", "--tile", "8", "--model", "MODEL", "--output", "OUT"], "leave out tile_px"),
        (["embed", "DATA", "--dtype", "int8", "--model", "MODEL", "--output", "OUT"], "dtype must be one of float32"),
        (["embed", "DATA", "--modalities", "x", "--model", "MODEL", "--output", "OUT"], "modalities must be of rgb"),
        (["embed", "DATA", "--split", "x", "--model", "MODEL", "--output", "OUT"], "splits must be of train"),
        (["embed", "DATA", "--factory", "Flt", "--model", "MODEL", "--output", "OUT"], "of --factory 'Flt'"),
        (
            ["embed", "DATA", "--factory", "(" * 201, "--model", "MODEL", "--output", "OUT"],
            "--factory has 201 characters, expected at most 200",
        ),
    ],
)
def test_what_is_wrong_is_one_line(index, dataset, model, tmp_path, arguments, fragment, capsys):
    tiny.rgb_image().save(tmp_path / "rgb.png")
    places = {"INDEX": index, "DATA": dataset, "MODEL": model, "OUT": tmp_path / "out", "GEO": tmp_path / "geo.json"}
    places |= {"RGB": tmp_path / "rgb.png", "NONE": tmp_path / "none.png"}
    assert main([str(places.get(argument, argument)) for argument in arguments]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("error: ") and fragment in last
    assert not (tmp_path / "geo.json").exists()


def test_another_kind_of_model_is_refused(tmp_path):
    tiny.text_config().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="type 'clip_text_model', expected fusionrs_clip or clip"):
        load_clip(str(tmp_path))


def test_a_plain_clip_is_a_model_too(tmp_path):
    from transformers import CLIPConfig, CLIPModel, CLIPProcessor

    config = CLIPConfig(
        text_config=tiny.text_config().to_dict(), vision_config=tiny.vision_config().to_dict(), projection_dim=8
    )
    torch.manual_seed(0)
    plain = CLIPModel(config).eval()
    plain.save_pretrained(tmp_path)
    CLIPProcessor(tiny.image_processor(), tiny.tokenizer()).save_pretrained(tmp_path)
    encoder = Encoder(*load_clip(str(tmp_path)))
    pixels = tiny.image_processor()([tiny.rgb_image()], return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        features = plain.get_image_features(pixel_values=pixels)
    features = getattr(features, "pooler_output", features)
    expected = torch.nn.functional.normalize(features, dim=-1).numpy()
    np.testing.assert_allclose(encoder.rgb([tiny.rgb_image()]), expected, atol=1e-6)


def test_paths_in_an_index_are_absolute(index, dataset, model):
    meta = EmbeddingStore.open(index).meta
    assert meta.source["dataset"] == str(Path(dataset).resolve()) and meta.model == str(Path(model).resolve())


def embed_from_hub(dataset, model, folder):
    """Runs in the Hub's client process: pushes the dataset, embeds its test split by its id, finds an image again."""
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo("team/embed-test", repo_type="dataset")
    api.upload_folder(repo_id="team/embed-test", folder_path=dataset, repo_type="dataset")
    embed("team/embed-test", model, Path(folder), splits=["test"], batch_size=4)
    store = EmbeddingStore.open(Path(folder))
    hits = [hit.row for hit in retrieval.search_index(store.folder, retrieval.Query(text="water"), k=2)]
    picked = Rows(store.meta.source).pick(hits)
    revision = store.meta.source["revision"]
    brought = bring_dataset("team/embed-test", revision=revision, splits=["test"])
    assert [path.name for path in brought.rglob("*") if path.is_file()] == ["test-00000-of-00001.parquet"]
    return revision, [row["sample_id"] for row in picked] == [row["sample_id"] for row in hits]


def test_a_dataset_of_the_hub_is_embedded_at_its_revision(dataset, model, tmp_path, hub_client):
    embed(dataset, model, tmp_path / "local", splits=["test"], batch_size=4)
    given = str(dataset), str(model), str(tmp_path / "hub")
    revision, found_again = hub_client.submit(embed_from_hub, *given).result()
    assert len(revision) == 40 and found_again
    file = "data/rows-00000-of-00001.arrow"
    assert (tmp_path / "hub" / file).read_bytes() == (tmp_path / "local" / file).read_bytes()


def embedded(count=60, size=8):
    """Rows of two bands with random embeddings, and the embeddings."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((count, size)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [
        dict.fromkeys(ROW_FEATURES)
        | {"sample_id": f"r{index}", "ir_band": "nir" if index % 10 else "lwir", "rgb_sha256": f"{index}"}
        | {"ir_embedding": vector.tolist()}
        for index, vector in enumerate(vectors)
    ]
    return Dataset.from_list(rows), vectors


def test_an_approximate_index_does_not_answer_short(caplog):
    import faiss

    dataset, vectors = embedded()
    inner = faiss.METRIC_INNER_PRODUCT
    dataset.add_faiss_index("ir_embedding", string_factory="IVF16,Flat", metric_type=inner, train_size=60)
    hits = retrieval.nearest_rows(dataset, "ir", vectors[3], 50)
    best = np.argsort(-(vectors @ vectors[3]), kind="stable")[:50]
    assert [hit.row["sample_id"] for hit in hits] == [f"r{place}" for place in best]
    assert "approximate index finds" in caplog.text and "of 60 rows" in caplog.text


def test_a_band_is_sought_within_and_one_that_is_not_there_is_told():
    dataset, vectors = embedded()  # without any index: the band's rows are compared themselves
    hits = retrieval.nearest_rows(dataset, "ir", vectors[3], 4, "lwir")
    own = np.arange(0, 60, 10)
    best = own[np.argsort(-(vectors[own] @ vectors[3]))[:4]]
    assert [hit.row["sample_id"] for hit in hits] == [f"r{place}" for place in best]
    assert [hit.score for hit in hits] == pytest.approx((vectors[best] @ vectors[3]).tolist())
    with pytest.raises(InputError, match="no row of the index has the band 'swri'; it has lwir, nir"):
        retrieval.nearest_rows(dataset, "ir", vectors[3], 4, "swri")
