"""What holds for all tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Node.js and npm come with the environment that the tests run in.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

# All that tests talk to is on this machine, whatever proxy leads away from it.
for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[name]
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"

# How long an example takes is a matter of what else the machine does. The same code gets the same
# examples every time: `make fuzz` is what looks for new ones.
settings.register_profile(
    "any", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any")
settings.register_profile(
    "nightly", settings.get_profile("any"), derandomize=False, max_examples=100_000
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long is begun first, so that nobody waits for it alone in the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
