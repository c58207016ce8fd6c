"""The ``__init__`` of the package that the Python client's tests are in."""

import os

WS_SERVER_URL = os.environ["POLYPORT_SUITE_URL"]
WS_PORT = int(WS_SERVER_URL.rpartition(":")[2])
