"""``/health`` and ``/metrics``: who is told how much.

Anybody may know that the server lives and takes work. What it is doing tells an attacker where it
hurts, so by default only the machine itself and administrators get details.
"""

from __future__ import annotations

import ipaddress
import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.api import Credentials, Gateway
from gateway.auth.access import Action, decide
from gateway.edge.answers import body_of
from gateway.edge.proxies import FORWARDED
from gateway.operations.health import Health
from gateway.operations.metrics import CONTENT_TYPE, Metrics
from gateway.requests import admit, client_address
from gateway.settings import LOOPBACK_HOSTS, Settings
from schema.errors import GatewayError, PermissionDenied
from schema.identity import ANY_WORKSPACE

_PAUSE = {"retry-after": "5"}


class Operations:
    """Answers probes and those who watch the server."""

    def __init__(
        self, settings: Settings, gateway: Gateway, health: Health, metrics: Metrics
    ) -> None:
        self._shown_to = settings.show_operations_to
        self._gateway = gateway
        self._health = health
        self._metrics = metrics

    def routes(self) -> list[Route]:
        return [
            Route("/health/liveness", self.liveness, methods=["GET"]),
            Route("/health/readiness", self.readiness, methods=["GET"]),
            Route("/health", self.health, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
        ]

    async def liveness(self, request: Request) -> Response:
        """200 as long as the event loop answers; a process that waits for its database lives."""
        return JSONResponse({"status": "OK"})

    async def readiness(self, request: Request) -> Response:
        """200 while new work is taken; 503 when the server is stopping or cannot store anything."""
        reason = await self._health.not_ready()
        if reason is not None:
            return JSONResponse({"status": "DOWN", "detail": reason}, 503, _PAUSE)
        detail = {"store": True, "event_bus": True, "pubsub": True}
        return JSONResponse({"status": "OK", "detail": detail})

    async def health(self, request: Request) -> Response:
        """The report; to those who may not see it, its status alone."""
        report = await self._health.report()
        if not await self._may_see(request):
            report = {"status": report["status"], "timestamp": time.time()}
        return JSONResponse(report, 503 if report["status"] == "CRITICAL" else 200)

    async def metrics(self, request: Request) -> Response:
        """The metrics; 403 to those who may not see them."""
        if not await self._may_see(request):
            return JSONResponse(_DENIED, 403)
        return Response(self._metrics.text(), media_type=CONTENT_TYPE)

    async def _may_see(self, request: Request) -> bool:
        if self._shown_to == "all" or (self._shown_to == "local" and _is_local(request)):
            return True
        scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer" or not token:
            return False
        try:
            caller = await self._gateway.authenticate(Credentials(token.strip()))
        except GatewayError:
            return False
        admit(request.scope, caller)
        return decide(caller, Action.ADMINISTER, ANY_WORKSPACE).allowed


_DENIED = body_of(
    PermissionDenied(
        "Only administrators and the machine itself may see this (setting show_operations_to)"
    )
)


def _is_local(request: Request) -> bool:
    """Whether a request was made on this machine, and for nobody else: a proxy that the gateway
    was not told of is no reason to trust whoever is behind it."""
    if any(name in FORWARDED for name, _ in request.scope["headers"]):
        return False
    if not _names_an_address(request.url.hostname or ""):
        return False
    try:
        return ipaddress.ip_address(client_address(request.scope)).is_loopback
    except ValueError:
        return False


def _names_an_address(host: str) -> bool:
    """Any other name may be one that a web page had pointed at this machine (DNS rebinding), and
    the page would read what its visitor's browser is shown."""
    if host in LOOPBACK_HOSTS or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
