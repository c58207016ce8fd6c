"""Calling a tool: arguments, results, failures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mcp_types import CallToolResult

from gateway.testing import FakeGateway
from schema import errors
from tests.mcp_bridge.conftest import INTEGERS, described
from tests.mcp_bridge.wire import LEGACY, META, MODERN, Door

BOTH = pytest.mark.parametrize("version", [MODERN, "2025-11-25", "2024-11-05", None])


def text_of(result: Any) -> str:
    return "\n".join(block["text"] for block in result["content"])


@BOTH
async def test_a_number_is_text_in_every_revision(door: Door, version: str | None) -> None:
    params = {"name": "add", "arguments": {"a": 2, "b": 3}}
    result = (await door.request(version, "tools/call", params)).result
    assert result["content"] == [{"type": "text", "text": "5"}]
    assert "isError" not in result
    CallToolResult.model_validate(result)


async def test_the_whole_stateless_result(door: Door) -> None:
    result = await door.call("add", {"a": 2, "b": 3})
    info = result.pop("_meta")[f"{META}serverInfo"]
    assert info["name"] == "calc"
    assert result == {
        "content": [{"type": "text", "text": "5"}],
        "structuredContent": 5,
        "resultType": "complete",
    }


async def test_the_call_reaches_the_function_by_its_own_path(door: Door) -> None:
    await door.call("math_add", {"a": 2, "b": 3})
    ((caller, service, function, args, kwargs, _options),) = door.gateway.calls
    assert caller.user.is_anonymous
    assert (service, function, args) == ("ws-lab/worker:calc", "math.add", ())
    assert kwargs == {"a": 2, "b": 3}


@pytest.mark.parametrize("arguments", [None, {}])
async def test_arguments_may_be_absent(door: Door, arguments: Any) -> None:
    assert text_of(await door.call("echo", arguments)) == "null"
    bare = await door.request(MODERN, "tools/call", {"name": "echo"})
    assert text_of(bare.result) == "null"


@BOTH
async def test_an_exception_of_the_function_is_a_result(door: Door, version: str | None) -> None:
    result = (await door.request(version, "tools/call", {"name": "fail"})).result
    assert result["isError"] is True
    assert result["content"] == [{"type": "text", "text": "ValueError: bad"}]


FAILURES = [
    (errors.ProviderGone("The provider left"), "ConnectionError: The provider left"),
    (errors.CallTimeout("Silent for 30 s"), "TimeoutError: Silent for 30 s"),
    (errors.PermissionDenied("Not yours"), "PermissionError: Not yours"),
    (errors.FunctionNotFound("gone"), "KeyError: 'gone'"),
    (errors.LimitExceeded("Too many calls"), "RuntimeError: Too many calls"),
    (errors.ServiceError("", remote_type=""), "The call failed without a message"),
    (
        errors.ServiceError("boom\nTraceback (most recent call last):\n  File x", remote_type="E"),
        "E: boom",
    ),
]


@pytest.mark.parametrize(("error", "text"), FAILURES)
async def test_a_failed_call_is_readable_and_has_no_traceback(
    gateway: FakeGateway, error: Exception, text: str
) -> None:
    def broken() -> None:
        raise error

    gateway.add_service("ws-lab/worker:bad", {"broken": broken}, visibility="public")
    path = "/ws-lab/mcp/bad/mcp"
    response = await Door(gateway).request(MODERN, "tools/call", {"name": "broken"}, path=path)
    assert response.result["isError"] is True
    assert text_of(response.result) == text


async def test_a_defect_of_the_gateway_is_a_protocol_error(gateway: FakeGateway) -> None:
    def broken() -> None:
        raise errors.InternalError("secret-detail")

    gateway.add_service("ws-lab/worker:bad", {"broken": broken}, visibility="public")
    path = "/ws-lab/mcp/bad/mcp"
    response = await Door(gateway).request(MODERN, "tools/call", {"name": "broken"}, path=path)
    assert (response.status, response.error["code"]) == (200, -32603)
    assert "secret" not in response.body.decode()


async def test_arguments_that_do_not_fit_are_explained(door: Door) -> None:
    result = await door.call("add", {"a": "two"})
    assert result["isError"] is True
    assert text_of(result) == (
        "Invalid arguments for tool add:\n"
        '- (root): "b" is a required property\n'
        '- a: "two" is not of type "integer"\n'
        'Expected: {"a":"integer, required","b":"integer, required"}'
    )
    assert door.gateway.calls == []


async def test_strings_that_hold_the_wanted_type_are_taken(door: Door) -> None:
    assert text_of(await door.call("add", {"a": "2", "b": 3})) == "5"
    ((*_, kwargs, _options),) = door.gateway.calls
    assert kwargs == {"a": 2, "b": 3}


async def test_unknown_arguments_are_for_the_function_to_judge(door: Door) -> None:
    result = await door.call("add", {"a": 1, "b": 2, "c": 3})
    assert result["isError"] is True
    assert text_of(result).startswith("TypeError: got an unexpected keyword argument")


SEVEN = {"n": {"type": "integer", "default": 7}}


@pytest.mark.parametrize(
    ("schema", "declared", "given", "received"),
    [
        ({"properties": SEVEN}, {}, {}, 7),
        ({"properties": SEVEN, "required": ["n"]}, {}, {}, 7),
        ({"properties": SEVEN}, {}, {"n": 5}, 5),
        ({"properties": SEVEN}, {"appliesDefaults": True}, {}, 8),
        ({"properties": {"n": {"type": ["integer", "null"], "default": None}}}, {}, {}, 8),
        ({"properties": {"n": {"type": "integer", "default": "seven"}}}, {}, {}, 8),
        ({"properties": {**SEVEN, "m": {}}, "oneOf": [{"required": ["m"]}, {"required": ["n"]}]},
         {}, {"m": 1}, 8),
    ],
)  # fmt: skip
async def test_what_is_not_given_gets_the_default_of_the_schema(
    gateway: FakeGateway, schema: Any, declared: Any, given: Any, received: int
) -> None:
    function = described(lambda n=8, m=0: n, {"type": "object", **schema}, **declared)
    gateway.add_service("ws-lab/worker:d", {"f": function}, visibility="public")
    params = {"name": "f", "arguments": given}
    response = await Door(gateway).request(MODERN, "tools/call", params, path="/ws-lab/mcp/d/mcp")
    assert text_of(response.result) == str(received)


async def test_trace_context_is_passed_on(door: Door) -> None:
    header, meta = (f"00-{trace * 32}-{trace * 16}-01" for trace in "12")
    params = {"name": "echo", "_meta": {"traceparent": meta}}
    await door.request(MODERN, "tools/call", params, headers={"traceparent": header})
    await door.request(MODERN, "tools/call", {"name": "echo"}, headers={"traceparent": header})
    contexts = [options.context for *_, options in door.gateway.calls]
    assert contexts == [{"traceparent": meta}, {"traceparent": header}]


MIRRORED = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "limit": {"type": "integer", "x-mcp-header": "Limit"},
        "dry": {"type": "boolean", "x-mcp-header": "Dry"},
    },
}


@pytest.mark.parametrize(
    ("arguments", "headers", "is_served"),
    [
        ({}, {}, True),
        ({"region": "eu"}, {"mcp-param-region": "eu"}, True),
        ({"region": "ü"}, {"mcp-param-region": "=?base64?w7w=?="}, True),
        ({"limit": 42}, {"mcp-param-limit": "42.0"}, True),
        ({"dry": True}, {"mcp-param-dry": "true"}, True),
        ({"region": None}, {}, True),
        ({}, {"mcp-param-other": "ignored"}, True),
        ({"region": "eu"}, {}, False),
        ({}, {"mcp-param-region": "eu"}, False),
        ({"region": "eu"}, {"mcp-param-region": "us"}, False),
        ({"region": "eu"}, {"mcp-param-region": "EU"}, False),
        ({"limit": 42}, {"mcp-param-limit": "42.5"}, False),
        ({"limit": 42}, {"mcp-param-limit": "4" * 5000}, False),
        ({"dry": True}, {"mcp-param-dry": "True"}, False),
    ],
)
async def test_mirrored_arguments_must_agree_with_their_headers(
    gateway: FakeGateway, arguments: Any, headers: Any, is_served: bool
) -> None:
    function = described(lambda **kwargs: "ok", MIRRORED)
    gateway.add_service("ws-lab/worker:m", {"f": function}, visibility="public")
    params = {"name": "f", "arguments": arguments}
    path = "/ws-lab/mcp/m/mcp"
    door = Door(gateway)
    response = await door.request(MODERN, "tools/call", params, path=path, headers=headers)
    if is_served:
        assert response.status == 200, response.body
    else:
        assert (response.status, response.error["code"]) == (400, -32020)
    legacy = await door.request("2025-11-25", "tools/call", params, path=path, headers=headers)
    assert legacy.status == 200


async def test_an_array_is_described_and_spelled_out(gateway: FakeGateway) -> None:
    array = np.array([[1.5, np.nan], [3.0, 4.0]], dtype="float32")
    encoded = {
        "_rtype": "ndarray",
        "_rvalue": array.tobytes(),
        "_rshape": [2, 2],
        "_rdtype": "float32",
    }
    door = Door(gateway)
    gateway.add_service("ws-lab/worker:arr", {"f": lambda: encoded}, visibility="public")
    path = "/ws-lab/mcp/arr/mcp"
    result = (await door.request(MODERN, "tools/call", {"name": "f"}, path=path)).result
    assert result["structuredContent"] == {
        "dtype": "float32",
        "shape": [2, 2],
        "values": [[1.5, None], [3.0, 4.0]],
    }


@pytest.mark.parametrize("version", [*LEGACY, MODERN])
async def test_bytes_are_shown_as_what_they_are(gateway: FakeGateway, version: str) -> None:
    png = b"\x89PNG\r\n\x1a\n...."
    gateway.add_service("ws-lab/worker:b", {"f": lambda: png}, visibility="public")
    path = "/ws-lab/mcp/b/mcp"
    result = (await Door(gateway).request(version, "tools/call", {"name": "f"}, path=path)).result
    (block,) = result["content"]
    assert (block["type"], block["mimeType"]) == ("image", "image/png")


async def test_many_calls_run_side_by_side(gateway: FakeGateway) -> None:
    function = described(lambda a, b: a + b, INTEGERS)
    gateway.add_service("ws-lab/worker:calc2", {"add": function}, visibility="public")
    door = Door(gateway)
    path = "/ws-lab/mcp/calc2/mcp"
    calls = [
        door.begin(MODERN, "tools/call", {"name": "add", "arguments": {"a": i, "b": i}}, path=path)
        for i in range(50)
    ]
    answers = [(await call.finished()).result["structuredContent"] for call in calls]
    assert answers == [2 * i for i in range(50)]
