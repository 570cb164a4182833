"""A recipe of one folder, and the identity of a build as `pipeline` asks for it, but without open readers."""

from pathlib import Path
from typing import Any

from dataset_builder.building.identity import identity_of
from dataset_builder.recipe import BuildRecipe


def recipe(base: Path, **changes: Any) -> BuildRecipe:
    return BuildRecipe.from_mapping({"name": "x", "sources": [{"kind": "folder", "path": "in"}], **changes}, base=base)


def build_identity(recipe: BuildRecipe, out: Path, listing: Path | None = None) -> dict[str, Any]:
    return identity_of(
        recipe.echo(), out, named=recipe.named(), sources=recipe.sources, base=recipe.base, listing=listing
    )
