"""The answers that every operation has in common, from the tables they are made by. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

from http_proxy.errors import REMOTE_STATUS, STATUS, status_of_type
from http_proxy.negotiation import Media
from schema.errors import GatewayError

Object = dict[str, Any]

_BODY_ONLY: Final = frozenset({413, 415})
"""What only a request with a body can be told."""
_NO_OPERATION: Final = 405
"""The answer to methods that are no operations of a document."""

_TOLD: Final = frozenset(kind.__module__ for kind in STATUS)

_RESULT: Final = (
    "What the function returns, in the format that `Accept` asks for: JSON, msgpack, or bytes as "
    "they are (`application/octet-stream`). In JSON, binary values are "
    '`{"_rtype": "bytes", "_rvalue": "<base64>"}`. The items of a generator come one by one while '
    "they are made: as Server-Sent Events with a line `data: <JSON>` each and `data: [DONE]` at "
    "the end, as lines of JSON, or as msgpack objects. A failure in their midst is an item with "
    "`error`, `code` and `type`."
)
_HEADERS: Final[dict[int, Object]] = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    429: {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}},
    503: {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}},
}

SECURITY_SCHEMES: Final[Object] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A token of this gateway."},
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "access_token",
        "description": "The same token, as the login page leaves it in a browser.",
    },
}
TOKEN: Final[list[Object]] = [{"bearer": []}, {"cookie": []}]
MAYBE_TOKEN: Final[list[Object]] = [{}, *TOKEN]


def shared_schemas() -> Object:
    """The schemas of errors."""
    code = {
        "type": "string",
        "description": "A stable word for programs.",
        "examples": sorted({kind.code for kind in _kinds(GatewayError)}),
    }
    detail = {"type": "string", "description": "What happened, for people."}
    data = {"type": "object", "description": "More about it, if there is more."}
    return {
        "Error": {
            "type": "object",
            "required": ["success", "code", "type", "detail"],
            "properties": {
                "success": {"type": "boolean", "const": False},
                "code": code,
                "type": {
                    "type": "string",
                    "description": "The exception: that of the function if it raised one.",
                },
                "detail": detail,
                "data": data,
            },
        },
        "Problem": {
            "type": "object",
            "description": "Problem Details (RFC 9457), for those who accept them.",
            "required": ["type", "title", "status", "detail", "code"],
            "properties": {
                "type": {"type": "string", "format": "uri-reference"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": detail,
                "code": code,
                "data": data,
            },
        },
    }


def shared_responses() -> Object:
    """The ``responses`` section of a document: a result, and every error."""
    # Of no type: for tools the content is either a text or, one by one, what is in it.
    events = {"description": "Events, the data of each one item as JSON, and `[DONE]`."}
    lines = {"description": "One item as JSON in each line."}
    content = {
        Media.JSON.value: {"schema": {}},
        Media.MSGPACK.value: {"schema": {}},
        Media.OCTETS.value: {"schema": {"type": "string", "format": "binary"}},
        Media.EVENTS.value: {"schema": events},
        Media.NDJSON.value: {"schema": lines},
    }
    errors = {_name(status): _error(status) for status in _statuses()}
    return {"Result": {"description": _RESULT, "content": content}, **errors}


def responses(*, has_body: bool, success: Object | None = None) -> Object:
    """The ``responses`` of one operation; ``success`` stands in for the result of a function."""
    return {
        "200": success or {"$ref": "#/components/responses/Result"},
        **{
            str(status): {"$ref": f"#/components/responses/{_name(status)}"}
            for status in _statuses()
            if has_body or status not in _BODY_ONLY
        },
    }


def _statuses() -> list[int]:
    return sorted({*STATUS.values(), *REMOTE_STATUS.values()} - {_NO_OPERATION})


def _name(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "")


def _error(status: int) -> Object:
    codes = sorted({k.code for k in _kinds(GatewayError) if status_of_type(k) == status})
    told = f"{HTTPStatus(status).phrase}: {', '.join(f'`{code}`' for code in codes)}."
    raised = [f"`{name}`" for name, remote in REMOTE_STATUS.items() if remote == status]
    if raised:
        told += f" Also when the function raises {' or '.join(raised)}."
    content = {
        Media.JSON.value: {"schema": {"$ref": "#/components/schemas/Error"}},
        Media.PROBLEM.value: {"schema": {"$ref": "#/components/schemas/Problem"}},
    }
    answer: Object = {"description": told, "content": content}
    if status in _HEADERS:
        answer["headers"] = _HEADERS[status]
    return answer


def _kinds(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    """The errors that callers are told. Other modules have some that never leave them."""
    if kind.__module__ in _TOLD:
        yield kind
    for narrower in kind.__subclasses__():
        yield from _kinds(narrower)
