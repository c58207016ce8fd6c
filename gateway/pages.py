"""What a person sees first: the page at ``/`` and the login page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from gateway.auth.login.page import LOGIN_PATH, LoginPage
from gateway.auth.login.service import LoginService
from gateway.edge.answers import cross_origin, refuse_socket, written
from gateway.look import PAGE_HEADERS, document
from gateway.settings import Settings
from schema.errors import GatewayError, InvalidRequest, NotFound

_ALLOW: Final = "GET, HEAD, OPTIONS"

_BODY = """<h1>Functions as web APIs and MCP tools</h1>
<p class="soft">Polyport {version} at {url}</p>
<p>Register a function over a websocket from wherever it runs. At that moment it is an RPC object,
a web API and an MCP tool.</p>
<h2>Register one</h2>
<pre>pip install hypha-rpc</pre>
<pre>import asyncio
from hypha_rpc import connect_to_server
from hypha_rpc.utils.schema import schema_function

@schema_function
def hello(name: str) -&gt; str:
    "Greet somebody by name."
    return f"Hello {{name}}!"

async def main():
    async with connect_to_server({{"server_url": "{url}"}}) as server:
        service = await server.register_service({{
            "id": "hello-world", "config": {{"visibility": "public"}}, "hello": hello,
        }})
        print(service.id)
        await server.serve()

asyncio.run(main())</pre>
<h2>Three doors</h2>
<div class="card"><dl>
<div><dt>RPC</dt><dd><code>get_service("&lt;workspace&gt;/&lt;service&gt;")</code></dd></div>
<div><dt>HTTP</dt><dd><code>{url}/&lt;workspace&gt;/services/&lt;service&gt;/&lt;function&gt;</code></dd></div>
<div><dt>MCP</dt><dd><code>{url}/&lt;workspace&gt;/mcp/&lt;service&gt;/mcp</code></dd></div>
</dl></div>"""
_LINKS = (
    '<a href="public/">Public services</a><a href="api-docs">API documentation</a>'
    '<a href="health/readiness">Health</a>'
)


class Pages:
    """The first page and the login page."""

    def __init__(
        self, settings: Settings, login: LoginPage, service: LoginService, version: str
    ) -> None:
        self._login = login
        self._service = service
        body = _BODY.format(version=escape(version), url=escape(settings.base_url))
        self._html = document(f"Polyport {version}", body, home="./", links=_LINKS)

    def routes(self) -> list[Route]:
        return [
            Route("/", self.index, methods=["GET"]),
            _LoginRoute(self._service, LOGIN_PATH, self.login, methods=["GET"]),
            Route(LOGIN_PATH.rstrip("/"), self.to_login, methods=["GET"]),
            Route("/login", self.to_login, methods=["GET"]),
        ]

    async def index(self, request: Request) -> Response:
        """The page at ``/``. Loads nothing from anywhere."""
        return HTMLResponse(self._html, headers=PAGE_HEADERS)

    async def login(self, request: Request) -> Response:
        """The login page; with ``logout=true`` it forgets a login that a cookie keeps."""
        response = HTMLResponse(self._login.html, headers=self._login.headers)
        if request.query_params.get("logout") == "true":
            response.delete_cookie("access_token")
        return response

    async def to_login(self, request: Request) -> Response:
        """The way to the login page, with all that the URL says. Relative, because only the client
        knows the address that it has used."""
        depth = request.url.path.count("/") - 1
        target = f"{'../' * depth}{LOGIN_PATH.lstrip('/')}"
        query = request.scope["query_string"].decode("latin-1")
        return RedirectResponse(f"{target}?{query}" if query else target, 307, _NO_STORE)


class NothingHere:
    """What no route has answered is not there, in the form of the other errors and readable for
    pages. An ASGI application, the last of all."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        missing = NotFound(f"File not found: {scope['path'].lstrip('/')[:200]}")
        if scope["type"] == "websocket":
            await receive()  # websocket.connect
            await refuse_socket(send, 404, missing)
            return
        request = Request(scope)
        headers = {
            name.decode(): value.decode("latin-1")
            for name, value in cross_origin(
                self._origins, request.headers.get("origin", "").encode()
            )
        }
        accept = request.headers.get("accept", "").encode("latin-1")
        if request.method in ("GET", "HEAD"):
            response = _told(missing, 404, accept, headers)
        elif request.method == "OPTIONS":
            response = Response(status_code=204, headers=headers | _preflight(request))
        else:
            text = f"{request.method} is not allowed here. Allowed: {_ALLOW}"
            refused = MethodNotAllowed(text)
            response = _told(refused, 405, accept, headers | {"allow": _ALLOW})
        await response(scope, receive, send)


class MethodNotAllowed(InvalidRequest):
    code = "method_not_allowed"


def _told(error: GatewayError, status: int, accept: bytes, headers: dict[str, str]) -> Response:
    media_type, content = written(error, status, accept)
    return Response(content, status, headers, media_type)


def _preflight(request: Request) -> dict[str, str]:
    """What lets a page of another origin ask, so that it learns that nothing is here."""
    wanted = request.headers.get("access-control-request-headers", "")
    method = request.headers.get("access-control-request-method", _ALLOW)
    allowed = {"access-control-allow-methods": method, "access-control-allow-headers": wanted}
    return {"allow": _ALLOW, **{name: value for name, value in allowed.items() if value}}


class _LoginRoute(Route):
    """The gateway's login page, unless the operator's service has one."""

    def __init__(self, service: LoginService, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._service = service

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if self._service.has_own_page:
            return Match.NONE, {}
        return super().matches(scope)


_NO_STORE = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
