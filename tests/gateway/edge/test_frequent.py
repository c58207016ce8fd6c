"""The shortest way to the routes that most requests are for."""

from __future__ import annotations

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.app import create_app
from gateway.edge.frequent import FREQUENT, FrequentRoutes
from gateway.settings import Settings


class Noted:
    """An application that notes the paths it is asked for."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append((scope["path"], scope.get("path_params", {})))


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
    await layer({"type": "lifespan", "path": ""}, never, nowhere)
    assert mcp.seen == [("/w/mcp", {"workspace": "w"})]
    assert [path for path, _ in rest.seen] == ["/other", "/nothing", ""]
    assert other.seen == []


def test_every_frequent_route_is_one_of_the_server_and_takes_every_method() -> None:
    routes = create_app(Settings(ephemeral=True, port=9527)).router.routes
    frequent = [route for route in routes if getattr(route, "name", None) in FREQUENT]
    assert {getattr(route, "name", None) for route in frequent} == FREQUENT
    assert all(getattr(route, "methods", None) is None for route in frequent)
