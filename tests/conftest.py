"""What holds for all tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

# Node.js and npm come with the environment that the tests run in.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

# All that tests talk to is on this machine, whatever proxy leads away from it.
for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[name]
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"

# How long an example takes is a matter of what else the machine does.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")
settings.register_profile("nightly", settings.get_profile("any"), max_examples=100_000)
