"""How the process of a server treats memory."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

LONG_MESSAGES = """
import resource
from gateway.commands import memory

def message():
    bytearray(8 * 1024 * 1024)

memory.settle()
message()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    message()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries decide themselves")
def test_the_memory_of_a_long_message_is_used_for_the_next_one() -> None:
    # In a process of its own, because it holds for the whole process.
    done = subprocess.run(
        [sys.executable, "-c", LONG_MESSAGES], capture_output=True, text=True, check=True
    )
    pages_of_a_message = 8 * 1024 * 1024 // 4096
    assert int(done.stdout) < pages_of_a_message
