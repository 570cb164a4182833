"""What a recipe says of a scene, held against what can be: told before anything is read."""

from typing import Any

from dataset_builder.schema import IR_BANDS, IR_UNITS, SPLITS
from dataset_builder.sources.formats.raster_files import SIGNATURES
from dataset_builder.sources.raster import Raster
from dataset_builder.sources.scene_limits import check_limits
from fusionrs_hf.errors import InputError, shown


def check_scene(scene: Any) -> None:
    """Raises InputError for values of a `SceneSource` that cannot be, before any file is opened."""
    if len(scene.rgb) != 3:
        raise InputError(f"rgb of scene {scene.name} must name three bands (red, green, blue), got {list(scene.rgb)}")
    if unknown := [kind for kind in scene.ir if kind not in IR_BANDS]:
        raise InputError(f"ir of scene {scene.name} needs bands by {', '.join(IR_BANDS)}, got {scene.ir or unknown}")
    if scene.ir_unit not in IR_UNITS:
        raise InputError(
            f"ir_unit of scene {scene.name} must be one of {', '.join(IR_UNITS)}, got {shown(scene.ir_unit)}"
        )
    if isinstance(scene.formats, str) or (unread := sorted(set(map(str, scene.formats)) - set(SIGNATURES))):
        given = scene.formats if isinstance(scene.formats, str) else ", ".join(unread)
        raise InputError(f"formats of scene {scene.name} must be a list of {', '.join(SIGNATURES)}, got {given}")
    if min(scene.tile_px, scene.stride_px or 1) < 1:
        raise InputError(f"tile_px and stride_px of scene {scene.name} must be positive")
    if not 0 <= scene.spatial_gap_m < float("inf"):
        raise InputError(f"spatial_gap_m of scene {scene.name} must be metres, 0 or more, got {scene.spatial_gap_m}")
    check_limits(scene.limits, scene.name)
    if not 0 < scene.rgb_gamma < 100:
        raise InputError(f"rgb_gamma of scene {scene.name} must be a positive number, got {scene.rgb_gamma}")
    if scene.split not in (None, *SPLITS):
        raise InputError(f"split of scene {scene.name} must be one of {', '.join(SPLITS)}, got {shown(scene.split)}")
    if sum(map(bool, (scene.regions, scene.grid, scene.split))) > 1:
        raise InputError(f"scene {scene.name} takes one of regions, grid and split, got several")
    for number, a in enumerate(scene.regions):
        for b in scene.regions[:number]:
            if a.split != b.split and a.gap_px(b) < scene.min_gap_px:
                raise InputError(
                    f"regions {a} and {b} of scene {scene.name} have different splits and a gap of "
                    f"{a.gap_px(b)} px; leave at least {scene.min_gap_px} px (min_gap_px) between them"
                )


def check_types(scene: Any, raster: Raster) -> None:
    """Raises InputError where a band that a `SceneSource` shows is above 8 bit and has no limits."""
    seen = {*scene.rgb, *(scene.ir.values() if scene.ir_unit == "display" else ())}
    types = {name: raster.dtype(name) for name in {*seen, *scene.ir.values()}}
    if missing := sorted(name for name in seen if name not in scene.limits and types[name] != "uint8"):
        raise InputError(
            f"scene {scene.name} needs limits for {', '.join(missing)} ({types[missing[0]]}): declare [low, high], "
            "the values that become 0 and 255, or limits: auto"
        )
