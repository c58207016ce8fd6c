"""All tables. A part that keeps something adds its module to the imports, and one migration."""

from __future__ import annotations

from gateway.storage import (
    accounts,
    api_keys,
    audit,
    blocks,
    events,
    function_access,
    oauth,
    revocations,
    upstreams,
    workspaces,
)
from gateway.storage.metadata import metadata

PARTS = (
    accounts,
    api_keys,
    audit,
    blocks,
    events,
    function_access,
    oauth,
    revocations,
    upstreams,
    workspaces,
)

__all__ = ["PARTS", "metadata"]
