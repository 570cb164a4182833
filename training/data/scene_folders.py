"""Scene-classification sets as their authors pack them: where the images lie, which ones are scored, class names.

None of these sets has an official test list, so the list is part of the result: it is a function of the folder, and
its SHA-256 goes beside every figure.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fusionrs_hf.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
PROTOCOLS = ("remoteclip", "skyscript")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a set is packed.

    Args:
        title: The set's name.
        classes, images: How many the whole set has.
        folders: Where the class folders lie in the archive, tried in this order; `.` is the given folder itself.
        spelling: Class names that the general rule does not read, by folder name in lower case.
    """

    title: str
    classes: int
    images: int
    folders: tuple[str, ...]
    spelling: Mapping[str, str]


LAYOUTS = {
    "aid": Layout("AID", 30, 10_000, ("AID", "AID_dataset/AID", "."), {}),
    "nwpu": Layout("NWPU-RESISC45", 45, 31_500, ("NWPU-RESISC45", "."), {}),
    "eurosat": Layout(
        "EuroSAT, RGB",
        10,
        27_000,
        ("EuroSAT_RGB", "2750", "EuroSAT/2750", "."),
        {"sealake": "sea or lake", "annualcrop": "annual crop land", "permanentcrop": "permanent crop land"},
    ),
    "ucm": Layout(
        "UC Merced Land Use",
        21,
        2_100,
        ("UCMerced_LandUse/Images", "Images", "."),
        {
            "baseballdiamond": "baseball diamond",
            "denseresidential": "dense residential",
            "golfcourse": "golf course",
            "mediumresidential": "medium residential",
            "mobilehomepark": "mobile home park",
            "parkinglot": "parking lot",
            "sparseresidential": "sparse residential",
            "storagetanks": "storage tanks",
            "tenniscourt": "tennis court",
        },
    ),
    "patternnet": Layout("PatternNet", 38, 30_400, ("PatternNet/images", "images", "."), {}),
}


@dataclass(slots=True)
class SceneList:
    """The images of a set, class by class.

    Args:
        root: Folder of the class folders.
        classes: Folder names, sorted.
        files: `class/file` of each image, sorted within its class.
        labels: Index into `classes` of each image.
    """

    root: Path
    classes: list[str]
    files: list[str]
    labels: list[int]

    @property
    def sha256(self) -> str:
        """SHA-256 of `as_text`: two results are of the same images where it is equal."""
        return hashlib.sha256(self.as_text().encode()).hexdigest()

    def as_text(self) -> str:
        """Returns the list, one `class/file` a line."""
        return "".join(f"{name}\n" for name in self.files)


def read_folder(folder: Path, layout: Layout) -> SceneList:
    """Lists all images of an unpacked set.

    Args:
        folder: The unpacked archive, or the folder of the class folders.
        layout: One of `LAYOUTS`.

    Raises:
        InputError: There are no class folders with images.
    """
    for name in layout.folders:
        root = folder / name
        classes = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
        images = {name: _images(root / name) for name in classes}
        if any(images.values()):
            kept = [name for name in classes if images[name]]
            files = [f"{name}/{file}" for name in kept for file in images[name]]
            return SceneList(root, kept, files, [index for index, name in enumerate(kept) for _ in images[name]])
    raise InputError(
        f"{folder} has no class folders with images; {layout.title} is expected as <class>/<image> in one of "
        f"{', '.join(layout.folders)} of the unpacked archive"
    )


def _images(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def scored_images(scenes: SceneList, protocol: str) -> SceneList:
    """Returns the images that a published protocol scores.

    Args:
        scenes: The whole set.
        protocol: `remoteclip`: of each class the last fifth of the file names in lexical order, as RemoteCLIP's
            authors answered in its issue 11 (the sets' classes all divide by five, so rounding plays no part);
            `skyscript`: all images.
    """
    return scenes if protocol == "skyscript" else last_fifth(scenes)[1]


def last_fifth(scenes: SceneList) -> tuple[SceneList, SceneList]:
    """Divides each class into the first of its files and the last fifth, at least one where there are two."""
    first: list[int] = []
    last: list[int] = []
    for label in range(len(scenes.classes)):
        members = [index for index, image_label in enumerate(scenes.labels) if image_label == label]
        kept = len(members) - max(len(members) // 5, min(1, len(members) // 2))
        first += members[:kept]
        last += members[kept:]
    return _subset(scenes, first), _subset(scenes, last)


def _subset(scenes: SceneList, rows: Sequence[int]) -> SceneList:
    return SceneList(
        scenes.root, scenes.classes, [scenes.files[row] for row in rows], [scenes.labels[row] for row in rows]
    )


def class_title(folder: str, layout: Layout) -> str:
    """Returns a class's name for a prompt.

    The set's spelling where there is one; else words are split at underscores, hyphens and capitals, digits dropped,
    all in lower case: `BareLand` -> `bare land`, `basketball_court` -> `basketball court`.
    """
    if spelling := layout.spelling.get(folder.lower()):
        return spelling
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", folder)
    return " ".join(re.sub(r"[^A-Za-z]+", " ", words).lower().split())
