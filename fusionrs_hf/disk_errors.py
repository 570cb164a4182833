"""A full disk and a folder that is closed end a verb in a line that says how to go on."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fusionrs_hf.errors import InputError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def stops_in_a_line(folder: Path, work: str) -> Iterator[None]:
    """Turns a full disk and a folder that cannot be written into an InputError that says how to go on.

    Args:
        folder: That is written.
        work: What stops, such as `build`.
    """
    try:
        yield
    except OSError as error:
        folder = folder.absolute()
        if error.errno in FULL:
            remedy = f"make room for {folder}"
        elif error.errno in CLOSED and Path(error.filename or folder).absolute().is_relative_to(folder):
            remedy = f"make {folder} writable"
        else:
            raise
        raise InputError(
            f"the {work} in {folder} stopped: {os.strerror(error.errno)}; what is finished is kept: {remedy}, then "
            "run the same command again to continue"
        ) from error
