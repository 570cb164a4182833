import io

import numpy as np
import pytest
from PIL import Image

from dataset_builder.sources.formats.colormaps import NAMES, colormap_tables, invert, undo_colormap
from fusionrs_hf.errors import InputError
from tests.dataset_builder.made.sample_tiles import sample_rows

MAX_RESIDUAL = 8.0


@pytest.fixture(scope="module")
def tiles():
    """Infrared of real tiles: near, short-wave and thermal, from three sensors."""
    return [row["_ir"] for row in sample_rows(every=60)]


def encoded(array, kind="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def levels_of(table):
    """For each level, the lowest one of the same colour."""
    return np.array([np.flatnonzero((table == colour).all(1))[0] for colour in table])


@pytest.mark.parametrize("name", NAMES)
def test_real_infrared_drawn_with_any_form_of_a_map_comes_back(tiles, name):
    tables = colormap_tables(name)
    for number, levels in enumerate(tiles):
        table = tables[number % len(tables)]
        found, residual = invert(table[levels], tables)
        # Jet has one colour for up to five levels; of two forms that fit, the other is a grey level off.
        assert residual == 0 and np.abs(table[found].astype(int) - table[levels]).max() <= 1
        assert np.abs(found.astype(int) - levels).max() <= 4
        single, _ = invert(table[levels], table[None])
        np.testing.assert_array_equal(single, levels_of(table)[levels])


@pytest.mark.parametrize("name", NAMES)
def test_a_map_is_that_of_the_drawing_library(name):
    matplotlib = pytest.importorskip("matplotlib")
    colours = matplotlib.colormaps[name](np.arange(256))[:, :3] * 255
    down, nearest = colormap_tables(name)
    np.testing.assert_array_equal(down, colours.astype(np.uint8))
    np.testing.assert_allclose(nearest, colours, atol=0.5 + 1e-9)


def test_the_nearest_colour_is_that_of_a_plain_search():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    table = colormap_tables("plasma")[0].astype(int)
    found, residual = invert(rgb, colormap_tables("plasma")[:1])
    distances = []
    for pixel, level in zip(rgb.reshape(-1, 3).astype(int), found.ravel(), strict=True):
        all_of_them = ((table - pixel) ** 2).sum(1)
        assert level == all_of_them.argmin()
        distances.append(all_of_them.min() ** 0.5)
    assert residual == pytest.approx(np.mean(distances), rel=1e-6)


def test_jpeg_comes_back_nearly_and_another_map_is_refused(tiles):
    errors = []
    for levels in tiles:
        drawn = colormap_tables("inferno")[0][levels]
        data, reason = undo_colormap(encoded(drawn, "JPEG", quality=95, subsampling=0), colormap_tables("inferno"), 8)
        assert reason is None
        image = Image.open(io.BytesIO(data))
        assert image.format == "PNG" and image.mode == "L"
        errors.append(np.abs(np.asarray(image).astype(int) - levels).mean())
        as_png = encoded(drawn)
        assert undo_colormap(as_png, colormap_tables("viridis"), MAX_RESIDUAL) == (as_png, "colormap_mismatch")
    assert np.mean(errors) < 2


def test_natural_images_grey_images_and_damaged_ones_are_refused_with_their_bytes():
    tables = colormap_tables("inferno")
    for row in sample_rows(every=200):
        assert undo_colormap(row["rgb"]["bytes"], tables, MAX_RESIDUAL)[1] == "colormap_mismatch"
        assert undo_colormap(row["ir"]["bytes"], tables, MAX_RESIDUAL) == (row["ir"]["bytes"], "colormap_mismatch")
    whole = encoded(tables[0][np.zeros((40, 40), np.uint8)])
    assert undo_colormap(b"no image", tables, MAX_RESIDUAL) == (b"no image", "unreadable")
    assert undo_colormap(whole[:80], tables, MAX_RESIDUAL)[1] in ("truncated", "unreadable")


def test_palettes_and_opaque_alpha_are_read_and_transparency_is_refused():
    tables = colormap_tables("magma")
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    drawn = Image.fromarray(tables[0][levels])
    alpha = np.dstack([tables[0][levels], np.full((16, 16), 255, np.uint8)])
    palette = Image.fromarray(levels, "P")
    palette.putpalette(tables[0].tobytes())
    buffer = io.BytesIO()
    palette.save(buffer, "PNG")
    for data in (buffer.getvalue(), encoded(alpha), encoded(np.asarray(drawn))):
        found, reason = undo_colormap(data, tables, 0)
        assert reason is None
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(found))), levels)
    alpha[0, 0, 3] = 0
    assert undo_colormap(encoded(alpha), tables, 0)[1] == "colormap_mismatch"


@pytest.mark.parametrize("kind", ["commas", "blanks", "wide image", "high image"])
def test_a_camera_s_own_palette_is_given_as_a_file(tmp_path, kind):
    table = colormap_tables("gnuplot")[1]
    path = tmp_path / ("iron.png" if "image" in kind else "iron.txt")
    if "image" in kind:
        Image.fromarray(table[None] if kind == "wide image" else table[:, None]).save(path)
    else:
        path.write_text("\n".join(("," if kind == "commas" else " ").join(map(str, row)) for row in table.tolist()))
    np.testing.assert_array_equal(colormap_tables("iron" + path.suffix, tmp_path), table[None])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3\n" * 255, "holds 255 x 3 values; give 256 lines of red, green and blue"),
        ("1 2 256\n" * 256, "holds 256 x 3 values; give 256 lines of red, green and blue, whole numbers of 0 to 255"),
        ("0.1 0.2 0.3\n" * 256, "whole numbers of 0 to 255"),
        ("red\n" * 256, "cannot be read"),
        ("1 2 3\n" * 256, "levels 0 and 9 of colormap .* have the same colour: it cannot be undone"),
    ],
)
def test_a_palette_that_cannot_be_is_told(tmp_path, text, message):
    (tmp_path / "map.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        colormap_tables("map.txt", tmp_path)


def test_an_unknown_name_is_told_with_the_nearest():
    with pytest.raises(InputError, match=r"there is no colormap 'infern'; did you mean 'inferno'\?"):
        colormap_tables("infern")
    with pytest.raises(InputError, match=r"no colormap 'ironbow'; .*give a file with its 256 colours"):
        colormap_tables("ironbow")
