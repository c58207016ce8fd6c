"""What existing callers of the HTTP API rely on, as one table: a request, the status and the body.

Each row is a probe of the HTTP contract, run against a gateway as the product starts it and a
provider with the client library as it is.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx
import msgpack
import pytest
import pytest_asyncio
from hypha_rpc import connect_to_server

from tests.clients.gateways import Gateway
from tests.patience import PATIENCE_SECONDS

ROOT = "r" * 40
MSGPACK = {"content-type": "application/msgpack"}
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"POLYPORT_ROOT_TOKEN": ROOT, "HYPHA_HTTP_RATE_LIMIT": "0"}


def echo(**kwargs: Any) -> Any:
    return kwargs


def both(a: Any, b: Any = None) -> Any:
    return [a, b]


def fail(kind: str) -> None:
    kinds = {e.__name__: e for e in (ValueError, KeyError, PermissionError, RuntimeError)}
    raise kinds[kind]("the reason: file not found, Permission denied")


async def agen(n: int = 2, fail_after: int = -1) -> AsyncIterator[int]:
    for index in range(n):
        if index == fail_after:
            raise ValueError("broken")
        yield index


def gen(n: int = 2) -> Any:
    yield from range(n)


async def serve(args: Any, context: Any = None) -> None:
    scope, receive, send = args["scope"], args["receive"], args["send"]
    body = b""
    more = scope["method"] not in ("GET", "HEAD", "OPTIONS", "DELETE")
    while more:
        message = await receive()
        body += message.get("body") or b""
        more = message.get("more_body", False)
    seen = {
        "method": scope["method"],
        "path": scope["path"],
        "query": scope["query_string"].decode(),
        "root_path": scope["root_path"],
        "workspace": scope["workspace"],
        "service_id": scope["service_id"],
        "body": body.decode(),
        "user": context["user"]["id"] if context else None,
    }
    headers = [[b"content-type", b"application/json"], [b"x-own", b"1"]]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for part in (json.dumps(seen).encode(), b"\n", b""):
        message = {"type": "http.response.body", "body": part, "more_body": bool(part)}
        await send(message)


FUNCTIONS: dict[str, Any] = {
    "index": lambda event: {"status": 200, "body": "the index"},
    "section": {"index": lambda event: {"status": 200, "body": "its index"}},
    "nested": {"leaf": lambda event: {"status": 201, "headers": {"x-a": "b"}, "body": "leaf"}},
    "nothing": lambda event: {"status": 204},
    "empty": lambda event: {"status": 200, "body": ""},
    "json": lambda event: {"a": 1},
    "default": lambda event: {"status": 404, "body": event["function_path"]},
}


class Services(NamedTuple):
    """Where the probes go, and tokens of the owner of that workspace."""

    workspace: str
    token: str
    expired: str
    revoked: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(gateway: Gateway) -> AsyncIterator[Services]:
    async with (
        connect_to_server({"server_url": gateway.url, "client_id": "lab"}) as provider,
        connect_to_server(
            {
                "server_url": gateway.url,
                "workspace": provider.config.workspace,
                "token": await provider.generate_token(),
            }
        ) as other,
    ):
        members = {
            "echo": echo,
            "both": both,
            "fail": fail,
            "agen": agen,
            "gen": gen,
            "number": 3.14,
            "zero": 0,
            "empty": "",
            "no": False,
            "settings": {"a": {"b": 1}},
            "ns": {"deep": {"f": both}},
            "whoami": whoami,
            "raw": lambda: b"\x00\xff",
            "later": later,
        }
        for visibility in ("public", "protected", "unlisted"):
            config = {"visibility": visibility, "require_context": ["whoami"]}
            await provider.register_service({"id": visibility, "config": config, **members})
        public = {"visibility": "public", "require_context": True}
        await provider.register_service(
            {"id": "web", "type": "asgi", "config": public, "serve": serve}
        )
        await provider.register_service(
            {"id": "fn", "type": "functions", "config": {"visibility": "public"}, **FUNCTIONS}
        )
        twice = {"id": "twice", "config": {"visibility": "public"}, "f": lambda: "one of two"}
        for client in (provider, other):
            await client.register_service(twice)
        revoked, expired, token = [
            await provider.generate_token({"expires_in": seconds})
            for seconds in (3600, 0.001, 3600)
        ]
        await provider.revoke_token(revoked)
        yield Services(provider.config.workspace, token, expired, revoked)


def whoami(context: Any = None) -> Any:
    return {"id": context["user"]["id"], "ws": context["ws"]}


async def later() -> str:
    return "later"


class Probe(NamedTuple):
    """One request: ``{ws}`` in the path is the workspace. ``body`` is compared with the answer's
    JSON, or its text where that is a text; a callable judges the response."""

    path: str
    status: int
    body: Any = ...
    method: str = "GET"
    content: bytes | None = None
    headers: dict[str, str] = {}  # noqa: RUF012 - a named tuple has no mutable defaults of its own
    as_: str = "anonymous"


S = "/{ws}/services"
P = f"{S}/public"


def got(text: str, value: Any) -> Probe:
    return Probe(f"{P}/echo?x={text}", 200, {"x": value})


def post(path: str, status: int, body: Any, content: bytes, **headers: str) -> Probe:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Probe(path, status, body, "POST", content, named)


def error(status: int, **expected: str) -> Any:
    def judge(answer: httpx.Response) -> bool:
        told = answer.json()
        assert told["success"] is False
        assert isinstance(told["detail"], str)
        assert "Traceback" not in answer.text and "/site-packages/" not in answer.text
        return bool(expected.items() <= told.items())

    return judge


def failed(path: str, status: int, *, as_: str = "anonymous", **expected: str) -> Probe:
    return Probe(path, status, error(status, **expected), as_=as_)


def names(*expected: str) -> Any:
    def judge(answer: httpx.Response) -> bool:
        found = {entry["id"].partition(":")[2] for entry in answer.json()}
        hidden = {"public", "protected", "unlisted"} - set(expected)
        return set(expected) <= found and not hidden & found

    return judge


def header(name: str, value: str) -> Any:
    return lambda answer: answer.headers.get(name) == value


def web(method: str, rest: str = "/a%20b?flag&x=a=b", **more: Any) -> Probe:
    def judge(answer: httpx.Response) -> bool:
        if method == "HEAD":
            return answer.headers["x-own"] == "1"
        told = answer.json()
        assert (told["method"], told["path"], told["query"]) == (method, "/a b", "flag&x=a=b")
        assert (told["root_path"], told["service_id"]) == ("", "web")
        assert told["user"] == "anonymouz-http"
        return bool(told["body"] == (more.get("content") or b"").decode())

    return Probe(f"/{{ws}}/apps/web{rest}", 200, judge, method, **more)


EVENTS = "data: 0\n\ndata: 1\n\ndata: [DONE]\n\n"
SCALARS = [
    ("33", 33), ("007", 7), ("-5", -5), ("1.0", 1.0), ("1e5", 100000.0), ("1_000", "1_000"),
    ("%205", " 5"), ("nan", "nan"), ("inf", "inf"), ("infinity", "infinity"), ("true", "true"),
    ("false", "false"), ("null", "null"), ("None", "None"), ('{"a":1}', {"a": 1}), ("[1]", "[1]"),
    ("", ""), ("a%20b", "a b"), ("1&x=2", 2),
]  # fmt: skip

WHO = ("anonymous", "owner", "stranger", "cookie")

PROBES = [
    *(got(text, value) for text, value in SCALARS),
    failed(f"{P}/echo?x={{a", 400, code="invalid_request"),
    failed(f"{P}/echo?x=%C2%BD", 400, code="invalid_request"),
    failed(f"{P}/echo?x=%C2%B2", 400, code="invalid_request"),
    Probe(f"{P}/echo?x=1&workspace=a&service_id=b&function_key=c&_mode=random", 200, {"x": 1}),
    # Bodies
    post(f"{P}/both", 200, [2, 3], b'{"a":2,"b":3}', content_type="application/json"),
    post(f"{P}/both", 200, [2, 3], b'{"a":2,"b":3}', content_type="application/json;charset=utf-8"),
    post(f"{P}/both", 200, [2, 3], b"[2,3]", content_type="application/json"),
    post(f"{P}/both", 200, [2, None], b"2", content_type="application/json"),
    post(f"{P}/both?a=9", 200, [2, None], b'{"a":2}', content_type="application/json"),
    post(f"{P}/both", 200, [2, 3], b"a=2&b=3", content_type="application/x-www-form-urlencoded")
    ,
    post(f"{P}/echo", 200, {}, b"", content_type="application/json"),
    post(f"{P}/echo", 400, error(400), b"{", content_type="application/json"),
    post(f"{P}/echo", 400, error(400), b"\xc1", content_type="application/msgpack"),
    post(f"{P}/echo", 415, error(415), b"hello", content_type="text/plain"),
    post(
        f"{P}/both", 200, [2, None], gzip.compress(b'{"a":2}', mtime=0),
        content_type="application/json", content_encoding="gzip",
    ),
    post(
        f"{P}/both", 200, lambda r: msgpack.unpackb(r.content) == [2, None],
        msgpack.packb({"a": 2}), **{"content-type": "application/msgpack"},
    ),
    # Answers
    Probe(f"{P}/raw", 200, {"_rtype": "bytes", "_rvalue": "AP8="}),
    Probe(f"{P}/raw", 200, lambda r: r.content == b"\x00\xff",
          headers={"accept": "application/octet-stream"}),
    Probe(f"{P}/both?a=1", 200, lambda r: msgpack.unpackb(r.content) == [1, None],
          headers={"accept": "application/msgpack"}),
    Probe(f"{P}/later", 200, "later"),
    Probe(f"{P}/later", 200, lambda r: r.content == b"", method="HEAD"),
    Probe(f"{P}/later", 204, header("access-control-allow-origin", "*"), method="OPTIONS",
          headers={"origin": "https://a.example", "access-control-request-method": "POST"}),
    Probe(f"{P}/later", 200, lambda r: "access-control-allow-credentials" not in r.headers,
          headers={"origin": "https://a.example"}),
    # Members
    Probe(f"{P}/number", 200, 3.14),
    Probe(f"{P}/zero", 200, 0),
    Probe(f"{P}/empty", 200, ""),
    Probe(f"{P}/no", 200, False),
    Probe(f"{P}/settings", 200, {"a": {"b": 1}}),
    Probe(f"{P}/settings.a.b", 200, 1),
    Probe(f"{P}/ns.deep.f?a=1", 200, [1, None]),
    failed(f"{P}/settings.a.b.c", 404, code="function_not_found"),
    failed(f"{P}/nothing", 404, code="function_not_found", detail="nothing not found."),
    Probe(f"{S}/lab:public/later", 200, "later"),
    Probe(f"{S}/*:public/later", 200, "later"),
    failed(f"{S}/nothing/f", 404, code="service_not_found"),
    failed(f"{S}/pub*:public/f", 400, code="invalid_request"),
    failed("/ws-user-nobod%3F/services/public/later", 400, code="invalid_request"),
    failed("/no-such-workspace/services/public/later", 404),
    failed("/no-such-workspace/services/public/later", 404, as_="stranger"),
    *(failed(f"{path}/f", 404, as_=who) for path in (P, f"{S}/nothing") for who in WHO),
    # What a function raises
    failed(f"{P}/fail?kind=ValueError", 400, code="service_error", type="ValueError"),
    failed(f"{P}/fail?kind=KeyError", 404, code="service_error", type="KeyError"),
    failed(f"{P}/fail?kind=PermissionError", 403, code="service_error", type="PermissionError"),
    failed(f"{P}/fail?kind=RuntimeError", 500, code="service_error", type="RuntimeError"),
    failed(f"{P}/both", 400),
    # Who may
    failed(f"{S}/protected/later", 403, code="permission_denied"),
    failed(f"{S}/protected/later", 403, as_="stranger", code="permission_denied"),
    Probe(f"{S}/protected/later", 200, "later", as_="owner"),
    Probe(f"{S}/protected/later", 200, "later", as_="cookie"),
    Probe(f"{S}/unlisted/later", 200, "later"),
    Probe(f"{P}/later", 200, "later", as_="stranger"),
    Probe(f"{P}/whoami", 200, {"id": "anonymouz-http", "ws": "ws-anonymous"}),
    Probe(f"{P}/whoami", 200, lambda r: r.json()["ws"] == "ws-user-bob", as_="stranger"),
    Probe(f"{P}/later", 401, header("www-authenticate", "Bearer"), as_="forged"),
    *(Probe(path, 401, as_=credential)
      for path in (f"{P}/later", "/{ws}/apps/web/", "/{ws}/apps/fn/", "/{ws}/info", f"{S}/", P)
      for credential in ("forged", "expired", "revoked")),
    # In whose workspace: one of its own with a token that names it, that of the URL without
    Probe("/public/services/ws/list_clients", 200,
          lambda r: any(client["id"].endswith("/lab") for client in r.json()), as_="owner"),
    Probe("/{ws}/services/protected/whoami", 200, lambda r: r.json()["ws"] != "public", as_="root"),
    failed(f"{S}/protected/later", 403, as_="stranger"),
    failed(f"{S}/protected/later?access_token={ROOT}", 403),
    # Lists and records
    Probe(f"{S}/", 200, names("public")),
    Probe(S, 200, names("public")),
    Probe(f"{S}/", 200, names("public", "protected"), as_="owner"),
    Probe(f"{S}/", 200, names("public"), as_="stranger"),
    Probe(P, 200, lambda r: r.json()["id"].endswith("/lab:public")),
    failed(f"{S}/nothing", 404),
    Probe(f"{S}/ws", 200, lambda r: "list_services" in r.text),
    failed("/{ws}/info", 403),
    failed("/no-such-workspace/info", 403),
    Probe("/{ws}/info", 200, lambda r: "environs" not in r.text, as_="owner"),
    failed("/no-such-workspace/services/", 404),
    # Streams
    Probe(f"{P}/agen?n=2", 200, EVENTS),
    Probe(f"{P}/gen?n=2", 200, EVENTS),
    Probe(f"{P}/agen?n=3&fail_after=1", 200,
          lambda r: r.text.startswith('data: 0\n\ndata: {"error":') and "[DONE]" in r.text),
    Probe(f"{P}/agen?n=3&fail_after=1", 200,
          lambda r: [*msgpack.Unpacker(_file(r))][1]["error"] == "ValueError: broken",
          headers={"accept": "application/msgpack"}),
    failed(f"{P}/agen?n=3&fail_after=0", 400, code="service_error"),
    Probe(f"{P}/agen?n=2", 200, "0\n1\n", headers={"accept": "application/x-ndjson"}),
    post(f"{P}/agen", 200, lambda r: list(msgpack.Unpacker(_file(r))) == [0, 1],
         msgpack.packb({"n": 2}), **{"content-type": "application/msgpack"}),
    Probe(f"{P}/agen?n=1", 200, header("cache-control", "no-cache")),
    # Selection
    *(Probe(f"{P}/later?_mode={mode}", 200, "later")
      for mode in ("random", "first", "last", "exact", "min_load")),
    failed(f"{P}/later?_mode=sometimes", 400, code="invalid_request"),
    failed(f"{S}/twice/f?_mode=exact", 400, code="ambiguous_service"),
    *(Probe(f"{S}/twice/f?_mode={mode}", 200, "one of two")
      for mode in ("random", "first", "last")),
    Probe(f"{S}/lab:twice/f?_mode=exact", 200, "one of two"),
    # Web services
    *(web(method) for method in ("GET", "HEAD", "DELETE", "OPTIONS")),
    *(web(method, content=b"body") for method in ("POST", "PUT", "PATCH")),
    Probe("/{ws}/apps/web?a=b", 307, header("location", "./web/?a=b")),
    Probe("/{ws}/apps/nothing/", 404),
    Probe("/no-such-workspace/apps/web/", 404),
    Probe("/{ws}/apps/public/", 404),
    Probe("/{ws}/apps/fn/", 200, "the index"),
    Probe("/{ws}/apps/fn/index", 200, "the index"),
    Probe("/{ws}/apps/fn/section", 200, "its index"),
    Probe("/{ws}/apps/fn/section/", 200, "its index"),
    Probe("/{ws}/apps/fn/nested/leaf", 201, header("x-a", "b")),
    Probe("/{ws}/apps/fn/nothing", 204, ""),
    Probe("/{ws}/apps/fn/empty", 200, ""),
    Probe("/{ws}/apps/fn/json", 200, {"a": 1}),
    Probe("/{ws}/apps/fn/other/path", 404, "/other/path"),
    Probe("/{ws}/apps/fn/", 204, header("access-control-allow-origin", "*"), method="OPTIONS",
          headers={"origin": "https://a.example", "access-control-request-method": "GET"}),
    # Pages
    Probe("/", 200, lambda r: r.headers["content-type"].startswith("text/html")),
    Probe("/login", 307, header("location", "public/apps/hypha-login/")),
    Probe("/{ws}", 307, lambda r: r.headers["location"].endswith("/")),
    Probe("/{ws}/", 200, lambda r: r.headers["content-type"].startswith("text/html")),
    failed("/nothing", 404),
    failed("/{ws}/nothing", 404),
    Probe("/nothing", 405, error(405), method="POST"),
    Probe("/assets/config.json", 200, lambda r: {"user", "public_base_url"} <= set(r.json())),
    Probe("/api-docs", 200),
    Probe("/openapi.json", 200, lambda r: r.json()["openapi"].startswith("3.1")),
    *(Probe(path, 404) for path in ("/..%2f..%2fetc/passwd", "/%2e%2e/x", "/a%5c..%5cb")),
    Probe("/health", 200, lambda r: r.json()["status"] == "HEALTHY"),
    Probe("/health/liveness", 200, lambda r: r.json()["status"] == "OK"),
    Probe("/health/readiness", 200, lambda r: r.json()["status"] == "OK"),
    Probe("/metrics", 200, lambda r: "rpc_call_total" in r.text),
]  # fmt: skip


def _file(answer: httpx.Response) -> io.BytesIO:
    return io.BytesIO(answer.content)


def _name(probe: Probe) -> str:
    return f"{probe.method} {probe.path} as {probe.as_}"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("probe", PROBES, ids=[f"{i}-{_name(p)}" for i, p in enumerate(PROBES)])
async def test_probe(probe: Probe, services: Services, gateway: Gateway) -> None:
    headers = dict(probe.headers)
    async with httpx.AsyncClient(base_url=gateway.url, timeout=PATIENCE_SECONDS) as client:
        match probe.as_:
            case "owner":
                headers["authorization"] = f"Bearer {services.token}"
            case "root":
                headers["authorization"] = f"Bearer {ROOT}"
            case "expired" | "revoked":
                headers["authorization"] = f"Bearer {getattr(services, probe.as_)}"
            case "cookie":
                headers["cookie"] = f"access_token={services.token}"
            case "forged":
                headers["authorization"] = f"Bearer {services.token[:-3]}abc"
            case "stranger":
                headers["authorization"] = f"Bearer {await _token_of_bob(client)}"
        path = probe.path.replace("{ws}", services.workspace)
        answer = await client.request(probe.method, path, headers=headers, content=probe.content)
    assert answer.status_code == probe.status, answer.text
    assert answer.headers["x-request-id"]
    if callable(probe.body):
        assert probe.body(answer), answer.text
    elif isinstance(probe.body, str) and not answer.headers.get("content-type", "").startswith(
        "application/json"
    ):
        assert answer.text == probe.body
    elif probe.body is not ...:
        assert answer.json() == probe.body


async def _token_of_bob(client: httpx.AsyncClient) -> str:
    made = await client.post(
        "/public/services/ws/generate_token",
        json={"config": {"user_id": "bob", "workspace": "ws-user-bob"}},
        headers={"authorization": f"Bearer {ROOT}"},
    )
    return str(made.json())
