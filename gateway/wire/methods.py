"""Names of the methods that a client has: those of its services, ``services.<service id>.<path>``,
and those of a call that it waits for, ``<session>.<action>``."""

from __future__ import annotations

from typing import Final

SERVICES: Final = "services."


def service_method(service_id: str, path: str) -> str:
    """The method that runs the function at ``path``."""
    return f"{SERVICES}{service_id}.{path}"


def called(method: str) -> tuple[str, str]:
    """Service id and path of the function of a method that begins with ``SERVICES``; the path is
    empty if the method has none."""
    service_id, _, path = method[len(SERVICES) :].partition(".")
    return service_id, path
