"""Requests that cannot succeed: each gets its own answer, and the server goes on as before."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import msgpack
import pytest
from hypha_rpc.sync import connect_to_server
from hypha_rpc.utils.schema import schema_function

from tests.clients.gateways import Gateway

JSON = {"content-type": "application/json"}
MSGPACK = {"content-type": "application/msgpack"}
MODERN = "2026-07-28"


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"POLYPORT_MAX_BODY_BYTES": "100000", "POLYPORT_MAX_MCP_BODY_BYTES": "100000"}


@pytest.fixture(scope="module")
def offered(gateway: Gateway) -> Iterator[str]:
    """A workspace with a public service ``offer`` and a protected one."""

    @schema_function
    def add(a: int, b: int = 10) -> int:
        """Add two numbers."""
        return a + b

    functions = {"add": add, "nothing": lambda: None, "odd": lambda: b"\xff", "pi": 3.14}
    with connect_to_server({"server_url": gateway.url}) as provider:
        provider.register_service({"id": "offer", "config": {"visibility": "public"}, **functions})
        provider.register_service({"id": "secret", "add": lambda a: a})
        yield provider.config.workspace


@pytest.fixture
async def workspace(offered: str, http: httpx.AsyncClient) -> AsyncIterator[str]:
    """The workspace, and a check that nothing has happened to it."""
    yield offered
    answer = await http.get(f"/{offered}/services/offer/add?a=1&b=2")
    assert (answer.status_code, answer.json()) == (200, 3)


@pytest.mark.parametrize(
    ("method", "path", "headers", "content", "status", "code"),
    [
        ("GET", "ws-no-such/services/offer/add", {}, b"", 404, "service_not_found"),
        ("GET", "W/services/no-such/add", {}, b"", 404, "service_not_found"),
        ("GET", "W/services/offer/no_such", {}, b"", 404, "function_not_found"),
        ("GET", "W/services/offer/pi.deeper", {}, b"", 404, "function_not_found"),
        ("GET", "W/services/secret/add?a=1", {}, b"", 403, "permission_denied"),
        ("GET", "W/services/of*er/add?a=1", {}, b"", 400, "invalid_request"),
        ("GET", "W/services/offer/add?a=1&_mode=x", {}, b"", 400, "invalid_request"),
        ("GET", "W/services/offer/add?a={", {}, b"", 400, "invalid_request"),
        ("GET", "W/services/offer/add", {}, b"", 400, "service_error"),
        ("GET", "W/services/offer/add?a=1&c=2", {}, b"", 400, "service_error"),
        ("POST", "W/services/offer/add", JSON, b"{", 400, "invalid_request"),
        ("POST", "W/services/offer/add", JSON, b"\xff", 400, "invalid_request"),
        ("POST", "W/services/offer/add", JSON, b"[" * 50_000, 400, "invalid_request"),
        ("POST", "W/services/offer/add", JSON, b'{"a": 1, "c": 2}', 400, "service_error"),
        ("POST", "W/services/offer/add", JSON, b"[1, 2, 3]", 400, "service_error"),
        ("POST", "W/services/offer/add", MSGPACK, b"\xc1", 400, "invalid_request"),
        ("POST", "W/services/offer/add", MSGPACK, b"\x81\x01\x01", 400, "invalid_request"),
        ("POST", "W/services/offer/add", {"content-type": "text/x"}, b"x", 415, None),
        ("POST", "W/services/offer/add", JSON, b" " * 200_000, 413, "payload_too_large"),
        ("DELETE", "W/services/offer/add", {}, b"", 405, "method_not_allowed"),
        ("GET", "W/services/offer/add", {"authorization": "Bearer x"}, b"", 401, None),
        ("GET", "ws-no-such/services", {}, b"", 404, "workspace_not_found"),
        ("GET", "W/services/no-such", {}, b"", 404, "service_not_found"),
    ],
)
async def test_a_bad_http_request_is_told_what_is_wrong_with_it(
    http: httpx.AsyncClient,
    workspace: str,
    method: str,
    path: str,
    headers: dict[str, str],
    content: bytes,
    status: int,
    code: str | None,
) -> None:
    url = "/" + path.replace("W", workspace, 1)
    answer = await http.request(method, url, headers=headers, content=content)
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert (answer.status_code, told["success"]) == (status, False)
    assert code in (None, told["code"])
    assert told["detail"]
    assert "Traceback" not in told["detail"]


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"content-type": "application/json; charset=utf-8"}, b'{"a": 1, "b": 2}'),
        ({"content-type": "APPLICATION/JSON"}, b'{"a": 1, "b": 2}'),
        ({}, b'{"a": 1, "b": 2}'),
        (JSON, b"[1, 2]"),
        (MSGPACK, msgpack.packb({"a": 1, "b": 2})),
        (MSGPACK, msgpack.packb([1, 2])),
    ],
)
async def test_unusual_but_clear_requests_are_answered(
    http: httpx.AsyncClient, workspace: str, headers: dict[str, str], content: bytes
) -> None:
    url = f"/{workspace}/services/offer/add"
    headers = {**headers, "accept": "application/json"}
    answer = await http.post(url, headers=headers, content=content)
    assert (answer.status_code, answer.json()) == (200, 3)


async def test_values_without_a_json_form_get_one(http: httpx.AsyncClient, workspace: str) -> None:
    url = f"/{workspace}/services/offer"
    assert (await http.get(f"{url}/nothing")).json() is None
    assert (await http.get(f"{url}/pi")).json() == 3.14
    odd = await http.get(f"{url}/odd")
    assert odd.json() == {"_rtype": "bytes", "_rvalue": "/w=="}
    raw = await http.get(f"{url}/odd", headers={"accept": "application/octet-stream"})
    assert raw.content == b"\xff"


def modern(method: str, **params: Any) -> dict[str, Any]:
    """A request of the stateless revision."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta, **params}}


def routed(method: str, name: str | None = None) -> dict[str, str]:
    """The headers that the stateless revision asks for."""
    headers = {"mcp-protocol-version": MODERN, "mcp-method": method}
    return headers | ({"mcp-name": name} if name else {})


LIST = modern("tools/list")
OLD = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


@pytest.mark.parametrize(
    ("path", "headers", "body", "status", "code"),
    [
        ("W/mcp/no-such/mcp", {}, OLD, 404, -32600),
        ("ws-no-such/mcp/offer/mcp", {}, OLD, 404, -32600),
        ("W/mcp/secret/mcp", {}, OLD, 404, -32600),
        ("W/mcp/offer/mcp", {"authorization": "Bearer x"}, OLD, 401, -32600),
        ("W/mcp/offer/mcp", {"origin": "http://evil.example"}, OLD, 403, -32600),
        ("W/mcp/offer/mcp", {"host": "evil.example"}, OLD, 421, -32600),
        ("W/mcp/offer/mcp", {"content-type": "text/plain"}, OLD, 415, -32600),
        ("W/mcp/offer/mcp", {}, b"{", 400, -32700),
        ("W/mcp/offer/mcp", {}, b"[" * 50_000, 400, -32700),
        ("W/mcp/offer/mcp", {}, b" " * 200_000, 413, -32600),
        ("W/mcp/offer/mcp", {}, [], 400, -32600),
        ("W/mcp/offer/mcp", {}, "text", 400, -32600),
        ("W/mcp/offer/mcp", {}, {**OLD, "id": None}, 400, -32600),
        ("W/mcp/offer/mcp", {"mcp-protocol-version": "1999-01-01"}, OLD, 400, None),
        ("W/mcp/offer/mcp", {}, LIST, 400, -32020),
        ("W/mcp/offer/mcp", routed("tools/call"), LIST, 400, -32020),
        ("W/mcp/offer/mcp", routed("ping"), modern("ping"), 404, -32601),
        (
            "W/mcp/offer/mcp",
            routed("tools/call", "no_such"),
            modern("tools/call", name="no_such"),
            400,
            -32602,
        ),
    ],
)
async def test_a_bad_mcp_request_is_told_what_is_wrong_with_it(
    http: httpx.AsyncClient,
    workspace: str,
    path: str,
    headers: dict[str, str],
    body: Any,
    status: int,
    code: int | None,
) -> None:
    url = "/" + path.replace("W", workspace, 1)
    content: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
    answer = await http.post(url, headers={**JSON, **headers}, **content)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert code in (None, error["code"])
    assert error["message"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, '- (root): "a" is a required property'),
        ({"a": "many"}, "- a: "),
        ({"a": 1, "b": [2]}, "- b: "),
        ({"a": None}, '- (root): "a" is a required property'),
    ],
)
async def test_bad_arguments_of_a_tool_are_a_result_that_names_them(
    http: httpx.AsyncClient, workspace: str, arguments: dict[str, Any], problem: str
) -> None:
    answer = await http.post(
        f"/{workspace}/mcp/offer/mcp",
        headers=routed("tools/call", "add"),
        json=modern("tools/call", name="add", arguments=arguments),
    )
    result = answer.json()["result"]
    assert (answer.status_code, result["isError"]) == (200, True)
    assert problem in result["content"][0]["text"]


@pytest.mark.parametrize("path", ["/", "/health/liveness", "/health/readiness"])
async def test_the_server_is_still_well(
    http: httpx.AsyncClient, gateway: Gateway, path: str
) -> None:
    assert (await http.get(path)).status_code == 200
