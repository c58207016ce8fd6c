"""The workspace manager: the service ``default`` at ``*/<manager id>`` that every client talks to.

Puts the functions of its parts into one table and each behind its rule.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.auth.audit import AuditLog
from gateway.rpc.local import LocalFunction
from gateway.workspaces.audit_functions import AuditFunctions
from gateway.workspaces.client_functions import ClientFunctions
from gateway.workspaces.content_functions import ContentFunctions
from gateway.workspaces.function_access_functions import FunctionAccessFunctions
from gateway.workspaces.key_functions import KeyFunctions
from gateway.workspaces.rules import RULES, guarded
from gateway.workspaces.service_functions import ServiceFunctions
from gateway.workspaces.sharing_functions import SharingFunctions
from gateway.workspaces.token_functions import TokenFunctions
from gateway.workspaces.workspace_functions import WorkspaceFunctions

Part = (
    ServiceFunctions
    | WorkspaceFunctions
    | SharingFunctions
    | ContentFunctions
    | ClientFunctions
    | TokenFunctions
    | FunctionAccessFunctions
    | KeyFunctions
    | AuditFunctions
)


def manager_functions(
    parts: Iterable[Part], audit: AuditLog | None = None
) -> dict[str, LocalFunction]:
    """Every function that has a rule, found in its part and guarded."""
    found: dict[str, LocalFunction] = {}
    for part in parts:
        for name in RULES:
            function = getattr(part, name, None)
            if function is not None:
                found[name] = guarded(name, function, audit)
    return {name: found[name] for name in RULES}
