"""Encoded values: maps with ``_rtype``, which is how hypha-rpc carries what msgpack cannot.

The gateway keeps them encoded; a bridge turns the kinds it can show into its own form and
passes the rest on as the map.
"""

from __future__ import annotations

from typing import Any, Final

RTYPE: Final = "_rtype"

METHOD: Final = "method"
GENERATOR: Final = "generator"
STOP_ITERATION: Final = "stop_iteration"
ERROR: Final = "error"
NDARRAY: Final = "ndarray"
"""``_rvalue`` bytes in C order, ``_rshape`` list of lengths, ``_rdtype`` numpy name."""
TYPED_ARRAY: Final = "typedarray"
MEMORY_VIEW: Final = "memoryview"
SET: Final = "set"
ORDERED_MAP: Final = "orderedmap"
PYDANTIC_MODEL: Final = "pydantic_model"
"""``_rvalue`` the fields of the model, ``_rschema`` its JSON Schema."""


def rtype(value: Any) -> str | None:
    """The kind of an encoded value, or None for a plain one."""
    if isinstance(value, dict):
        kind = value.get(RTYPE)
        return kind if isinstance(kind, str) else None
    return None
