"""What is secret appears nowhere: credentials in no log, span or answer, arguments in no
log or span.

Each is a word of its own that is looked for afterwards in everything that was written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import httpx
import opentelemetry.sdk.trace.export.in_memory_span_exporter as memory
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import gateway.app
from gateway.edge.access_log import LOGGER
from gateway.settings import Settings
from gateway.tracing import Tracing
from schema.identity import User
from tests.gateway.peer import Peer
from tests.mcp_bridge.bridge import initialize
from tests.mcp_bridge.wire import META, MODERN
from tests.security.conftest import MCP

ARGUMENT = "canary-argument-1"
WRONG = "canary-wrong-token-2"
COOKIE = "canary-cookie-3"
UPSTREAM = "canary-for-an-upstream-4"
QUERY = "canary-query-5"
SESSION = "canary-session-6"
STATE = "canary-state-7"


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """Put the logging of the tests back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger(LOGGER).setLevel(logging.NOTSET)


def talkative(spans: memory.InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    """An application that writes all it can."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(gateway.app, "tracing_to", lambda endpoint: Tracing(provider))
    settings = Settings(ephemeral=True, port=9527, access_log=True, log_level="DEBUG")
    return gateway.app.create_app(settings)


def requests(workspace: str) -> list[tuple[str, str, Any]]:
    """Method, path and body of something at each door, good and bad."""
    service = f"/{workspace}/services/svc"
    endpoint = f"/{workspace}/mcp/svc/mcp"
    found: list[tuple[str, str, Any]] = [
        ("GET", f"{service}/echo?value={ARGUMENT}&_token={QUERY}", None),
        ("POST", f"{service}/echo", {"value": ARGUMENT}),
        ("POST", f"{service}/echo", {ARGUMENT: ARGUMENT}),
        ("POST", f"{service}/fail", {"value": ARGUMENT}),
        ("POST", f"{service}/nothing", {"value": ARGUMENT}),
        ("GET", f"/{workspace}/asks/{STATE}", None),
        ("GET", f"/{workspace}/services?token={QUERY}", None),
        ("GET", f"/{workspace}/mcp/svc", None),
        ("POST", endpoint, initialize("2025-11-25")),
    ]
    for version in (MODERN, "2025-06-18"):
        meta = {f"{META}protocolVersion": version, f"{META}clientCapabilities": {}}
        for name, arguments in (
            ("echo", {"value": ARGUMENT}),
            ("echo", {"n": ARGUMENT}),
            ("fail", {"value": ARGUMENT}),
            ("nothing", {"value": ARGUMENT}),
        ):
            params: dict[str, Any] = {"name": name, "arguments": arguments, "requestState": STATE}
            if version == MODERN:
                params["_meta"] = meta
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            found.append(("POST", f"{endpoint}?token={QUERY}", body))
    return found


def headers_of(body: Any, credential: dict[str, str]) -> dict[str, str]:
    headers = {
        "cookie": f"access_token={COOKIE}",
        "x-upstream-other-authorization": f"Bearer {UPSTREAM}",
        **credential,
    }
    if isinstance(body, dict) and "jsonrpc" in body:
        headers |= {**MCP, "mcp-session-id": SESSION}
        if "_meta" in body["params"]:
            headers |= {
                "mcp-protocol-version": MODERN,
                "mcp-method": body["method"],
                "mcp-name": body["params"]["name"],
            }
    return headers


def echo(value: Any = None, n: int = 0) -> Any:
    return value


def fail(value: Any) -> None:
    raise ValueError("something else")


echo.__schema__ = {  # type: ignore[attr-defined]
    "name": "echo",
    "parameters": {"type": "object", "properties": {"value": {}, "n": {"type": "integer"}}},
}


async def answered(app: FastAPI, workspace: str, token: str) -> str:
    """All that comes back, with every kind of credential."""
    text = ""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9527") as http:
        for credential in (
            {},
            {"authorization": f"Bearer {token}"},
            {"x-api-key": token},
            {"authorization": f"Bearer {WRONG}"},
            {"authorization": f"Basic {WRONG}"},
            {"x-api-key": WRONG},
        ):
            for method, path, body in requests(workspace):
                sent = headers_of(body, credential)
                answer = await http.request(method, path, json=body, headers=sent)
                text += f"{answer.headers} {answer.text}\n"
    return text


@pytest.mark.usefixtures("logging_restored")
async def test_secrets_are_in_no_log_no_span_and_no_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spans = memory.InMemorySpanExporter()
    app = talkative(spans, monkeypatch)
    parts = app.state.parts
    token = parts.tokens.issue(User("ann"), expires_in_seconds=3600)
    ann = await Peer.join(parts, "provider", token=token)
    await ann.register("svc", {"echo": echo, "fail": fail})
    with pytest.raises(Exception, match=r"[Tt]oken"):
        await Peer.join(parts, token=WRONG)
    answers = await answered(app, ann.workspace, token)
    assert "Traceback" not in answers
    assert ARGUMENT in answers, "the calls have reached the function"
    finished = "".join(span.to_json() for span in spans.get_finished_spans())
    assert "call echo" in finished
    log = capsys.readouterr().err
    assert "/mcp/{service}/mcp" in log
    credentials = (token, token.rpartition(".")[2], WRONG, COOKIE, UPSTREAM, SESSION)
    assert not [each for each in credentials if each in answers]
    secrets = (*credentials, ARGUMENT, QUERY, STATE)
    assert not [each for each in secrets if each in log]
    assert not [each for each in secrets if each in finished]
