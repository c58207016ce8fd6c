"""One function as operations: a POST with its arguments in a body, and a GET with them in the URL
where they fit there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote

from http_proxy.negotiation import Media
from http_proxy.openapi.answers import responses
from http_proxy.openapi.asks import ACCEPTED
from http_proxy.openapi.components import PREFIX, Components
from http_proxy.openapi.names import Names
from http_proxy.openapi.queries import Parameters, query_parameters, takes_nothing
from http_proxy.openapi.schemas import Undescribable, prepared
from schema.functions import FunctionInfo
from schema.parameters import Schema

MAX_FUNCTIONS: Final = 2_000
"""In a document. One is described in a hundred times the bytes that it may have been registered
with, and what nobody can read need not be made."""

MAX_DESCRIPTION: Final = 4_000
MAX_SCHEMA_BYTES: Final = 4 * 1024 * 1024
"""Of all functions in a document together; those beyond are documented without their arguments."""

_MAX_SUMMARY: Final = 120
_UNKNOWN: Final[Schema] = {"type": "object", "additionalProperties": True}

Item = dict[str, Any]


class Operations:
    """Makes the path items of one document."""

    def __init__(self, components: Components) -> None:
        self.ids = Names()
        """Those of the operations."""
        self._components = components
        self._room = MAX_SCHEMA_BYTES
        self.left = MAX_FUNCTIONS
        """How many more functions can be described; negative by those that were not."""

    def items(
        self, functions: Iterable[FunctionInfo], *, prefix: str, id_prefix: str, tag: str
    ) -> Iterator[tuple[str, Item]]:
        """Path and item of each function. ``prefix`` stands before its path, ``id_prefix`` before
        the operation ids."""
        made: list[tuple[str, str, Item]] = []
        for function in functions:
            if not function.path or "/" in function.path:
                continue  # a slash in a URL is a dot in the path of a function
            self.left -= 1
            if self.left >= 0:
                path = f"{prefix}/{quote(cleaned(function.path), safe='')}"
                item = self._item(function, id_prefix, tag)
                if function.takes_interaction:
                    for operation in item.values():
                        operation["responses"] |= ACCEPTED
                made.append((path, function.path, item))
        for path, name, item in made:
            # After all POSTs, so that a function called get_x keeps its name.
            if "get" in item:
                item["get"]["operationId"] = self.ids.take(f"{id_prefix}get_{name}")
            yield path, item

    def _item(self, function: FunctionInfo, id_prefix: str, tag: str) -> Item:
        try:
            schema, size = prepared(function.parameters)
            if size > self._room:
                raise Undescribable("the schemas before them have filled this document")
            self._room -= size
        except Undescribable as reason:
            told = f"The arguments are not described here: {reason}. Pass them by name."
            described = _described(function, tag, told)
            return {"post": self._post(function, id_prefix, described, _UNKNOWN, required=False)}
        described = _described(function, tag)
        if takes_nothing(schema):
            post = self._post(function, id_prefix, described)
            return {"get": _get(described, []), "post": post}
        component = self._components.add(f"{id_prefix}{function.path}_arguments", schema)
        body = {"$ref": f"{PREFIX}{component}"}
        required = bool(schema.get("required"))
        post = self._post(function, id_prefix, described, body, required=required)
        parameters = query_parameters(schema, self._components)
        if parameters is None:
            return {"post": post}
        return {"get": _get(described, parameters), "post": post}

    def _post(
        self,
        function: FunctionInfo,
        id_prefix: str,
        described: Item,
        body: Schema | None = None,
        *,
        required: bool = False,
    ) -> Item:
        item: Item = {"operationId": self.ids.take(f"{id_prefix}{function.path}"), **described}
        if body is not None:
            content = {media.value: {"schema": body} for media in (Media.JSON, Media.MSGPACK)}
            item["requestBody"] = {"content": content, "required": required}
        item["responses"] = responses(has_body=True)
        return item


def _get(described: Item, parameters: Parameters) -> Item:
    return {
        "operationId": "",  # its place; given when all functions are known
        **described,
        **({"parameters": parameters} if parameters else {}),
        "responses": responses(has_body=False),
    }


def _described(function: FunctionInfo, tag: str, more: str = "") -> Item:
    description = cleaned(function.description.strip())[:MAX_DESCRIPTION]
    first = description.partition("\n")[0].strip()
    item: Item = {"tags": [tag], "summary": first[:_MAX_SUMMARY] or cleaned(function.path)}
    if description != item["summary"] or more:
        item["description"] = "\n\n".join(filter(None, (description, more)))
    return item


def cleaned(text: str) -> str:
    """The text without what UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()
