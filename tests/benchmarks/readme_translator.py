"""Tables of the translator, for the README of `training/`."""

from collections.abc import Mapping

from model_cards.bands import BAND_NAMES
from tests.benchmarks.markdown import table

RIVALS = {"gray": "gray, fitted", "radiometric": "formula", "linear": "linear", "trees": "trees"}
WAYS = {
    "learned": "display",
    "learned_without_formula": "display, model alone",
    "z_scored_mean": "display, z-scored",
    "z_scored_mean_with_gray": "display, z-scored with gray",
    "learned_reflectance": "reflectance",
}
VIEWS = {
    "gray": "the gray of the RGB",
    "formula": "the formula",
    "unknown": "the learned translator, as a build gives it",
    "scene": "the learned translator, told the scene",
    "sensor": "the sensor",
}


def facts(quality: Mapping, speed: Mapping, downstream: Mapping) -> dict[str, object]:
    """What the template asks for."""
    flagged = [row["value"] for row in quality["bars"] if row["bar"].startswith("unseen scenes, all tiles: flagged")]
    known = [f"{100 * part['flagged_share']:.0f} %" for part in quality["scenes"].values() if part["known"]]
    return {
        "quality": quality,
        "speed": speed,
        "downstream": downstream,
        "learned_from": downstream_table(downstream),
        "bars": bars_held(quality),
        "second": bars_held(quality["second"]) if "second" in quality else None,
        "known": known_table(quality),
        "unseen": unseen_table(quality),
        "z_scored": {
            name: told(row["value"])
            for name in ("z_scored_mean", "z_scored_mean_with_gray")
            for row in quality["bars"]
            if f", {name}:" in row["bar"]
        },
        "flagged": {"unseen": flagged[0], "known": " and ".join(known)},
        "memory": memory_table(speed),
    }


def known_table(result: Mapping) -> str:
    """R2 on the held-out regions of scenes that it was trained on, beside rivals fitted on the same tiles."""
    rows = []
    for scene, part in result["scenes"].items():
        for band, entry in part["bands"].items() if part["known"] else ():
            ours = entry["methods"]["learned"]
            low, high = ours["r2_interval"]
            rivals = [f"{entry['methods'][name]['r2']:.2f}" for name in RIVALS]
            less, *ends = ours["less_squared_error_than"]["trees"]
            ranking = ours["error_ranking"]
            rows.append(
                [
                    scene,
                    BAND_NAMES[band],
                    f"**{ours['r2']:.3f}** [{low:.2f}, {high:.2f}]",
                    f"{ours['r2_median_tile']:.3f}",
                    *rivals,
                    f"{1000 * less:.1f} [{1000 * ends[0]:.1f}, {1000 * ends[1]:.1f}]",
                    f"{ours['coverage']:.2f} ({ours['interval_width']:.2f})",
                    f"{ranking['width']:.2f} ({ranking['gray_gradient']:.2f})",
                ]
            )
    header = ["R2", "median tile", *RIVALS.values(), "squared error below trees', 1/1000"]
    return table(["scene", "band", *header, "covered (width)", "width finds errors (gradient)"], 2, rows)


def unseen_table(result: Mapping) -> str:
    """Affine R2 on scenes that it was not trained on, by how they are shown, beside what needs no training."""
    rows = []
    for scene, part in result["scenes"].items():
        for band, entry in {} if part["known"] else part["bands"].items():
            methods = entry["methods"]
            if "learned" not in methods:
                continue
            cells = [f"{methods[name]['affine_r2']:.2f}" if name in methods else "" for name in WAYS]
            rivals = [f"{methods[name]['affine_r2']:.2f}" for name in ("gray_as_shown", "radiometric")]
            flagged = f"{100 * part['flagged_share']:.0f} %"
            rows.append([scene, BAND_NAMES[band], entry["tiles"], *cells, *rivals, flagged])
    return table(["scene", "band", "tiles", *WAYS.values(), "gray", "formula", "flagged"], 2, rows)


def downstream_table(report: Mapping) -> str:
    """R@1 against sensor infrared by what a head was trained on, and the share of the gap that closes, by band."""
    rows = []
    for view, title in VIEWS.items():
        cells = []
        for band in report["bands"].values():
            value, low, high = band["views"][view]["mean"]
            cells.append(f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}]")
            share = band["views"][view].get("gap_closed")
            cells.append("" if share is None else f"{share[0]:.2f} [{share[1]:.2f}, {share[2]:.2f}]")
        rows.append([title, *cells])
    header = [f"{BAND_NAMES[band]}, {what}" for band in report["bands"] for what in ("R@1", "share of the gap")]
    return table(["trained on infrared of", *header], 1, rows)


def bars_held(result: Mapping) -> tuple[int, int, str]:
    """How many of the bars hold, of how many, and those that do not in a line."""
    asked = [row for row in result["bars"] if row["holds"] is not None]
    missed = [f"{row['bar']} ({told(row['value'])})" for row in asked if not row["holds"]]
    return len(asked) - len(missed), len(asked), "; ".join(missed)


def told(value: object) -> str:
    """A figure of a bar, or two: how many of how many."""
    if isinstance(value, list):
        return f"{value[0]} of {value[1]}" if isinstance(value[0], int) else ", ".join(f"{part:.4f}" for part in value)
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def memory_table(speed: Mapping) -> str:
    """Peak memory by the size of a raster."""
    rows = [[f"{row['side']:,} x {row['side']:,}", f"{row['peak_mb']:.0f}"] for row in speed["memory"]]
    return table(["pixels", "peak, MB"], 1, rows)
