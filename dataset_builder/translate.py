"""Translates RGB images of one's own: a folder of images, a raster that keeps its georeference, or a dataset.

    fusionrs translate images/ out/ --band nir
    fusionrs translate scene.tif out/ --band swir --reflectance toa --trust
    fusionrs translate dataset/ out/ --band nir

OUT gets an image of one channel for each, `translations.jsonl` with what is known of each (model, revision, band,
condition, mean width of the interval, whether it is of the kind that was trained on, or why there is none), and with
`--trust` the width of the interval at each pixel below `trust/`. Of a dataset OUT has the same shards, one row for
each RGB image, and a record for each shard. An interrupted run is continued by the same command.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from dataset_builder.filters import make_rules
from dataset_builder.filters.image_rules import InfraredTooFlat
from dataset_builder.filters.pair_rules import InfraredIsGrayOfRgb, Misaligned
from dataset_builder.images.decoding import DecodeError, open_image, rgb_array
from dataset_builder.shards.folder import find_shards
from dataset_builder.translators.learned import LearnedTranslator
from dataset_builder.translators.rasters import RasterOptions, translate_raster
from dataset_builder.translators.rewriting import translate_shard
from dataset_builder.translators.stage import TranslateStage, Translation, check_band
from fusionrs_hf.atomic import atomic_path
from fusionrs_hf.bounded_files import list_lines
from fusionrs_hf.bounded_json import parse_json
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.output_folder import OutputFolder, reading, writing

logger = logging.getLogger(__name__)

LOG = "translations.jsonl"
TRUST = "trust"
GATE = (InfraredTooFlat, InfraredIsGrayOfRgb, Misaligned)
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")
BATCH_PIXELS = 16 * 128 * 128  # of the images that are read before they are translated together
MAX_PIXELS = 200_000_000  # of one image; larger scenes are rasters


@dataclass(frozen=True, slots=True)
class TranslateOptions:
    """What is asked of a translation.

    Args:
        band: `ir_band` to imitate.
        model, revision: Folder or Hub id; None: the one that ships.
        condition: A scene of the model, or `unknown`.
        trust: Keep the width of the interval at each pixel.
        batch_size: Parts of images in a step.
        raster: Of a raster alone.
    """

    band: str = "nir"
    model: str | None = None
    revision: str | None = None
    condition: str = "unknown"
    trust: bool = False
    batch_size: int = 16
    raster: RasterOptions = RasterOptions()


def translate(source: Path, out: Path, options: TranslateOptions = TranslateOptions()) -> list[dict[str, Any]]:
    """Translates a folder of images, or a raster file; continues where it was interrupted.

    Args:
        source: Folder that is searched with all below it, a GeoTIFF, or the folder of a dataset.
        out: Folder; a new one, or of an earlier run with the same options.
        options: What is asked.

    Returns:
        What `translations.jsonl` holds, a record for each image.

    Raises:
        InputError: There is nothing to translate, options do not go together, or `out` holds something else.
    """
    source, out = Path(source), Path(out)
    if not source.exists():
        raise InputError(f"{source} does not exist; give a folder of images or a GeoTIFF")
    if out.resolve() == source.resolve() or source.resolve() in out.resolve().parents:
        raise InputError(f"{out} lies in {source}, whose images would be its own; give a folder elsewhere")
    translator = LearnedTranslator(options.model, options.revision, options.condition, options.batch_size)
    if options.raster.reflectance is None:
        check_band(translator, options.band)
    with writing(out, "translate") as output:
        output.reopen()
        output.list_files([LOG])
        log = _Log(out / LOG, _provenance(translator, options))
        if (source / "data").is_dir() and any((source / "data").glob("*.parquet")):
            _translate_dataset(source, output, translator, options, log)
        elif source.is_dir():
            _translate_folder(source, output, translator, options, log)
        else:
            _translate_file(source, output, translator, options, log)
        records = log.write()
        output.finish()
    failed = sum("reason" in record for record in records)
    foreign = sum(record.get("translator_in_domain") is False for record in records)
    logger.info(
        "%d images translated, %d left out; %d of another kind than was trained on",
        len(records) - failed,
        failed,
        foreign,
    )
    return records


class _Log:
    """Records of a run, a line each; those of an interrupted run with the same provenance count as done."""

    def __init__(self, path: Path, provenance: dict[str, Any]) -> None:
        self.path, self.provenance = path, provenance
        self.records: dict[str, dict[str, Any]] = {}
        for line in list_lines(path) if path.is_file() else ():
            try:
                record = parse_json(line)
            except InputError:
                continue  # cut short by the end of the run that wrote it
            if not isinstance(record, dict) or not isinstance(record.get("file"), str):
                raise InputError(f"{path} holds {shown(line)}, expected a record of ours; give a new folder")
            if {name: record.get(name) for name in provenance} != provenance:
                raise InputError(f"{path.parent} holds translations by other settings; give a new folder")
            self.records[record["file"]] = record
        self.write()

    def add(self, file: str, **facts: Any) -> None:
        """Takes a record down at once, so that an interrupted run knows it."""
        self.records[file] = {"file": file, **self.provenance, **facts}
        with open(self.path, "a", encoding="utf-8") as lines:
            lines.write(json.dumps(self.records[file], sort_keys=True) + "\n")

    def write(self) -> list[dict[str, Any]]:
        """Writes all records anew, in the order of their files, and returns them."""
        records = [self.records[file] for file in sorted(self.records)]
        with atomic_path(self.path) as temporary:
            lines = (json.dumps(record, sort_keys=True) + "\n" for record in records)
            temporary.write_text("".join(lines), encoding="utf-8")
        return records


def _provenance(translator: LearnedTranslator, options: TranslateOptions) -> dict[str, Any]:
    return {
        "ir_band": options.band,
        "ir_origin": "translated",
        "translator": translator.name,
        "translator_revision": translator.revision,
        "translator_settings": {**translator.settings, **options.raster.settings()},
    }


def _translate_folder(
    source: Path, output: OutputFolder, translator: LearnedTranslator, options: TranslateOptions, log: _Log
) -> None:
    if options.raster != RasterOptions():
        raise InputError("reflectance, scale, offset and rgb bands are of a raster; give a GeoTIFF, or drop them")
    files = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise InputError(f"{source} holds no image ({', '.join(SUFFIXES)}); give a folder that does")
    names = {path: path.relative_to(source).as_posix() for path in files}
    done = {name for name in log.records if (output.path / _target(name)).is_file() or "reason" in log.records[name]}
    todo = [path for path in files if names[path] not in done]
    targets = [_target(names[path]) for path in files]
    if twice := sorted({target for target in targets if targets.count(target) > 1}):
        raise InputError(f"images with different endings would become one file, such as {twice[0]}; rename one")
    output.list_files([*targets, *(f"{TRUST}/{target}" for target in targets if options.trust)])
    with tqdm(total=len(files), initial=len(files) - len(todo), unit="image", desc="translating") as bar:
        for group in _read(todo):
            images = [image for _, image in group if isinstance(image, np.ndarray)]
            translations = iter(translator.translate_with_trust(images, options.band))
            for path, image in group:
                translation = None if isinstance(image, str) else next(translations)
                reason = image if translation is None else rejection(image, translation.image)
                if reason is not None:
                    log.add(names[path], reason=reason)
                else:
                    _write(output.path, _target(names[path]), translation, options.trust, names[path], log)
                bar.update()


def rejection(rgb: np.ndarray, infrared: np.ndarray) -> str | None:
    """Returns why a translation is none, by the rules of a build: flat, a gray of its RGB, or moved; or None."""
    row = {"_rgb": rgb, "_ir": infrared, "ir_origin": "translated"}
    return next((reason for rule in make_rules({}, GATE) if (reason := rule(row))), None)


def _read(files: Sequence[Path]) -> Iterator[list[tuple[Path, np.ndarray | str]]]:
    """Yields images, or the reason why one cannot be used, in groups of bounded size."""
    group: list[tuple[Path, np.ndarray | str]] = []
    pixels = 0
    for path in files:
        try:
            image = rgb_array(open_image(path.read_bytes(), MAX_PIXELS))
            if (image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all():
                raise DecodeError("rgb_is_gray")
            group.append((path, image))
            pixels += image[..., 0].size
        except DecodeError as error:
            group.append((path, str(error.args[0])))
        if pixels >= BATCH_PIXELS:
            yield group
            group, pixels = [], 0
    if group:
        yield group


def _write(out: Path, target: str, translation: Translation, trust: bool, name: str, log: _Log) -> None:
    if trust:  # before the image, whose presence says that all is there
        with atomic_path(out / TRUST / target) as temporary:
            Image.fromarray(translation.width).save(temporary, "PNG")
    with atomic_path(out / target) as temporary:
        Image.fromarray(translation.image).save(temporary, "PNG")
    width = float(translation.width.mean())
    log.add(name, translator_interval=width, translator_in_domain=bool(translation.in_domain))


def _target(name: str) -> str:
    return Path(name).with_suffix(".png").as_posix()


def _translate_dataset(
    source: Path, output: OutputFolder, translator: LearnedTranslator, options: TranslateOptions, log: _Log
) -> None:
    if options.raster != RasterOptions() or options.trust:
        raise InputError("trust and what tells how a raster is read are not for a dataset; drop them")
    with reading(source):
        shards = find_shards(source)
        output.list_files(f"data/{name}" for name in shards)
        for name in tqdm(shards, unit="shard", desc="translating"):
            target = output.path / "data" / name
            if f"data/{name}" not in log.records or not target.is_file():
                stage = TranslateStage(translator, options.band)
                log.add(f"data/{name}", **translate_shard(source / "data" / name, target, stage, rejection))


def _translate_file(
    source: Path, output: OutputFolder, translator: LearnedTranslator, options: TranslateOptions, log: _Log
) -> None:
    target = f"{source.stem}_{options.band}.tif"
    if source.name in log.records and (output.path / target).is_file():
        return
    trust = f"{TRUST}/{target}" if options.trust else None
    output.list_files([target, *([trust] if trust else [])])
    facts = translate_raster(
        source, output.path / target, translator, options.band, options.raster, trust and output.path / trust
    )
    log.add(source.name, **facts)
