"""Disks that are full or closed, of the process that calls: for tests of what a verb says then."""

import ctypes
import resource

DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2  # what lets root write where modes forbid it


class SmallFiles:
    """No file may grow beyond a size: a disk that is full for the larger ones."""

    def __init__(self, size):
        self.size = size

    def __call__(self):
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def obey_modes():
    """Gives up what lets root write where modes forbid it."""
    libc, header, sets = ctypes.CDLL(None), (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc.capget(header, sets)
    for place in (0, 1):  # effective, permitted
        sets[place] &= ~(1 << DAC_OVERRIDE | 1 << DAC_READ_SEARCH)
    libc.capset(header, sets)
