"""All tables. A part that keeps something adds its module to the imports, and one migration."""

from __future__ import annotations

from gateway.storage import blocks, events, oauth, upstreams, workspaces
from gateway.storage.metadata import metadata

PARTS = (blocks, events, oauth, upstreams, workspaces)

__all__ = ["PARTS", "metadata"]
