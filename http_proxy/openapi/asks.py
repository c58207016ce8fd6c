"""What functions ask while they run, in the documents: the answer 202, and the address that takes
the answers. Pure.

The address is not below that of a service, so the document of one service has the answer alone: a
client that is made from it follows the URL that it is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from http_proxy.negotiation import Media
from http_proxy.openapi.answers import responses
from schema.services import ServiceInfo

Object = dict[str, Any]

PATH: Final = "/asks/{id}"
"""Below the address of a workspace."""

SCHEMA: Final[tuple[str, Object]] = (
    "Asked",
    {
        "type": "object",
        "description": "What a function asks its caller while it runs.",
        "required": ["success", "state", "url", "requests"],
        "properties": {
            "success": {"type": "boolean", "const": True},
            "state": {"type": "string", "const": "asking"},
            "url": {"type": "string", "format": "uri", "description": "Takes the answers."},
            "requests": {
                "type": "object",
                "description": "By their keys, in the forms of MCP.",
                "additionalProperties": {
                    "type": "object",
                    "required": ["method", "params"],
                    "properties": {"method": {"type": "string"}, "params": {"type": "object"}},
                },
            },
        },
    },
)
"""A component by its name."""

_CONTENT: Final[Object] = {
    Media.JSON.value: {"schema": {"$ref": f"#/components/schemas/{SCHEMA[0]}"}}
}
RESPONSE: Final[tuple[str, Object]] = (
    "Asking",
    {
        "description": (
            "The function asks something. POST the answers to the URL within ten minutes; the "
            "answer to that is what this call would have returned. With `Accept: "
            "text/event-stream` the call is a stream, in which the question is an event `ask`."
        ),
        "headers": {
            "Location": {
                "description": "The URL that takes the answers.",
                "schema": {"type": "string", "format": "uri"},
            }
        },
        "content": _CONTENT,
    },
)
"""A component by its name."""

ACCEPTED: Final[Object] = {"202": {"$ref": f"#/components/responses/{RESPONSE[0]}"}}
"""To be added to the responses of whatever may ask."""


def may_ask(services: Iterable[ServiceInfo]) -> bool:
    """Whether any of their functions may ask its caller something."""
    return any(f.takes_interaction for service in services for f in service.functions.values())


def path_item(id_of: Callable[[str], str] = str) -> Object:
    """Both operations of the address; ``id_of`` gives the ids that are free for those wanted."""
    shown = {"description": "What is asked.", "content": _CONTENT}
    answers = {
        "type": "object",
        "description": (
            'By the keys of the requests; to a form, `{"action": "accept", "content": {...}}`. '
            "A single form may be answered by its content alone."
        ),
    }
    common = {"tags": ["asks"]}
    get = {
        "operationId": id_of("get_ask"),
        "summary": "What a function asks its caller",
        **common,
        "responses": responses(has_body=False, success=shown),
    }
    post = {
        "operationId": id_of("answer_ask"),
        "summary": "Answer what a function asks",
        **common,
        "requestBody": {
            "content": {Media.JSON.value: {"schema": answers}},
            "required": True,
        },
        "responses": responses(has_body=True)
        | ACCEPTED
        | {"204": {"description": "Taken. The call goes on in the stream that its caller reads."}},
    }
    return {"get": get, "post": post}


def parameter() -> Object:
    """The parameter of the path."""
    return {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "As the URL has it that the caller was told.",
        "schema": {"type": "string"},
    }
