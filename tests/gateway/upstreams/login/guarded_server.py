"""An MCP server that wants a login, with its authorization server at the same place."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlencode

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.gateway.upstreams.odd_server import TEXT, Exchange, OddServer

TOKEN = "canary-token-of-the-upstream"
CODE = "canary-code"
SECRET = "canary-secret-of-the-registration"


class Tools(OddServer):
    """What is behind the login."""

    async def on_restricted(self, exchange: Exchange) -> None:
        await exchange.result(TEXT)


class GuardedServer:
    """The application. Its scopes are ``read``, and ``write`` for the tool ``restricted``.
    ``older`` is what is behind the login at other paths."""

    def __init__(self, older: ASGIApp | None = None) -> None:
        self._older = older
        self._server = Tools(
            is_modern=True,
            tools=[
                {"name": name, "inputSchema": {"type": "object"}} for name in ("good", "restricted")
            ],
        )
        self.base = ""
        self.good: dict[str, set[str]] = {}
        """Tokens that are good, with their scopes."""
        self.count = 0
        self.asked: list[dict[str, str]] = []
        self.registered: list[dict[str, Any]] = []
        self.forms: list[dict[str, str]] = []
        self.answers: dict[str, str] = {}
        """What the browser brings in place of a code."""
        self.refreshes = False
        self.metadata: dict[str, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        host = dict(scope["headers"]).get(b"host", b"").decode()
        self.base = f"http://{host}"
        if self._older is not None and scope["path"].startswith(("/sse", "/messages")):
            if self._shown(scope) in self.good:
                await self._older(scope, receive, send)
            else:
                await self._refuse(send, 401, 'scope="read"')
            return
        body = b""
        while (event := await receive())["type"] == "http.request":
            body += event.get("body", b"")
            if not event.get("more_body"):
                break
        if scope["path"] == "/mcp":
            await self._mcp(scope, body, receive, send)
            return
        status, headers, content = self._answer(scope["path"], scope["query_string"].decode(), body)
        lines = {"content-type": "application/json", **headers}
        encoded = [(key.encode(), value.encode()) for key, value in lines.items()]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send({"type": "http.response.body", "body": json.dumps(content).encode()})

    async def _mcp(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        shown = self._shown(scope)
        needs = "write" if b'"restricted"' in body else "read"
        if shown not in self.good:
            await self._refuse(send, 401, f'scope="{needs}"')
        elif needs not in self.good[shown]:
            await self._refuse(send, 403, f'error="insufficient_scope", scope="{needs}"')
        else:
            given = iter([{"type": "http.request", "body": body, "more_body": False}])

            async def again() -> Message:
                return next(given, None) or await receive()

            await self._server(scope, again, send)

    def _shown(self, scope: Scope) -> str:
        shown: bytes = dict(scope["headers"]).get(b"authorization", b"")
        return shown.decode().removeprefix("Bearer ")

    async def _refuse(self, send: Send, status: int, words: str) -> None:
        headers = [(b"www-authenticate", f"Bearer {words}".encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def _answer(self, path: str, query: str, body: bytes) -> tuple[int, dict[str, str], Any]:
        match path:
            case "/.well-known/oauth-protected-resource/mcp":
                return 200, {}, self._resource("/mcp")
            case "/.well-known/oauth-protected-resource/sse":
                return 200, {}, self._resource("/sse")
            case "/.well-known/oauth-authorization-server":
                return 200, {}, self._described()
            case "/register":
                self.registered.append(json.loads(body))
                return 201, {}, {**self.registered[-1], "client_id": "c", "client_secret": SECRET}
            case "/authorize":
                asked = {key: values[0] for key, values in parse_qs(query).items()}
                self.asked.append(asked)
                brings = self.answers or {"code": CODE, "iss": self.base}
                target = f"{asked['redirect_uri']}?{urlencode({'state': asked['state'], **brings})}"
                return 302, {"location": target}, None
            case "/token":
                return 200, {}, self._token(body)
        return 404, {}, {}

    def _resource(self, path: str) -> dict[str, Any]:
        return {"resource": f"{self.base}{path}", "authorization_servers": [self.base]}

    def _described(self) -> dict[str, Any]:
        return {
            "issuer": self.base,
            "authorization_endpoint": f"{self.base}/authorize",
            "token_endpoint": f"{self.base}/token",
            "registration_endpoint": f"{self.base}/register",
            "code_challenge_methods_supported": ["S256"],
            **self.metadata,
        }

    def _token(self, body: bytes) -> dict[str, Any]:
        self.forms.append({key: values[0] for key, values in parse_qs(body.decode()).items()})
        self.count += 1
        token = f"{TOKEN}-{self.count}"
        scope = self.asked[-1].get("scope", "") if self.asked else "read"
        self.good[token] = set(scope.split())
        more = {"refresh_token": f"again-{self.count}"} if self.refreshes else {}
        return {"access_token": token, "token_type": "Bearer", "scope": scope, **more}
