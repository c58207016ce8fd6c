"""Pages that show the documents and try them out: Swagger UI, from an installed package.

A page loads nothing from another host, and may not. It holds no data: its script reads the
``openapi.json`` beside it, with the visitor's cookie or a token typed in, which it does not keep.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Final

from starlette.requests import Request as PageRequest
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from gateway.compression import compressing
from http_proxy.request import Request
from schema.services import ServiceInfo

_ASSETS: Final = "api-docs/assets"
_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{assets}/swagger-ui.css">
<link rel="stylesheet" href="{assets}/page.css">
<script defer src="{assets}/swagger-ui-bundle.js"></script>
<script defer src="{assets}/page.js"></script>
</head>
<body>
<header>
{forms}<form id="authorize">
<label>Token <input name="token" type="password" autocomplete="off" placeholder="optional"></label>
<button>Use</button>
</form>
<a href="openapi.json">openapi.json</a>
</header>
<p id="message" role="alert" hidden></p>
<main id="api"></main>
<noscript>This page needs JavaScript; <a href="openapi.json">openapi.json</a> does not.</noscript>
</body>
</html>
"""
_CHOICE: Final = """<form id="choose">
<label>Workspace <input name="workspace" required autocomplete="off"></label>
<button>Show its services</button>
</form>
"""


def page_routes() -> list[BaseRoute]:
    """The pages of the gateway and of workspaces, and what they load."""
    # find_spec, not import: the package is wanted for its files alone.
    files = StaticFiles(
        directory=Path(__file__).parent / "assets", packages=[("fastapi_offline", "static")]
    )
    routes: list[BaseRoute] = [
        Mount(f"/{_ASSETS}", files, name="api_docs_assets"),
        Route("/api-docs", _gateway_page, methods=["GET"], name="api_docs"),
        Route("/{workspace}/api-docs", _workspace_page, methods=["GET"], name="workspace_api_docs"),
    ]
    return compressing(routes)


async def _gateway_page(request: PageRequest) -> Response:
    return _page("Polyport", depth=0, forms=_CHOICE)


async def _workspace_page(request: PageRequest) -> Response:
    # Shown for any name, so that it says nothing about which workspaces exist.
    return _page(request.path_params["workspace"], depth=1)


async def service_page(request: Request, service: ServiceInfo) -> ASGIApp:
    """``/{workspace}/services/{service}/docs``"""
    # With a slash at the end, all that is beside the page is one level up.
    return _page(service.name, depth=3 + request.scope["path_params"]["function"].count("/"))


def _page(title: str, *, depth: int, forms: str = "") -> HTMLResponse:
    html = _PAGE.format(title=escape(title), assets="../" * depth + _ASSETS, forms=forms)
    return HTMLResponse(html, headers=_HEADERS)
