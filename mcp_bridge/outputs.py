"""What a tool gives against the schema that its provider declared for it. Pure.

Strict clients turn a result that does not fit into a failed call, so it is not sent as structured
content; the text stays.
"""

from __future__ import annotations

import jsonschema_rs
import orjson

from mcp_bridge.arguments import compiled
from mcp_bridge.schemas import Cost
from schema.parameters import Schema

_MAX_CHECKED = 20_000_000
"""Bytes of the result times subschemas up to which it is checked at all (some 0.2 s)."""


class OutputCheck:
    """The compiled output schema of one tool. Raises Refused if it does not compile."""

    def __init__(self, schema: Schema, cost: Cost) -> None:
        self.schema = schema
        self._cost = cost
        self._validator: jsonschema_rs.Validator = compiled(schema)

    def fits(self, encoded: bytes) -> bool:
        """Whether a JSON value is as declared. One that takes too long to check is taken as it
        is."""
        if len(encoded) * self._cost.expanded > _MAX_CHECKED:
            return True
        try:
            return self._validator.is_valid(orjson.loads(encoded))
        except ValueError:  # nested deeper than the validator follows
            return False
