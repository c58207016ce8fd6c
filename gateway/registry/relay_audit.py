"""Entries in the audit log for calls that the gateway only relays from client to client.

It does not look into them: what they carried, and what came of them, is not known here.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.auth.audit import AuditLog
from gateway.routing.session import ClientSession
from gateway.wire.methods import SERVICES, called
from schema.services import BUILT_IN


def relayed_calls(audit: AuditLog) -> Callable[[ClientSession, ClientSession, str], None]:
    """What a router tells of the calls that it passes on."""

    def note(sender: ClientSession, target: ClientSession, method: str) -> None:
        if not method.startswith(SERVICES):
            return
        service_id, function = called(method)
        if service_id == BUILT_IN:
            return
        call = (target.workspace, "websocket", f"{target.address}:{service_id}", function)
        audit.note(sender.caller, call, None, audit.now(), None, address=sender.remote)

    return note
