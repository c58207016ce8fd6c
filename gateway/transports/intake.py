"""Messages of one client on their way to the router, whatever transport brings them.

Knows how much a client may send and how much of it may be malformed; it does not know how the
messages come, and leaves it to the transport to tell the client what was wrong with one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from gateway.routing.session import CLOSE_INTERNAL, CLOSE_POLICY, ClientSession
from gateway.settings import Settings
from schema.errors import GatewayError, InternalError, LimitExceeded

logger = logging.getLogger(__name__)

MAX_BAD_FRAMES: Final = 100
"""Malformed messages that a connection may send before it is closed."""


class Intake:
    """``clock`` gives monotonic seconds; ``heard_at`` is when the client was last heard of."""

    __slots__ = (
        "_allowance",
        "_bad_frames",
        "_burst",
        "_clock",
        "_filled_at",
        "_on_flood",
        "_per_second",
        "_route",
        "_session",
        "heard_at",
    )

    def __init__(
        self,
        session: ClientSession,
        route: Callable[[ClientSession, bytes], None],
        settings: Settings,
        clock: Callable[[], float],
        on_flood: Callable[[], None],
    ) -> None:
        self._on_flood = on_flood
        self._session = session
        self._route = route
        self._clock = clock
        self._bad_frames = 0
        self._per_second = settings.max_messages_per_second
        self._burst = self._allowance = settings.max_burst_messages
        self.heard_at = self._filled_at = clock()

    def take(self, frame: bytes) -> GatewayError | None:
        """Route one message, or return why it was not routed. Never raises.

        A client that sends too many messages, or too many bad ones, is disconnected.
        """
        now = self._clock()
        # A token bucket: messages are paid for from an allowance that fills with time.
        self._allowance = min(
            self._burst, self._allowance + (now - self._filled_at) * self._per_second
        )
        self.heard_at = self._filled_at = now
        if self._allowance < 1:
            excess = LimitExceeded(
                f"Rate limit exceeded: {self._per_second:g} messages per second",
                retry_after_seconds=1,
            )
            self._on_flood()
            self._session.close(CLOSE_POLICY, excess.message)
            return excess
        self._allowance -= 1
        try:
            self._route(self._session, frame)
        except GatewayError as error:
            self._bad_frames += 1
            if self._bad_frames > MAX_BAD_FRAMES:
                self._session.close(CLOSE_POLICY, "Too many malformed messages")
            return error
        except Exception:
            logger.exception("routing_failed")
            self._session.close(CLOSE_INTERNAL, "Internal error")
            return InternalError("Internal error")
        return None
