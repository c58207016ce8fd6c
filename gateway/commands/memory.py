"""How the process of a server treats memory: rarely collected, and kept for the next message."""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import Final

KEPT_BYTES: Final = 32 * 1024 * 1024
"""Free memory at the end of the heap that is not given back. A message of 8 MiB needs two thirds of
it on its way; it is also the largest threshold for mappings that glibc takes."""

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
"""Parameters of ``mallopt``, from glibc's ``malloc.h``."""


def settle() -> None:
    """Treat memory as a server that is ready should. For the whole process, until it ends."""
    # What exists by now lives as long as the process, and a relay makes little cyclic garbage: the
    # collector need not walk over the former, nor look often for the latter.
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 10, 10)
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """glibc gives free memory back to the system at once, where much of it lies together, and for
    the next long message takes it again, page by page and each of them cleared: that was two thirds
    of what such a message cost. Other C libraries have their own ways."""
    if sys.platform != "linux":
        return
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_MMAP_THRESHOLD, KEPT_BYTES)
        set_option(_TRIM_THRESHOLD, KEPT_BYTES)
