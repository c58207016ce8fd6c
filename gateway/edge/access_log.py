"""One line per request: who asked for what, and how it went.

Of the path it shows the route's template, and of the query and the headers nothing: keys and tokens
are sent there. A request that was not answered, because its client left, has the status 0.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final, Protocol

from gateway.observability import FIELDS
from gateway.requests import RequestRecord

LOGGER: Final = "gateway.access"


class Answer(Protocol):
    """What a line says of an answer."""

    came_at: float
    began_at: float
    status: int


def access_log() -> Callable[[str, str, RequestRecord, Answer], None]:
    """A function that writes the line of a request that has ended."""
    logger = logging.getLogger(LOGGER)
    logger.setLevel(logging.INFO)  # whoever asks for the lines gets them at any level of the rest

    def write(route: str, method: str, record: RequestRecord, answer: Answer) -> None:
        fields: dict[str, Any] = {
            "request_id": record.request_id,
            "method": method,
            "route": route,
            "status": answer.status,
            "duration_ms": round(1000 * (perf_counter() - answer.came_at), 2),
            "first_byte_ms": round(1000 * (answer.began_at - answer.came_at), 2),
            "user": record.user_id,
            "client": record.address,
        }
        if record.operation is not None:
            fields["operation"] = record.operation
        logger.info("request", extra={FIELDS: fields})

    return write
