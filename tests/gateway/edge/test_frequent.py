"""The shortest way to the routes that most requests are for."""

from __future__ import annotations

import re
from typing import Any

from starlette.convertors import PathConvertor, StringConvertor
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from gateway.app import create_app
from gateway.edge.frequent import FREQUENT, FrequentRoutes
from gateway.settings import Settings

URL = "https://gateway.example"


class Noted:
    """An application that notes the paths it is asked for."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append((scope.get("path", scope["type"]), scope.get("path_params", {})))


async def never() -> dict[str, str]:
    raise AssertionError


async def nowhere(message: object) -> None:
    raise AssertionError(message)


async def test_a_frequent_route_is_asked_directly_and_all_else_goes_on() -> None:
    rest, mcp, other = Noted(), Noted(), Noted()
    routes = [Route("/{workspace}/mcp", mcp, name="mcp"), Route("/other", other, name="other")]
    layer = FrequentRoutes(rest, routes)
    for path in ("/w/mcp", "/other", "/nothing"):
        await layer({"type": "http", "method": "GET", "path": path}, never, nowhere)
    await layer({"type": "lifespan"}, never, nowhere)  # it has no path
    assert mcp.seen == [("/w/mcp", {"workspace": "w"})]
    assert [path for path, _ in rest.seen] == ["/other", "/nothing", "lifespan"]
    assert other.seen == []


def routes_of_everything() -> list[Route | WebSocketRoute]:
    login: dict[str, Any] = {"oauth_server": True, "enable_local_auth": True, "base_url": URL}
    login |= {"oidc_issuer": "https://id.example", "oidc_client_id": "polyport"}
    routes = create_app(Settings(ephemeral=True, port=9527, **login)).router.routes
    return [route for route in routes if isinstance(route, Route | WebSocketRoute)]


async def test_below_a_root_path_the_router_reads_the_address() -> None:
    rest, mcp = Noted(), Noted()
    layer = FrequentRoutes(rest, [Route("/{workspace}/mcp", mcp, name="mcp")])
    scope = {"type": "http", "method": "GET", "path": "/below/mcp", "root_path": "/below"}
    await layer(scope, never, nowhere)
    assert (mcp.seen, len(rest.seen)) == ([], 1)


def test_every_frequent_route_is_one_of_the_server_and_takes_every_method() -> None:
    frequent = [route for route in routes_of_everything() if route.name in FREQUENT]
    assert sorted(route.name for route in frequent) == sorted(FREQUENT)
    assert all(getattr(route, "methods", None) is None for route in frequent)
    convertors = [c for route in frequent for c in route.param_convertors.values()]
    assert {type(convertor) for convertor in convertors} == {StringConvertor, PathConvertor}


def test_no_route_that_stands_before_a_frequent_one_is_for_the_same_addresses() -> None:
    before: list[Route | WebSocketRoute] = []
    for route in routes_of_everything():
        if route.name in FREQUENT:
            alike = [
                other.name
                for other in before
                if type(other) is type(route)
                if other.path_regex.match(sample(route)) or route.path_regex.match(sample(other))
            ]
            assert [name for name in alike if name not in FREQUENT] == []
            if alike:
                order = [FREQUENT.index(name) for name in [*alike, route.name]]
                assert order == sorted(order)
        before.append(route)


def sample(route: Route | WebSocketRoute) -> str:
    """An address of a route."""
    return re.sub(r"{[^}]*}", "x", route.path)
