"""A raster of any size through the learned translator, a part at a time: georeference kept, memory flat, no seams."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from dataset_builder.sources.formats.raster_files import open_raster
from dataset_builder.translators.learned import BLOCK_SHARE, LearnedTranslator
from fusionrs_hf.atomic import atomic_path
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.pipeline_fusionrs_translator import KINDS, MARGIN_PX, dark_level, to_grey

if TYPE_CHECKING:
    from rasterio import DatasetReader

PART_PX = 512  # side of what is read at a time, a multiple of the model's coarsest stride
LOOK_PX = 1024  # longest side of the small copy that tells a scene's dark level
NODATA = 0  # of what is written; measured pixels are 1 at least


@dataclass(frozen=True, slots=True)
class RasterOptions:
    """How the values of a raster are read.

    Args:
        rgb: Its bands of red, green and blue, from 1; None: as the file says.
        reflectance: `toa`, `surface` or `raw`, see `RGB2IRPipeline`; None: 8-bit display.
        scale, offset: Make reflectance of the values; None: as the file says.
    """

    rgb: tuple[int, int, int] | None = None
    reflectance: str | None = None
    scale: float | None = None
    offset: float | None = None

    def __post_init__(self) -> None:
        """Raises InputError where they do not go together."""
        if self.reflectance is not None and self.reflectance not in KINDS:
            raise InputError(f"reflectance must be one of {', '.join(KINDS)}, got {shown(self.reflectance)}")
        if self.reflectance is None and (self.scale is not None or self.offset is not None):
            raise InputError("scale and offset make reflectance of a raster's values; give --reflectance, too")

    def settings(self) -> dict[str, Any]:
        """Returns what was said, for the record of an image."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(slots=True)
class _Reader:
    """Reads windows of a raster as a display image, or as reflectance in the training scene's display."""

    raster: "DatasetReader"
    bands: Sequence[int]
    translator: LearnedTranslator
    options: RasterOptions
    scale: np.ndarray
    offset: np.ndarray
    dark: np.ndarray | None = None

    def read(self, window: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Returns what is shown, float32 `(h, w, 3)`, which pixels were measured, and RGB if it is of 8 bit."""
        from rasterio.windows import Window

        rows, columns = window
        area = Window(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        values = np.moveaxis(self.raster.read(self.bands, window=area), 0, -1)
        valid = (self.raster.read_masks(self.bands, window=area) > 0).all(axis=0)
        if self.options.reflectance is None:
            return values.astype(np.float32) / 255, valid, values
        reflectance, valid = self.reflectance(values, valid)
        shown = self.translator.pipeline.show_reflectance(reflectance, self.options.reflectance, self.dark)
        return shown, valid, None

    def reflectance(self, values: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns reflectance times 10,000, 0 where nothing was measured, and where something was."""
        reflectance = values.astype(np.float32) * self.scale + self.offset
        valid = valid & np.isfinite(reflectance).all(axis=-1)
        return np.where(valid[..., None], reflectance, 0), valid

    def measure_dark(self) -> None:
        """Takes the scene's dark level from a small copy of it."""
        height, width = self.raster.shape
        shrink = max(1, -(-max(height, width) // LOOK_PX))
        shape = (len(self.bands), max(1, height // shrink), max(1, width // shrink))
        values = np.moveaxis(self.raster.read(self.bands, out_shape=shape), 0, -1)
        valid = (self.raster.read_masks(self.bands, out_shape=shape) > 0).all(axis=0)
        reflectance, valid = self.reflectance(values, valid)
        if not valid.any():
            raise InputError(f"{self.raster.name} holds no measured pixel; give another raster")
        self.dark = dark_level(reflectance[valid][:, None])


def translate_raster(
    source: Path,
    target: Path,
    translator: LearnedTranslator,
    band: str,
    options: RasterOptions,
    trust: Path | None = None,
) -> dict[str, Any]:
    """Writes a raster of one band of 8 bit, 0 where nothing was measured, with the georeference of the source.

    Args:
        source: GeoTIFF or JPEG 2000.
        target: GeoTIFF to write.
        translator: Its condition holds for 8-bit display.
        band: To imitate.
        options: How values are read.
        trust: GeoTIFF for the width of the interval at each pixel; None: none.

    Returns:
        `translator_interval`, the mean width in grey levels, and `translator_in_domain`.

    Raises:
        InputError: It is no raster, its bands or values are others, or the band is not offered.
    """
    import rasterio

    with ExitStack() as opened:
        raster = opened.enter_context(open_raster(source, source.parent))
        reader = _open_reader(raster, translator, options)
        condition = translator.condition
        if options.reflectance is not None:
            condition = translator.pipeline.reflectance_condition()
            if options.reflectance != "toa":
                reader.measure_dark()
        try:
            translator.pipeline.check_band(band, condition)
        except ValueError as error:
            raise InputError(str(error)) from error
        profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": NODATA, "compress": "deflate"}
        profile |= {"height": raster.height, "width": raster.width, "crs": raster.crs, "transform": raster.transform}
        profile |= {"tiled": True, "blockxsize": 256, "blockysize": 256, "bigtiff": "IF_SAFER"}
        writers = []
        for path in [target, *([trust] if trust else [])]:
            temporary = opened.enter_context(atomic_path(path))
            writers.append(opened.enter_context(rasterio.open(temporary, "w", **profile)))
            writers[-1].update_tags(ir_band=band, ir_origin="translated", translator_revision=translator.revision)
        return _translate_parts(reader, translator, band, condition, writers)


def _translate_parts(
    reader: _Reader, translator: LearnedTranslator, band: str, condition: str, writers: Sequence[Any]
) -> dict[str, Any]:
    from rasterio.windows import Window

    widths, pixels, blocks = 0.0, 0, []
    parts = list(_parts(*reader.raster.shape))
    for core, window in tqdm(parts, desc="translating", unit="part"):
        shown, valid, rgb = reader.read(window)
        if not valid.any():
            continue  # a new raster holds no data anywhere
        (quantiles,) = translator.pipeline.predict([shown], band, condition, core_px=PART_PX + 2 * MARGIN_PX)
        if rgb is not None and translator.settings["blend"]:
            formula = translator.formula.translate([rgb], band, [0])[0]
            quantiles = quantiles + translator.towards_formula(quantiles, formula, band)
        inner = tuple(slice(c.start - w.start, c.stop - w.start) for c, w in zip(core, window))
        low, median, high = to_grey(quantiles[(slice(None), *inner)])
        valid = valid[inner]
        area = Window(core[1].start, core[0].start, *median.shape[::-1])
        for writer, values in zip(writers, (median, high - low)):
            writer.write(np.where(valid, np.maximum(values, NODATA + 1), NODATA), 1, window=area)
        widths += float((high - low)[valid].sum(dtype=np.float64))
        pixels += int(valid.sum())
        if valid.mean() > 0.5:
            blocks.append((translator.pipeline.domain_distance(shown[inner], condition) <= 1).mean())
    if not pixels:
        raise InputError(f"{reader.raster.name} holds no measured pixel; give another raster")
    in_domain = bool(blocks) and bool(np.mean(blocks) >= BLOCK_SHARE)
    return {"translator_interval": widths / pixels, "translator_in_domain": in_domain}


def _parts(height: int, width: int) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Yields (core, window): the cores cover the raster once, the windows have the margin around them."""
    for row in range(0, height, PART_PX):
        for column in range(0, width, PART_PX):
            core = (slice(row, min(row + PART_PX, height)), slice(column, min(column + PART_PX, width)))
            window = tuple(
                slice(max(0, part.start - MARGIN_PX), min(part.stop + MARGIN_PX, length))
                for part, length in zip(core, (height, width))
            )
            yield core, window


def _open_reader(raster: "DatasetReader", translator: LearnedTranslator, options: RasterOptions) -> _Reader:
    bands = list(options.rgb or _rgb_bands(raster))
    if max(bands) > raster.count or min(bands) < 1 or len(set(bands)) != 3:
        raise InputError(f"{raster.name} has bands 1 to {raster.count}, got {bands} for red, green and blue")
    kinds = {raster.dtypes[band - 1] for band in bands}
    if options.reflectance is None and kinds != {"uint8"}:
        raise InputError(
            f"{raster.name} holds {', '.join(sorted(kinds))}, expected 8-bit display; give --reflectance toa, surface "
            "or raw, with --scale and --offset where the values are not reflectance times 10,000"
        )
    scale = np.array([raster.scales[band - 1] for band in bands], np.float32)
    offset = np.array([raster.offsets[band - 1] for band in bands], np.float32)
    if options.scale is not None or options.offset is not None:
        scale, offset = np.full(3, options.scale or 1.0, np.float32), np.full(3, options.offset or 0.0, np.float32)
    elif (scale != 1).any():  # of the file: it makes reflectance in 0 to 1
        scale, offset = scale * 10_000, offset * 10_000
    return _Reader(raster, bands, translator, options, scale, offset)


def _rgb_bands(raster: "DatasetReader") -> list[int]:
    names = [interpretation.name for interpretation in raster.colorinterp]
    if {"red", "green", "blue"} <= set(names):
        return [names.index(colour) + 1 for colour in ("red", "green", "blue")]
    raise InputError(
        f"{raster.name} does not say which of its {raster.count} bands are red, green and blue; give --rgb 3 2 1, or "
        "as they are"
    )
