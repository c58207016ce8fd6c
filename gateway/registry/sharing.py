"""One copy of what many clients register alike.

Every client registers the same ``built-in``, and replicas register the same functions; their
schemas are the largest part of what the registry keeps for an idle client.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any, Final

from gateway.wire.codec import pack

MAX_KEPT: Final = 1024


class SchemaPool:
    """Gives back an equal schema that it has seen before, if it still remembers one. What it
    gives is shared and must not be changed."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, dict[str, Any]] = OrderedDict()

    def shared(self, schema: dict[str, Any]) -> dict[str, Any]:
        """``schema``, or its equal from before."""
        key = hashlib.blake2b(pack(schema), digest_size=16).digest()
        known = self._kept.get(key)
        if known is None:
            self._kept[key] = known = schema
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return known
