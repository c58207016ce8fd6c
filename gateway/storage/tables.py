"""All tables. A part that keeps something adds its module to the imports, and one migration."""

from __future__ import annotations

from gateway.storage import (  # noqa: F401 - each adds its tables to the metadata
    accounts,
    api_keys,
    audit,
    blocks,
    events,
    function_access,
    login_failures,
    oauth,
    revocations,
    upstreams,
    workspaces,
)
from gateway.storage.metadata import metadata

__all__ = ["metadata"]
