"""Extensions: what adds routes to the gateway. The HTTP and MCP doors are the first two.

An extension is a module with a ``create(context)`` function that returns its routes. The gateway
loads them by name, so no import points from the gateway to a bridge; a third party names its
module in ``POLYPORT_EXTENSIONS``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from starlette.routing import BaseRoute

from gateway.api import Gateway
from gateway.settings import Settings

DEFAULT_EXTENSIONS = ("mcp_bridge", "http_proxy")
"""In order of routing: the first route that matches wins."""


class TokenFinder(Protocol):
    """Where requests carry their token on this server, besides the usual headers."""

    @property
    def finds_tokens(self) -> bool:
        """Whether there is such a place; looked at with each request."""
        ...

    async def find(self, scope: Mapping[str, Any]) -> str | None:
        """The token of a request (an ASGI scope); None to look in the usual headers.

        Raises Unauthenticated, Unavailable.
        """
        ...


class ProtectedResources(Protocol):
    """Endpoints whose clients log in by OAuth."""

    def audiences(self, path: Mapping[str, str]) -> tuple[str, ...]:
        """What tokens for the endpoint with these path parameters (``workspace``, and
        ``service`` if it has one) may name as their audience."""
        ...

    def challenge(self, path: Mapping[str, str], host: str | None, *, error: str | None) -> str:
        """The value of ``WWW-Authenticate`` for a refusal there; ``host`` is that of the request,
        ``error`` a code of RFC 6750, or None if it brought no token."""
        ...


@dataclass(frozen=True, slots=True)
class ExtensionContext:
    """What an extension is given."""

    gateway: Gateway
    settings: Settings
    token_finder: TokenFinder | None = None
    resources: ProtectedResources | None = None
    """None unless OAuth is on."""
    on_stop: list[Callable[[], None]] = field(default_factory=list)
    """Called when the server is about to stop, while it still answers: an extension adds what ends
    its open streams."""


Create = Callable[[ExtensionContext], Sequence[BaseRoute]]


def load_routes(names: Sequence[str], context: ExtensionContext) -> list[BaseRoute]:
    """Import each extension and collect its routes, in the order of ``names``."""
    routes: list[BaseRoute] = []
    for name in names:
        create = cast(Create, importlib.import_module(name).create)
        routes.extend(create(context))
    return routes
