"""What the stdio bridge writes into headers and reads from events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_bridge import param_headers
from mcp_bridge.headers import decoded, encoded
from mcp_bridge.ladder import Request, classify
from mcp_bridge.revisions import CLIENT_CAPABILITIES_KEY, PROTOCOL_VERSION_KEY
from mcp_bridge.stdio import wire

META = {PROTOCOL_VERSION_KEY: "2026-07-28", CLIENT_CAPABILITIES_KEY: {}}


def request(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}


@given(st.text(min_size=1))
def test_a_header_value_is_read_back_as_it_was_written(text: str) -> None:
    expected = text.encode("utf-8", "replace").decode()
    assert encoded(text).isascii()
    assert decoded(encoded(text).encode("latin-1")) == expected


@pytest.mark.parametrize(
    "message",
    [
        request("tools/list"),
        request("server/discover"),
        request("tools/call", name="add", arguments={}),
        request("tools/call", name=" größer ", arguments={}),
        request("tools/call", name="=?base64?eA==?=", arguments={}),
        request("resources/read", uri="file:///ä"),
        request("prompts/get", name="p"),
    ],
)
def test_a_stateless_request_has_the_headers_that_its_server_checks(
    message: dict[str, Any],
) -> None:
    headers = {k.encode(): v.encode() for k, v in wire.routing_headers(message, {}).items()}
    assert isinstance(classify(message, headers), Request)


@pytest.mark.parametrize(
    ("type_", "value", "header"),
    [
        ("string", "eu", "eu"),
        ("string", "süd", "=?base64?c8O8ZA==?="),
        ("integer", 5, "5"),
        ("integer", 5.0, "5"),
        ("boolean", True, "true"),
        ("string", None, None),
    ],
)
def test_an_annotated_argument_is_mirrored(type_: str, value: Any, header: str | None) -> None:
    property_ = {"type": type_, "x-mcp-header": "Region"}
    expected = param_headers.find({"type": "object", "properties": {"region": property_}})
    arguments = {"region": value}
    message = request("tools/call", name="t", arguments=arguments)
    headers = wire.routing_headers(message, {"t": expected})
    assert headers.get("mcp-param-region") == header
    raw = {name.encode(): text.encode() for name, text in headers.items()}
    assert param_headers.check(expected, arguments, raw) is None


def test_events_are_read_line_by_line() -> None:
    parser = wire.EventParser()
    lines = ["id: 7", "retry: 1500", "data: {", "data:}", ": comment", "event: message"]
    assert [parser.feed(line) for line in lines] == [None] * len(lines)
    assert parser.feed("") == wire.Event("{\n}", "7", 1.5)
    assert parser.feed("") == wire.Event()


def test_a_result_loses_what_the_handshake_era_does_not_know() -> None:
    info: dict[str, Any] = {"io.modelcontextprotocol/serverInfo": {}}
    result = {"tools": [], "resultType": "complete", "ttlMs": 0, "cacheScope": "public"}
    assert wire.without_envelope({**result, "_meta": info}) == {"tools": []}
    assert wire.without_envelope({"_meta": {**info, "mine": 1}}) == {"_meta": {"mine": 1}}
