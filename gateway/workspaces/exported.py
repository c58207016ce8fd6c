"""What a client exports: its service ``default``, which is set up once it is registered."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from gateway.rpc.endpoint import Endpoint
from gateway.wire.methods import service_method
from schema.errors import GatewayError
from schema.identity import Caller
from schema.services import ServiceInfo

EXPORTED: Final = "default"

SETUP_SECONDS: Final = 20.0
"""Clients wait 30 s for a registration."""

_SETUP: Final = "setup"

logger = logging.getLogger(__name__)


async def set_up(
    endpoint: Endpoint, caller: Caller, service: ServiceInfo, seconds: float = SETUP_SECONDS
) -> None:
    """Call the ``setup()`` of a client's service ``default``, if it has one; wire contract 3.4.

    It is the client itself that calls, by way of the gateway: the function sees nobody else in its
    context, and nothing is called but what the client that registers has registered.

    Raises nothing: what fails or lasts longer than ``seconds`` leaves the service registered. A
    client whose registration fails would not be back after a broken connection, but try for ever.
    """
    declared = service.service_schema.get(_SETUP)
    if service.id.service_id != EXPORTED or not isinstance(declared, dict):
        return
    if declared.get("type") != "function":
        return
    identity = endpoint.identity_of(caller)
    method = service_method(EXPORTED, _SETUP)
    try:
        async with asyncio.timeout(seconds):
            await endpoint.call(identity, service.id.provider, method, is_cancellable=True)
    except (GatewayError, TimeoutError) as error:
        logger.info("setup_failed client=%s error=%s", service.id.provider, type(error).__name__)
