"""Where rows to embed are: described in plain values that an index keeps, so that they are found again later."""

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dataset_builder.inspecting.bands import COLOURS, band_numbers, roles
from dataset_builder.shards.opening import bring_dataset, reading_all
from dataset_builder.sources import open_source
from dataset_builder.sources.formats.raster_files import open_raster
from fusionrs_hf.errors import InputError
from fusionrs_hf.repository_names import is_hub_id

logger = logging.getLogger(__name__)

SCENE_SUFFIXES = (".tif", ".tiff", ".vrt", ".jp2")


class Rows:
    """The rows that a description names, from one source or several.

    Args:
        place: `sources` (what `open_source` takes) and `base`, or `dataset`, `revision` and `splits`; see
            `describe_rows`.

    Raises:
        InputError: They are not there any more, or cannot be read.
    """

    def __init__(self, place: Mapping[str, Any]) -> None:
        specs, base = place.get("sources"), Path(place.get("base", "/"))
        if specs is None:
            dataset = Path(place["dataset"])
            if dataset.is_absolute() and not dataset.is_dir():
                raise InputError(f"{dataset} is not there any more; name its place by --dataset")
            folder = dataset
            if not dataset.is_dir():
                folder = bring_dataset(place["dataset"], revision=place["revision"], splits=place["splits"])
            specs = [{"kind": "repository", "path": folder, "row_groups_per_shard": 1, "splits": place["splits"]}]
        self.sources = [open_source(spec, base) for spec in specs]
        self.shards = [(number, shard) for number, source in enumerate(self.sources) for shard in source.shards()]

    def read(self, number: int) -> Iterator[dict[str, Any]]:
        """Yields the rows of a shard, by its place in `shards`."""
        source, shard = self.shards[number]
        return self.sources[source].read(shard)

    def pick(self, hits: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Returns the whole rows that an index's rows came from; reads only their shards, and those to the last one.

        Raises:
            InputError: The rows are not there any more.
        """
        rows_by_place = {}
        for shard in sorted({hit["source_shard"] for hit in hits}):
            wanted = {hit["source_row"] for hit in hits if hit["source_shard"] == shard}
            if shard < len(self.shards):
                rows = itertools.islice(self.read(shard), max(wanted) + 1)
                rows_by_place |= {(shard, place): row for place, row in enumerate(rows) if place in wanted}
        for hit in hits:
            row = rows_by_place.get((hit["source_shard"], hit["source_row"]))
            if row is None or row["sample_id"] != hit["sample_id"]:
                raise InputError(f"{hit['sample_id']} is not where it was embedded; the data changed: embed again")
        return [rows_by_place[hit["source_shard"], hit["source_row"]] for hit in hits]


@contextmanager
def reading_rows(place: Mapping[str, Any]) -> Iterator[Rows]:
    """Opens the rows that a description names, and keeps verbs from writing their datasets while the block runs."""
    base = Path(place.get("base", "/"))
    paths = [base / spec["path"] for spec in place.get("sources", ()) if spec.get("kind") == "repository"]
    paths += [Path(place["dataset"])] if "dataset" in place else []
    with reading_all(path for path in paths if path.is_dir()):
        yield Rows(place)


def describe_rows(dataset: str, splits: Sequence[str], scene: Mapping[str, Any]) -> dict[str, Any]:
    """Describes where rows are, so that `Rows` opens them, today and when the index is searched.

    Args:
        dataset: A GeoTIFF, a dataset folder or a dataset's Hub id.
        splits: Of a dataset.
        scene: Fields of the scene's reader, such as `tile_px`; for a GeoTIFF only. Without `ir`, it is each infrared
            band that they or the file name; bands that nobody names are taken as `fusionrs inspect` takes them, which
            the log says, and limits that nobody states are measured.

    Raises:
        InputError: It is neither, or it has fields of a scene and is none.
    """
    path = Path(dataset)
    if path.suffix.lower() in SCENE_SUFFIXES:
        spec = {"kind": "scene", "path": str(path.resolve()), "rights": "not stated", **_taken(path, scene), **scene}
        if spec.get("limits") == "auto":  # measured once: a search shows what was embedded
            limits = open_source(spec, path.resolve().parent).limits
            spec["limits"] = {name: list(pair) for name, pair in limits.items()}
        return {"sources": [spec], "base": str(path.resolve().parent)}
    if scene:
        raise InputError(f"{dataset} is no GeoTIFF ({', '.join(SCENE_SUFFIXES)}), so leave out {', '.join(scene)}")
    if path.is_dir():
        return {"dataset": str(path.resolve()), "revision": None, "splits": list(splits)}
    if path.exists() or not is_hub_id(dataset):
        raise InputError(f"{dataset} is no GeoTIFF, recipe, dataset folder or Hub id owner/name; give one of these")
    return {"dataset": dataset, "revision": bring_dataset(dataset, splits=splits).name, "splits": list(splits)}


def _taken(path: Path, scene: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `bands`, `ir` and `limits` of a scene's reader, where they are not stated and the file tells them."""
    names, taken = scene.get("bands"), {}
    try:
        with open_raster(path, path.parent) as raster:
            if names is None:
                names = [name for name in raster.descriptions if name]
                if not set(COLOURS) <= set(names) and not {"ir", "rgb"} & set(scene):
                    names, how = band_numbers(raster)
                    logger.info("bands of %s are %s; --option bands={...} says otherwise", path, how)
                    taken |= {"bands": names, "ir": {}}
            if "limits" not in scene and any(kind != "uint8" for kind in raster.dtypes):
                taken["limits"] = "auto"
    except (OSError, InputError):
        pass  # the reader tells
    told = {role: name for name, role in roles(list(names or ())).items() if role not in COLOURS}
    return taken | ({"ir": told} if told and "ir" not in scene else {})


def describe_sources(
    sources: Sequence[Mapping[str, Any]], base: Path, scene: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Describes the sources of a recipe, as `describe_rows` does.

    Args:
        sources: As in the recipe.
        base: Folder that their paths start from.
        scene: Fields that replace those of its scenes.

    Raises:
        InputError: There are such fields, and no scene.
    """
    if scene and not any(spec.get("kind") == "scene" for spec in sources):
        raise InputError(f"the recipe has no source of kind scene, so leave out {', '.join(scene)}")
    changed = [{**spec, **(scene or {})} if spec.get("kind") == "scene" else dict(spec) for spec in sources]
    return {"sources": changed, "base": str(base.resolve())}


def moved(place: Mapping[str, Any], where: str | None) -> dict[str, Any]:
    """Returns a description with another place of the same data; None leaves it.

    Raises:
        InputError: It has several sources, which one place can't replace.
    """
    if where is None:
        return dict(place)
    if "dataset" in place:
        local = Path(where).is_dir()
        revision = None if local or where != place["dataset"] else place["revision"]
        return {**place, "dataset": str(Path(where).resolve()) if local else where, "revision": revision}
    if len(place["sources"]) > 1:
        raise InputError(f"the index has {len(place['sources'])} sources; bring them back below {place['base']}")
    return {**place, "sources": [{**place["sources"][0], "path": str(Path(where).resolve())}]}
