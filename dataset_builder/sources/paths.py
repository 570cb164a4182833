"""Names from indexes, tars and caption files -> paths inside a declared root, and never anywhere else."""

from pathlib import Path, PurePosixPath


class UnsafeNameError(ValueError):
    """A name that is empty, absolute, holds NUL or `..`, or leads out of its root by a link."""


def inside(root: Path, name: str) -> Path:
    r"""Returns the path that a name means below `root`; whether there is a file is not asked.

    Args:
        root: Folder that nothing may leave; it may itself be a link.
        name: Relative, with `/` or `\` between its parts; comes from data and is not trusted.

    Raises:
        UnsafeNameError: The name is empty, absolute (also as Windows and URLs write it), holds NUL, `..` or a drive,
            or a link on the way leads out of `root`.
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or "\0" in name or parts[0].startswith("/") or ".." in parts or ":" in parts[0]:
        raise UnsafeNameError(f"{name!r} does not name a file below its root; give a relative name without `..`")
    path = root.joinpath(*parts)
    if not path.resolve().is_relative_to(root.resolve()):
        raise UnsafeNameError(f"{name!r} leads out of {root} by a link; copy the file into the root")
    return path
