"""What holds for all tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Node.js and npm come with the environment that the tests run in.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
