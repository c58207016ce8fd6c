"""The call resource: functions, constants, results."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgpack
import pytest

from gateway.api import Credentials
from gateway.testing import FakeGateway
from schema import errors
from schema.identity import Caller
from schema.services import ServiceInfo
from tests.http_proxy.conftest import MAX_RESPONSE
from tests.patience import PATIENCE_SECONDS

BASE = "/ws-lab/services/calc"


async def test_get_calls_with_the_parameters_of_the_url(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    answer = await client.get(f"{BASE}/add?a=2&b=-5")
    assert (answer.status_code, answer.json()) == (200, -3)
    assert answer.headers["content-type"] == "application/json"
    _, service, function, args, kwargs, _ = gateway.calls[0]
    assert (service, function, args, kwargs) == (
        "ws-lab/worker:calc", "add", (), {"a": 2, "b": -5},
    )  # fmt: skip


async def test_post_calls_with_the_names_of_a_json_object(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{BASE}/add", json={"a": 2, "b": 3})
    assert (answer.status_code, answer.content) == (200, b"5")
    assert answer.headers["content-length"] == "1"


@pytest.mark.parametrize(
    ("body", "args"), [(b"[2, 3]", [2, 3]), (b"5", [5]), (b'"x"', ["x"]), (b"", [])]
)
async def test_post_calls_by_position_with_other_json(
    client: httpx.AsyncClient, body: bytes, args: list[Any]
) -> None:
    answer = await client.post(f"{BASE}/echo", content=body)
    assert answer.json() == {"args": args, "kwargs": {}}


SEVEN = {"n": {"type": "integer", "default": 7}}


@pytest.mark.parametrize(
    ("schema", "declared", "body", "received"),
    [
        ({"properties": SEVEN}, {}, b"", 7),
        ({"properties": SEVEN}, {}, b'{"m": 1}', 7),
        ({"properties": SEVEN}, {}, b'{"n": 5}', 5),
        ({"properties": SEVEN}, {}, b"[5]", 5),
        ({"properties": SEVEN}, {"appliesDefaults": True}, b"", 8),
        ({"properties": {"n": {"type": ["integer", "null"], "default": None}}}, {}, b"", 8),
        ({"properties": {"n": {"type": "integer", "default": "seven"}}}, {}, b"", 8),
        ({"properties": SEVEN, "oneOf": [{"required": ["m"]}, {"required": ["n"]}]}, {}, b"", 8),
    ],
)
async def test_what_is_not_given_gets_the_default_of_the_schema(
    client: httpx.AsyncClient,
    gateway: FakeGateway,
    schema: Any,
    declared: Any,
    body: bytes,
    received: int,
) -> None:
    def function(n: int = 8, m: int = 0) -> int:
        return n

    leaf = {"name": "f", "parameters": {"type": "object", **schema}, **declared}
    function.__schema__ = leaf  # type: ignore[attr-defined]
    gateway.add_service("ws-lab/worker:d", {"f": function}, visibility="public")
    assert (await client.post("/ws-lab/services/d/f", content=body)).json() == received
    if not body:
        assert (await client.get("/ws-lab/services/d/f")).json() == received


async def test_post_ignores_the_parameters_of_the_url(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{BASE}/echo?q=1", json={"b": 2})
    assert answer.json() == {"args": [], "kwargs": {"b": 2}}


async def test_reserved_names_do_not_reach_the_function(client: httpx.AsyncClient) -> None:
    got = await client.get(f"{BASE}/echo?workspace=a&service_id=b&function_key=c&_mode=first&d=1")
    assert got.json()["kwargs"] == {"d": 1}
    posted = await client.post(f"{BASE}/echo", json={"workspace": 1, "_mode": 2, "d": 3})
    assert posted.json()["kwargs"] == {"d": 3}


@pytest.mark.parametrize("path", ["ns.deep.f", "ns/deep/f", "ns.deep/f", "items.0", "ns/deep/f/"])
async def test_a_nested_function_is_reached_by_dots_and_by_slashes(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(f"{BASE}/{path}?a=1&b=2")
    assert (answer.status_code, answer.json()) == (200, 3)


@pytest.mark.parametrize("service", ["calc", "worker:calc", "*:calc", "worker:calc@*"])
async def test_a_service_is_named_with_or_without_its_client(
    client: httpx.AsyncClient, service: str
) -> None:
    assert (await client.get(f"/ws-lab/services/{service}/add?a=1&b=2")).json() == 3


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("pi", 3.14), ("zero", 0), ("nothing", None), ("no", False), ("empty", ""),
        ("settings", {"depth": {"value": 7}}), ("settings.depth.value", 7), ("items.1", "second"),
    ],
)  # fmt: skip
async def test_a_constant_is_returned_even_if_it_is_falsy(
    client: httpx.AsyncClient, gateway: FakeGateway, path: str, value: Any
) -> None:
    for answer in (await client.get(f"{BASE}/{path}"), await client.post(f"{BASE}/{path}")):
        assert (answer.status_code, answer.json()) == (200, value)
    assert gateway.calls == []


@pytest.mark.parametrize("path", ["missing", "pi.x", "zero.x.y", "ns.deep.g", "items.7", "ns..f"])
async def test_a_missing_member_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(f"{BASE}/{path}")
    assert answer.status_code == 404
    assert answer.json() == {
        "success": False,
        "code": "function_not_found",
        "type": "FunctionNotFound",
        "detail": f"{path} not found.",
    }


async def test_a_function_that_is_not_described_can_be_called(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.add_service(
        "ws-lab/worker:plain", {"double": lambda x: 2 * x}, service_schema={}, visibility="public"
    )
    assert (await client.get("/ws-lab/services/plain/double?x=4")).json() == 8


async def test_a_member_that_is_an_encoded_method_is_called(
    client: httpx.AsyncClient, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read(caller: Caller, service: ServiceInfo, path: str = "") -> Any:
        return {"_rtype": "method", "_rtarget": "ws-lab/worker", "_rmethod": f"x.{path}"}

    async def call(
        caller: Caller, service: ServiceInfo, function: str, args: Any, kwargs: Any, options: Any
    ) -> Any:
        return [function, args, kwargs]

    monkeypatch.setattr(gateway, "read", read)
    monkeypatch.setattr(gateway, "call", call)
    answer = await client.get(f"{BASE}/undeclared?x=1")
    assert answer.json() == ["undeclared", [], {"x": 1}]


async def test_a_described_function_is_called_without_asking_its_provider_first(
    client: httpx.AsyncClient, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    async def call(caller: Caller, service: ServiceInfo, function: str, *arguments: Any) -> Any:
        calls.append(function)
        return None

    async def read(caller: Caller, service: ServiceInfo, path: str = "") -> Any:
        raise AssertionError("read")

    monkeypatch.setattr(gateway, "call", call)
    monkeypatch.setattr(gateway, "read", read)
    answer = await client.post(f"{BASE}/add", json={"a": 1})
    assert (answer.json(), calls) == (None, ["add"])


async def test_the_workspace_manager_is_the_service_ws(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.add_service("ws-lab/gateway:~", {"ping": lambda: "pong"}, visibility="public")
    answer = await client.get("/ws-lab/services/ws/ping")
    assert (answer.status_code, answer.json()) == (200, "pong")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_mode_in_the_url_chooses_between_instances(
    client: httpx.AsyncClient, gateway: FakeGateway, method: str
) -> None:
    for number in (1, 2):
        gateway.add_service(
            f"ws-lab/worker-{number}:twin", {"who": lambda n=number: n}, visibility="public"
        )
    url = "/ws-lab/services/twin/who"
    assert (await client.request(method, f"{url}?_mode=first")).json() == 1
    assert (await client.request(method, f"{url}?_mode=last")).json() == 2
    ambiguous = await client.request(method, url)
    assert (ambiguous.status_code, ambiguous.json()["code"]) == (400, "ambiguous_service")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/ws-lab/services/nope/add", 404, "service_not_found"),
        ("/ws-none/services/calc/add", 404, "service_not_found"),
        ("/ws-lab/services/private/add", 403, "permission_denied"),
        ("/ws-lab/services/ca*/add", 400, "invalid_request"),
        ("/ws-lab/services/a:b:c/add", 400, "invalid_request"),
        ("/ws-lab/services/calc/add?a=%C2%BD", 400, "invalid_request"),
        ("/ws-lab/services/calc/add?a={", 400, "invalid_request"),
    ],
)
async def test_what_cannot_be_called_is_answered_with_its_reason(
    client: httpx.AsyncClient, gateway: FakeGateway, path: str, status: int, code: str
) -> None:
    answer = await client.get(path)
    told = answer.json()
    assert (answer.status_code, told["success"], told["code"]) == (status, False, code)
    assert gateway.calls == []


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (ValueError("bad"), 400, "ValueError: bad"),
        (TypeError("bad"), 400, "TypeError: bad"),
        (AssertionError("bad"), 400, "AssertionError: bad"),
        (KeyError("bad"), 404, "KeyError: 'bad'"),
        (PermissionError("bad"), 403, "PermissionError: bad"),
        (TimeoutError("bad"), 504, "TimeoutError: bad"),
        (RuntimeError("file not found"), 500, "RuntimeError: file not found"),
        (errors.ProviderGone("left"), 502, "left"),
        (errors.CallTimeout("silent"), 504, "silent"),
        (errors.Unavailable("draining"), 503, "draining"),
        (errors.LimitExceeded("slow", retry_after_seconds=9), 429, "slow"),
    ],
)
async def test_a_call_that_fails_is_answered_by_the_kind_of_failure(
    client: httpx.AsyncClient, gateway: FakeGateway, error: Exception, status: int, detail: str
) -> None:
    def fail() -> None:
        raise error

    gateway.add_service("ws-lab/worker:bad", {"fail": fail}, visibility="public")
    answer = await client.get("/ws-lab/services/bad/fail")
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)


async def test_wrong_arguments_are_the_callers_mistake(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{BASE}/add?a=1")
    assert answer.status_code == 400
    assert answer.json()["type"] == "TypeError"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), b"null"),
        (2**100, b"1267650600228229401496703205376"),
        ({1: 2}, b'{"1":2}'),
        (b"\x01", b'{"_rtype":"bytes","_rvalue":"AQ=="}'),
        (None, b"null"),
        ({"_rtype": "ndarray", "_rvalue": b"\x01", "_rshape": [1], "_rdtype": "uint8"},
         b'{"_rtype":"ndarray","_rvalue":"AQ==","_rshape":[1],"_rdtype":"uint8"}'),
    ],
)  # fmt: skip
async def test_results_are_sent_unwrapped(
    client: httpx.AsyncClient, gateway: FakeGateway, value: Any, text: bytes
) -> None:
    gateway.add_service("ws-lab/worker:odd", {"get": lambda: value}, visibility="public")
    answer = await client.get("/ws-lab/services/odd/get")
    assert (answer.status_code, answer.content) == (200, text)


async def test_a_result_that_no_format_can_express_is_not_a_crash(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.add_service("ws-lab/worker:odd", {"get": lambda: object()}, visibility="public")
    for accept in ("application/json", "application/msgpack"):
        answer = await client.get("/ws-lab/services/odd/get", headers={"Accept": accept})
        assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


async def test_the_answer_comes_in_the_format_of_the_request(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        f"{BASE}/identity",
        content=msgpack.packb({"value": b"\x00"}),
        headers={"Content-Type": "application/msgpack"},
    )
    assert answer.headers["content-type"] == "application/msgpack"
    assert msgpack.unpackb(answer.content) == b"\x00"


async def test_accept_beats_the_format_of_the_request(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        f"{BASE}/add",
        content=msgpack.packb([2, 3]),
        headers={"Content-Type": "application/x-msgpack", "Accept": "application/json"},
    )
    assert answer.content == b"5"
    got = await client.get(f"{BASE}/add?a=2&b=3", headers={"Accept": "application/msgpack"})
    assert got.content == msgpack.packb(5)


async def test_errors_are_json_for_msgpack_callers_too(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{BASE}/missing", headers={"Accept": "application/msgpack"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["detail"] == "missing not found."


async def test_errors_are_problem_details_for_those_who_ask(client: httpx.AsyncClient) -> None:
    headers = {"Accept": "application/json, application/problem+json"}
    answer = await client.get(f"{BASE}/missing", headers=headers)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["status"], answer.json()["title"]) == (404, "Not Found")


async def test_bytes_go_out_raw_to_those_who_ask(client: httpx.AsyncClient) -> None:
    content = {"value": {"_rtype": "bytes", "_rvalue": "AAEC"}}
    headers = {"Accept": "application/octet-stream"}
    answer = await client.post(f"{BASE}/identity", json=content, headers=headers)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.content == b"\x00\x01\x02"
    other = await client.get(f"{BASE}/add?a=1&b=2", headers=headers)
    assert (other.headers["content-type"], other.json()) == ("application/json", 3)


async def test_the_gateway_is_asked_in_the_workspace_of_the_url(
    client: httpx.AsyncClient, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Credentials, str | None]] = []
    authenticate = gateway.authenticate

    async def spy(credentials: Credentials, workspace: str | None = None) -> Caller:
        asked.append((credentials, workspace))
        return await authenticate(credentials, workspace)

    monkeypatch.setattr(gateway, "authenticate", spy)
    await client.get(f"{BASE}/add?a=1&b=2", headers={"Authorization": "Bearer good"})
    assert asked == [(Credentials("good"), "ws-lab")]


async def test_calls_run_side_by_side(client: httpx.AsyncClient, gateway: FakeGateway) -> None:
    both = asyncio.Barrier(2)

    async def meet() -> str:
        await both.wait()
        return "met"

    gateway.add_service("ws-lab/worker:pair", {"meet": meet}, visibility="public")
    async with asyncio.timeout(PATIENCE_SECONDS):
        answers = await asyncio.gather(*(client.get("/ws-lab/services/pair/meet") for _ in "ab"))
    assert [answer.json() for answer in answers] == ["met", "met"]


async def test_a_result_may_have_so_many_bytes(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    async def sized(n: int) -> str:
        return "x" * (n - 2)

    gateway.add_service("ws-lab/worker:sizes", {"sized": sized}, visibility="public")
    gateway.add_service(
        "ws-lab/worker:site",
        {"index": lambda event: {"body": "x" * (MAX_RESPONSE + 1)}},
        type="functions",
        visibility="public",
    )
    url = "/ws-lab/services/sizes/sized"
    assert (await client.get(f"{url}?n={MAX_RESPONSE}")).status_code == 200
    refused = await client.get(f"{url}?n={MAX_RESPONSE + 1}")
    assert (refused.status_code, refused.json()["code"]) == (502, "result_too_large")
    assert str(MAX_RESPONSE) in refused.json()["detail"]
    assert (await client.get("/ws-lab/apps/site/")).status_code == 502
