"""What a build does, read from YAML: every key is a field below, an unknown one is an error that names the nearest."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from typing import Any

from dataset_builder.fields import check_keys, parse, placed, without_nulls
from dataset_builder.groups.grouping import RELATIONS
from dataset_builder.groups.splits import SplitPolicy
from dataset_builder.sources.many import expanded
from dataset_builder.units import check_ir_range
from fusionrs_hf.bounded_yaml import read_yaml
from fusionrs_hf.errors import InputError, shown
from fusionrs_hf.redaction import redacted

AUTO = "auto"  # of limits: measured when a build begins


@dataclass(frozen=True, slots=True)
class TranslateRecipe:
    """How rows without infrared get some.

    Args:
        translator: `radiometric` (a formula, no weights) or `learned`.
        band: `ir_band` to imitate.
        seed: Of a translator that draws.
        model, revision: Of `learned`, folder or Hub id; None: the one that ships.
        condition: Of `learned`, the scene in whose stretch the images are shown; None: unknown.
    """

    translator: str = "radiometric"
    band: str = "nir"
    seed: int = 0
    model: str | None = None
    revision: str | None = None
    condition: str | None = None


@dataclass(frozen=True, slots=True)
class CaptionRecipe:
    """Who writes `ir_captions`, and what is asked of each caption.

    Args:
        captioner: `grounded` (composed from measured facts, no weights), `endpoint` (an OpenAI-compatible chat
            endpoint) or `local` (a vision-language model of transformers).
        seed: Of the captioner's random choices.
        repairs: How often a row whose captions were all rejected is asked for again, with what was wrong.
        rules: Thresholds of the rules in `caption_rules`, where they differ from the defaults; `false` leaves one out.
        options: Fields of the captioner's settings: `EndpointSettings` or `LocalSettings`; `grounded` has none.
    """

    captioner: str = "grounded"
    seed: int = 0
    repairs: int = 0
    rules: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ValueError for numbers that count nothing, and parts that are no mappings."""
        for name in ("seed", "repairs"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ValueError(f"{name} must be a whole number of at least 0, got {shown(value)}")
        for name in ("rules", "options"):
            if not isinstance(getattr(self, name), Mapping):
                raise ValueError(f"{name} must be a mapping of names to values, got {shown(getattr(self, name))}")

    def echo(self) -> dict[str, Any]:
        """Returns the recipe as JSON gives it back, without absolute paths and secrets."""
        values = asdict(self)
        values["options"] = {name: _portable(value) for name, value in self.options.items()}
        return redacted(json.loads(json.dumps(values, default=str)))


@dataclass(frozen=True, slots=True)
class GroupRecipe:
    """What joins rows into groups: Hamming radius of perceptual hashes, of 64 bits, and relations (see `grouping`)."""

    radius: int = 4
    relations: Sequence[str] = RELATIONS

    def __post_init__(self) -> None:
        """Raises ValueError for a relation that there is not, or a radius that is none."""
        if unknown := sorted(set(self.relations) - set(RELATIONS)):
            raise ValueError(f"relations must be of {list(RELATIONS)}, got {unknown}")
        if not 0 <= self.radius <= 16:
            raise ValueError(f"radius must be 0 to 16 bits, got {self.radius}")


@dataclass(frozen=True, slots=True)
class BuildRecipe:
    """One build.

    Args:
        name: Title of the dataset's card.
        sources: What to read, in this order; each a mapping with `kind` and the fields of that source.
        description: First paragraph of the card.
        attribution: Notice by `source_dataset`, for the card.
        ir_range: `[low, high]` by `ir_band`: limits for infrared above 8 bit, in its own unit. `auto`, for all or by
            band: percentiles of a sample of what is trained on; the report, the card and the data files tell them.
        translate: For rows without infrared; without it they leave with the reason `ir_missing`.
        caption: For `ir_captions`; without it those of the sources stay as they are.
        filters: Thresholds of the rules in `filters`, where they differ from the defaults.
        groups, splits: See `grouping` and `splits`.
        exclude: File of sample ids that leave with the reason `removed`, their content unread: one a line, or the
            `tombstones.jsonl` of an earlier build.
        rights_policy: YAML file that adds rights codes to the shipped table, or changes it; see `rights.yaml`. It says
            what may be published, so it is no part of what a build is a function of.
        max_shard_bytes: Target size of a Parquet shard, counted in image bytes.
        base: Folder that relative paths start from; set by `load_recipe`.
    """

    name: str
    sources: Sequence[Mapping[str, Any]]
    description: str = ""
    attribution: Mapping[str, str] = field(default_factory=dict)
    ir_range: Mapping[str, Sequence[float] | str] | str = field(default_factory=dict)
    translate: TranslateRecipe | None = None
    caption: CaptionRecipe | None = None
    filters: Mapping[str, Any] = field(default_factory=dict)
    groups: GroupRecipe = field(default_factory=GroupRecipe)
    splits: SplitPolicy = field(default_factory=SplitPolicy)
    max_shard_bytes: int = 500_000_000
    exclude: str | Path | None = None
    rights_policy: str | Path | None = None
    base: Path = Path()

    def __post_init__(self) -> None:
        """Raises ValueError where nothing is to be read, or limits are not limits."""
        if not self.sources:
            raise ValueError("sources must list at least one source, got none")
        if self.ir_range != AUTO:
            check_ir_range(_declared(self.ir_range))
        for name in ("exclude", "rights_policy"):
            if not isinstance(getattr(self, name), (str, Path, type(None))):
                raise ValueError(f"{name} must be the path of a file, got {shown(getattr(self, name))}")
        if self.max_shard_bytes < 1:
            raise ValueError(f"max_shard_bytes must be positive, got {self.max_shard_bytes}")

    @classmethod
    def from_mapping(cls, values: Any, base: Path = Path(), where: str = "recipe") -> "BuildRecipe":
        """Builds a recipe from plain mappings, as YAML gives them; raises InputError as `load_recipe` does.

        A key without a value is left to its default, but within a part such as `splits` null is refused. An entry of
        `sources` for many scenes becomes one for each, see `sources.many`.
        """
        values = without_nulls(values)
        if isinstance(values, Mapping) and isinstance(values.get("sources"), list):
            values = values | {"sources": expanded(values["sources"], Path(base))}
        return parse(cls, values, where, strict=True, base=base)

    def file(self, name: str) -> Path | None:
        """Returns where the file lies that `exclude` or `rights_policy` names; None where it names none."""
        return None if getattr(self, name) is None else self.base / getattr(self, name)

    def named(self) -> dict[str, Any]:
        """Returns what may name files that decide the output, beside `sources`: not `rights_policy`, see there."""
        left_out = ("sources", "base", "rights_policy")
        return {name: value for name, value in asdict(self).items() if name not in left_out}

    def echo(self) -> dict[str, Any]:
        """Returns the recipe as JSON gives it back, for the report: no absolute path, so it is the same anywhere."""
        values = asdict(self)
        del values["base"], values["rights_policy"]
        values["caption"] = self.caption and self.caption.echo()
        values["exclude"] = _portable(values["exclude"])
        if values["translate"]:
            values["translate"]["model"] = _portable(values["translate"]["model"])
        values["splits"]["force_train"] = _portable(values["splits"]["force_train"])
        for part in values["sources"]:
            part |= {name: _portable(value) for name, value in part.items()}
        return redacted(json.loads(json.dumps(values, default=str)))


def load_recipe(path: Path | str) -> BuildRecipe:
    """Reads a build's recipe; relative paths in it start from its folder.

    Raises:
        InputError: Not there or not YAML, an unknown or missing key, or a value that cannot be.
        OSError: The file cannot be read.
    """
    if not (path := Path(path)).exists() or path.is_dir():
        raise InputError(
            f"recipe {path} {'is a folder' if path.is_dir() else 'does not exist'}; `fusionrs inspect IMAGES > "
            f"my.yaml` writes one for images of yours, and those to copy are in {Path(__file__).parent / 'recipes'}"
        )
    return BuildRecipe.from_mapping(read_yaml(path), base=path.parent, where=str(path))


def read_caption_recipe(path: Path | None, **overrides: Any) -> tuple[CaptionRecipe, dict[str, Sequence[float]]]:
    """Reads who captions and how, and `ir_range`, for a dataset that is there already.

    Args:
        path: YAML: a build recipe, of which `caption` and `ir_range` are taken, or the keys of `caption` alone; None:
            the defaults.
        **overrides: Fields of `CaptionRecipe` that win over the file's; None leaves the file's. `options` are joined,
            but those of the file are for the file's captioner only.

    Raises:
        InputError: As of `load_recipe`.
    """
    values, ir_range, where = {}, {}, str(path or "caption")
    if path is not None:
        values = read_yaml(path) or {}
        if isinstance(values, Mapping) and "caption" in values:
            whole = check_keys(BuildRecipe, values, where, hidden=("base",))
            values, ir_range, where = whole["caption"] or {}, whole.get("ir_range") or {}, f"{where}: caption"
        values = check_keys(CaptionRecipe, values, where)
    if overrides.get("captioner") not in (None, values.get("captioner", "grounded")):
        values.pop("options", None)
    options, more = values.get("options") or {}, overrides.get("options") or {}
    if isinstance(options, Mapping):  # else the parser refuses it
        overrides["options"] = {**options, **more}
    if ir_range == AUTO or (isinstance(ir_range, Mapping) and AUTO in ir_range.values()):
        raise InputError(
            f"{path}: ir_range is auto, which a build measures; captions of a dataset that is there take the limits "
            "that it tells, or [low, high]: leave ir_range out"
        )
    with placed(where):
        check_ir_range(ir_range)
    return parse(CaptionRecipe, without_nulls(values | without_nulls(overrides)), where, strict=True), dict(ir_range)


def _declared(ir_range: Any) -> Any:
    """Returns limits without those that are to be measured; what is no mapping stays, to be refused."""
    if not isinstance(ir_range, Mapping):
        return ir_range
    return {band: [0, 1] if pair == AUTO else pair for band, pair in ir_range.items()}


def _portable(value: Any) -> Any:
    if isinstance(value, PurePath) or (isinstance(value, str) and PurePath(value).is_absolute()):
        return PurePath(value).name
    return value
