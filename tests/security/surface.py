"""What can be asked of the gateway over HTTP, websockets and MCP, each with what guards it.

``test_surface`` demands a row for everything that is there, and refuses strangers at each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.auth.access import Action, ServiceAction

ANN: Final = "/ws-user-ann"


@dataclass(frozen=True, slots=True)
class Guarded:
    """A route whose answer takes the permission for ``action``. ``url`` is one of it, in the
    workspace of ann; ``shows`` stands in the answer for who is entitled, and in no other. A list
    answers everybody (``is_list``), with what each may see."""

    action: Action | ServiceAction
    url: str
    method: str = "GET"
    shows: str | None = None
    is_list: bool = False


@dataclass(frozen=True, slots=True)
class Anybody:
    """A route that asks for no permission, and why."""

    because: str


_LOGIN: Final = Anybody("who logs in is nobody yet")
_METADATA: Final = Anybody("says where to log in, or that there is nothing here")
_OAUTH: Final = Anybody("clients and users prove themselves by what they send (RFC 6749)")
_DOCUMENT: Final = Anybody("a page without data, whose parts are fetched by who looks at it")
_REDIRECT: Final = Anybody("leads to another path, whether it exists or not")

USE, LISTED = ServiceAction.USE, ServiceAction.SEE_LISTED
CLOSED: Final = "the-secret-of-ann"
"""The description of the service ``closed``, which is protected."""

ROUTES: Final[dict[str, Guarded | Anybody]] = {
    "websocket /ws": Guarded(Action.CONNECT, "/ws"),
    "/rpc": Guarded(Action.CONNECT, "/rpc?client_id=a&workspace=ws-user-ann"),
    "/health/liveness": Anybody("a probe: that the process lives"),
    "/health/readiness": Anybody("a probe: that the server takes work"),
    "/health": Guarded(Action.ADMINISTER, "/health", shows="health_score", is_list=True),
    "/metrics": Guarded(Action.ADMINISTER, "/metrics", shows="rpc_call_total"),
    "/": Anybody("how to use the server"),
    "/login": _LOGIN,
    "/public/apps/hypha-login": _LOGIN,
    "/public/apps/hypha-login/": _LOGIN,
    "/oauth/begin": _LOGIN,
    "/oauth/callback/{provider}": _LOGIN,
    "/oauth/upstreams/callback": Anybody("found by a secret that those have who manage a server"),
    "/oauth/upstreams/client.json": _METADATA,
    "/.well-known/oauth-protected-resource": _METADATA,
    "/.well-known/oauth-protected-resource/{path:path}": _METADATA,
    "/.well-known/oauth-protected-resource/{resource:path}": _METADATA,
    "/.well-known/oauth-authorization-server": _METADATA,
    "/.well-known/oauth-authorization-server/{resource:path}": _METADATA,
    "/.well-known/openid-configuration": _METADATA,
    "/.well-known/openid-configuration/{resource:path}": _METADATA,
    "/oauth/authorize": _OAUTH,
    "/authorize": _OAUTH,
    "/oauth/consent": _OAUTH,
    "/oauth/token": _OAUTH,
    "/token": _OAUTH,
    "/oauth/register": _OAUTH,
    "/register": _OAUTH,
    "/oauth/revoke": _OAUTH,
    "/{workspace}/mcp/{service}/mcp": Guarded(USE, f"{ANN}/mcp/closed/mcp", "MCP", '"f"'),
    "/{workspace}/mcp/{service}/mcp/": Guarded(USE, f"{ANN}/mcp/closed/mcp/", "MCP", '"f"'),
    "/{workspace}/mcp/{service}/sse": Guarded(USE, f"{ANN}/mcp/closed/sse"),
    "/{workspace}/mcp/{service}/sse/": Guarded(USE, f"{ANN}/mcp/closed/sse/"),
    "/{workspace}/mcp/{service}/sse/messages": Guarded(
        USE, f"{ANN}/mcp/closed/sse/messages", "POST"
    ),
    "/{workspace}/mcp/{service}/sse/messages/": Guarded(
        USE, f"{ANN}/mcp/closed/sse/messages/", "POST"
    ),
    "/{workspace}/mcp/{service}": Guarded(USE, f"{ANN}/mcp/closed"),
    "/{workspace}/mcp/{service}/": Guarded(USE, f"{ANN}/mcp/closed/"),
    "/{workspace}/mcp": Guarded(Action.READ_WORKSPACE, f"{ANN}/mcp", "MCP", "closed__f"),
    "/{workspace}/mcp/": Guarded(Action.READ_WORKSPACE, f"{ANN}/mcp/", "MCP", "closed__f"),
    "/{workspace}/services/{service}/": Guarded(USE, f"{ANN}/services/closed/", shows=CLOSED),
    "/{workspace}/services/{service}": Guarded(USE, f"{ANN}/services/closed", shows=CLOSED),
    "/{workspace}/services/{service}/{function:path}": Guarded(
        USE, f"{ANN}/services/closed/f", "POST", CLOSED
    ),
    "/{workspace}/asks/{id}": Anybody("found by the user alone who is asked, under a secret URL"),
    "/{workspace}/services": Guarded(LISTED, f"{ANN}/services", shows=CLOSED, is_list=True),
    "/{workspace}/services/": Guarded(LISTED, f"{ANN}/services/", shows=CLOSED, is_list=True),
    "/{workspace}/info": Guarded(Action.READ_WORKSPACE, f"{ANN}/info", shows='"workspace"'),
    "/openapi.json": Anybody("describes the paths of the gateway itself"),
    "/{workspace}/openapi.json": Guarded(LISTED, f"{ANN}/openapi.json", shows=CLOSED, is_list=True),
    "/api-docs/assets": _DOCUMENT,
    "/api-docs": _DOCUMENT,
    "/{workspace}/api-docs": _DOCUMENT,
    "/assets/config.json": Anybody("tells callers who they are themselves"),
    "/{workspace}/": Guarded(LISTED, f"{ANN}/", shows=CLOSED, is_list=True),
    "/{workspace}": _REDIRECT,
    "/{workspace}/apps/{service}": _REDIRECT,
    "/{workspace}/apps/{service}/{path:path}": Guarded(USE, f"{ANN}/apps/closed/x"),
    "websocket /{workspace}/apps/{service}/{path:path}": Guarded(USE, f"{ANN}/apps/closed/x"),
    "/{path:path}": Anybody("there is nothing here"),
}

MCP_METHODS: Final[dict[str, ServiceAction]] = {
    "server/discover": USE,
    "initialize": USE,
    "ping": USE,
    "subscriptions/listen": USE,
    "logging/setLevel": USE,
    "resources/list": USE,
    "resources/templates/list": USE,
    "resources/read": USE,
    "resources/subscribe": USE,
    "resources/unsubscribe": USE,
    "tools/list": USE,
    "tools/call": USE,
    "prompts/list": USE,
    "prompts/get": USE,
    "completion/complete": USE,
}
"""Methods of MCP, each with what it takes on the service (of a whole workspace: on each of its
services) that it is sent to."""

SERVICES: Final[dict[str, dict[str, Action | ServiceAction | Anybody]]] = {
    "public/hypha-login": dict.fromkeys(
        (
            "start", "check", "report", "get_token", "index", "profile", "logout", "signup",
            "verify_email", "resend_code", "login", "update_profile", "forgot_password",
            "reset_password",
        ),
        _LOGIN,
    ),
    "public/mcp-servers": {
        "list": Action.LIST_SERVERS,
        "add": Action.MANAGE_SERVERS,
        "remove": Action.MANAGE_SERVERS,
        "status": Action.MANAGE_SERVERS,
        "restart": Action.MANAGE_SERVERS,
        "log_out": Action.MANAGE_SERVERS,
        "approve": Action.MANAGE_SERVERS,
        "set_credential": USE,
        "delete_credential": USE,
    },
    "ws-user-root/admin-utils": dict.fromkeys(
        (
            "list_servers", "kickout_client", "list_workspaces", "unload_workspace", "get_metrics",
            "get_resource_usage", "block_user", "unblock_user", "block_ip", "unblock_ip",
            "list_blocked", "get_audit_log",
        ),
        Action.ADMINISTER,
    ),
}  # fmt: skip
"""Functions of the services that the gateway offers besides the manager (whose own table is
``gateway.workspaces.rules``)."""
