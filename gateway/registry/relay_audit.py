"""Entries in the audit log for calls that the gateway only relays from client to client.

It does not look into them: what they carried, and what came of them, is not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.auth.audit import AuditLog
from gateway.routing.session import ClientSession
from schema.services import BUILT_IN

_SERVICES: Final = "services."


def relayed_calls(audit: AuditLog) -> Callable[[ClientSession, ClientSession, str], None]:
    """What a router tells of the calls that it passes on."""

    def note(sender: ClientSession, target: ClientSession, method: str) -> None:
        if not method.startswith(_SERVICES):
            return
        _, service_id, function = (*method.split(".", 2), "")[:3]
        if service_id == BUILT_IN:
            return
        call = (target.workspace, "websocket", f"{target.address}:{service_id}", function)
        audit.note(sender.caller, call, None, audit.now(), None, address=sender.remote)

    return note
