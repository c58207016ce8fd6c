"""``python -m gateway`` is the command ``polyport``."""

import sys

from gateway.cli import main

sys.exit(main())
