"""What goes wrong is told in a sentence, at every door: no traces, no paths, no secrets. The
numbers are those of the security requirements."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, unquote

import httpx
import pytest
from fastapi import FastAPI

from gateway.app import Parts
from gateway.core import GatewayCore
from schema.identity import User
from tests.gateway.peer import Peer, RemoteFailure
from tests.security.conftest import MCP, statuses

SECRET = "hunter2-of-the-gateway"
PATH = "/srv/polyport/private/module.py"
TRACES = ("Traceback", "most recent call", PATH, SECRET, "site-packages", ".py")


def nothing_told(text: str) -> bool:
    return not any(trace in text for trace in TRACES)


def fail(*_: Any, **__: Any) -> Any:
    raise RuntimeError(f'File "{PATH}", line 1: {SECRET}')


async def workspace_of_ann(parts: Parts) -> tuple[Peer, dict[str, str]]:
    token = parts.tokens.issue(User("ann"), expires_in_seconds=600)
    ann = await Peer.join(parts, "provider", token=token)
    return ann, {"authorization": f"Bearer {token}"}


def boom(*_: Any, **__: Any) -> Any:
    raise ValueError("wrong colour")


async def test_S5_what_a_provider_raises_is_told_without_its_trace(
    parts: Parts, http: httpx.AsyncClient
) -> None:
    ann, headers = await workspace_of_ann(parts)
    await ann.register("svc", {"f": boom})
    await ann.register("site", {"index": boom, "serve": boom}, type="functions")
    call = {"name": "f", "arguments": {}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    url = f"/{ann.workspace}"
    answers = [
        await http.post(f"{url}/services/svc/f", json={}, headers=headers),
        await http.get(f"{url}/services/svc/f", headers=headers),
        await http.get(f"{url}/apps/site/", headers=headers),
        await http.post(f"{url}/mcp/svc/mcp", json=message, headers=headers | MCP),
    ]
    for answer in answers:
        assert "wrong colour" in answer.text, answer.url
        assert nothing_told(answer.text), answer.text


async def test_S5_a_defect_of_the_gateway_is_told_at_no_door(
    parts: Parts, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, headers = await workspace_of_ann(parts)
    await ann.register("svc", {"f": int})
    for method in ("list_services", "find_service", "call", "read"):
        monkeypatch.setattr(GatewayCore, method, fail)
    answers = await statuses(http, ann.workspace, headers)
    assert set(answers.values()) <= {200, 404, 500} and 500 in answers.values(), answers
    url = f"/{ann.workspace}"
    for path in (f"{url}/info", f"{url}/services", f"{url}/services/svc", f"{url}/apps/svc/x", url):
        answer = await http.get(path, headers=headers)
        assert nothing_told(answer.text), answer.text
    monkeypatch.setattr(Parts, "load", fail)
    monkeypatch.setattr("gateway.registry.directory.Directory.find", fail)
    with pytest.raises(RemoteFailure) as caught:
        await ann.manager("get_service", "svc")
    assert nothing_told(str(caught.value))


async def test_S5_a_stream_that_breaks_tells_no_more(
    parts: Parts, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, headers = await workspace_of_ann(parts)
    await ann.register("svc", {"f": int})

    async def items() -> AsyncIterator[int]:
        yield 1
        fail()

    async def call(*_: Any, **__: Any) -> Any:
        return items()

    monkeypatch.setattr(GatewayCore, "call", call)
    url = f"/{ann.workspace}/services/svc/f"
    for accept in ("text/event-stream", "application/x-ndjson", "application/msgpack"):
        answer = await http.post(url, json={}, headers=headers | {"accept": accept})
        assert nothing_told(answer.content.decode("latin-1")), answer.text


async def test_S5_a_probe_and_a_page_tell_no_more(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.operations.health.Health.report", fail)
    monkeypatch.setattr("gateway.operations.metrics.Metrics.text", fail)
    monkeypatch.setattr("gateway.pages.Pages.to_login", fail)
    for path in ("/health", "/metrics", "/login", "/no/such/page"):
        assert nothing_told((await http.get(path)).text), path


ODD_PATHS = (
    "/../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "//etc/passwd",
    "/..%5c..%5cwindows%5cwin.ini",
    "/C:%5cwindows%5cwin.ini",
    "/assets/../../gateway/settings.py",
    "/assets/%00",
    "/api-docs/assets/..%2f..%2fsecret",
    "/ws-x/apps/..%2f..%2f/etc",
    "/%c0%ae%c0%ae/etc",
)


@pytest.mark.parametrize("path", ODD_PATHS)
async def test_S27_a_path_that_leads_out_is_not_found(
    app: FastAPI, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    """As it comes from the socket: nobody has cleaned the path."""
    answer = await asked(app, path)
    assert answer.status_code == 404, answer.text
    assert "root:" not in answer.text and nothing_told(answer.text.replace("settings.py", ""))
    assert "Traceback" not in caplog.text and len(caplog.records) <= 1


async def asked(app: FastAPI, path: str) -> httpx.Response:
    """A GET of a path that no client library has made normal."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": unquote(path), "raw_path": path.encode(),
        "query_string": b"", "root_path": "", "scheme": "http", "http_version": "1.1",
        "headers": [(b"host", b"127.0.0.1:9527")], "client": ("203.0.113.9", 1),
        "server": ("127.0.0.1", 9527), "extensions": {},
    }  # fmt: skip
    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return httpx.Response(sent[0]["status"], headers=sent[0]["headers"], content=body)


@pytest.mark.parametrize(
    "path", ["/ws-user-nobody/apps/x/", "/public/apps/none/x", "/public/apps/none/"]
)
async def test_S28_what_is_not_there_below_apps_is_not_found(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    for method in ("GET", "POST", "PATCH"):
        answer = await http.request(method, path)
        assert answer.status_code == 404, answer.text
        assert nothing_told(answer.text)
    assert "Traceback" not in caplog.text


GLOBS = ("*", "s*", "?vc", "[a-z]vc", "{svc,x}", "svc|x", "\\*")


@pytest.mark.parametrize("pattern", GLOBS)
async def test_S29_a_pattern_matches_nothing_at_any_door(
    parts: Parts, http: httpx.AsyncClient, pattern: str
) -> None:
    ann, headers = await workspace_of_ann(parts)
    await ann.register("svc", {"f": lambda: SECRET}, description=SECRET)
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    own, odd = ann.workspace, ann.workspace[:-1] + pattern[:1]
    answers = [
        await http.get(f"/{own}/services/{quote(pattern)}", headers=headers),
        await http.post(f"/{own}/services/{quote(pattern)}/f", json={}, headers=headers),
        await http.get(f"/{own}/apps/{quote(pattern)}/", headers=headers),
        await http.post(f"/{own}/mcp/{quote(pattern)}/mcp", json=message, headers=headers | MCP),
        await http.get(f"/{quote(odd)}/services/svc", headers=headers),
        await http.get(f"/{quote(odd)}/info", headers=headers),
        await http.get(f"/{quote(odd)}/services", headers=headers),
        await http.post(f"/{quote(odd)}/mcp/svc/mcp", json=message, headers=headers | MCP),
    ]
    for answer in answers:
        assert answer.status_code in {400, 403, 404}, (answer.url, answer.text)
        assert SECRET not in answer.text
    for wanted in (pattern, f"{own}/{pattern}", f"{odd}/svc", f"prov*:{pattern}"):
        with pytest.raises(RemoteFailure):
            await ann.manager("get_service", wanted)


HUGE = "x" * 70_000


@pytest.mark.parametrize(
    "headers",
    [
        {"cookie": f"access_token={HUGE}"},
        {"cookie": "; ".join(f"c{n}=v" for n in range(2000)) + "; access_token=x"},
        {"cookie": '=; ;;access_token="\\"; $Path=/; access_token=y'},
        {"authorization": f"Bearer {HUGE}"},
        {"authorization": f"Basic {HUGE}"},
        {"x-api-key": HUGE},
        {"x-forwarded-for": HUGE, "forwarded": "for=" + HUGE, "x-forwarded-host": HUGE},
        {"x-request-id": HUGE, "traceparent": HUGE, "baggage": HUGE},
        {"origin": HUGE},
        {"accept": HUGE, "accept-encoding": HUGE, "content-type": HUGE},
    ],
    ids=lambda headers: "-".join(headers)[:30],
)
async def test_headers_and_cookies_of_any_size_and_form_are_an_answer(
    parts: Parts, http: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    ann, _ = await workspace_of_ann(parts)
    await ann.register("svc", {"f": int})
    answers = await statuses(http, ann.workspace, headers)
    assert all(200 <= status < 500 for status in answers.values()), answers
    if not headers.keys().isdisjoint(("cookie", "authorization", "x-api-key")):
        assert answers["manager"] == 401


def test_the_marks_of_a_trace_are_seen() -> None:
    with pytest.raises(RuntimeError) as caught:
        fail()
    assert not nothing_told(json.dumps(str(caught.value)))
