"""One requirement of the wire contract, and what shows that it holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

Level = Literal["MUST", "SHOULD", "FIX", "MAY"]
Tests = list[str]


@dataclass(frozen=True)
class Requirement:
    """``tests`` are node ids, without parameters; ``gap`` says why there are none."""

    id: str
    level: Level
    says: str
    tests: tuple[str, ...] = ()
    gap: str | None = None


def _requirement(
    level: Level, id: str, says: str, *tests: Tests, gap: str | None = None
) -> Requirement:
    return Requirement(id, level, says, tuple(name for names in tests for name in names), gap)


must = partial(_requirement, "MUST")
should = partial(_requirement, "SHOULD")
fix = partial(_requirement, "FIX")
"""The original does something that must not be copied."""
may = partial(_requirement, "MAY")


def in_file(path: str) -> Callable[..., Tests]:
    """A function from names of tests in the file, without ``test_``, to their node ids."""

    def node_ids(*names: str) -> Tests:
        found = []
        for name in names:
            group, _, test = name.rpartition("::")
            found.append("::".join(part for part in (path, group, f"test_{test}") if part))
        return found

    return node_ids


def here(name: str) -> Callable[..., Tests]:
    return in_file(f"tests/behaviour/test_{name}.py")


coming_in, coming_back, limits = here("coming_in"), here("coming_back"), here("limits")
messages, long_messages, events = here("messages"), here("long_messages"), here("events")
manager, results, workspaces = here("manager"), here("manager_results"), here("workspaces")
registering, finding = here("registering"), here("finding")

handshake = in_file("tests/clients/test_handshake.py")
connections = in_file("tests/clients/test_connections.py")
stopping = in_file("tests/clients/test_stopping.py")
hostile = in_file("tests/clients/test_hostile_frames.py")
python_client = in_file("tests/clients/test_hypha_rpc_python.py")
"""Each of these is run over the HTTP transport too, on either side of the call."""
sync_client = in_file("tests/clients/test_hypha_rpc_sync.py")
node_client = in_file("tests/clients/test_hypha_rpc_node.py")
http_client = in_file("tests/clients/test_hypha_rpc_http_transport.py")
access = in_file("tests/clients/test_hypha_rpc_access.py")
helpers = in_file("tests/clients/test_helpers.py")
webrtc = in_file("tests/clients/test_webrtc.py")
login = in_file("tests/clients/test_login.py")
upstream_python = in_file("tests/clients/test_upstream_python.py")
upstream_javascript = in_file("tests/clients/test_upstream_javascript.py")
login_page = in_file("tests/clients/test_login_page.py")
web_services = in_file("tests/clients/test_web_services.py")
three_doors = in_file("tests/clients/test_three_doors.py")
hub = in_file("tests/gateway/test_hub.py")
in_parts = in_file("tests/gateway/workspaces/test_manager.py")
reconnection = in_file("tests/gateway/test_reconnection.py")
router = in_file("tests/gateway/routing/test_router.py")
chunks = in_file("tests/gateway/routing/test_long_messages.py")
codec = in_file("tests/gateway/wire/test_codec.py")
endpoint = in_file("tests/gateway/rpc/test_endpoint.py")
tokens = in_file("tests/gateway/auth/test_tokens.py")
decisions = in_file("tests/gateway/auth/test_access.py")
keys = in_file("tests/gateway/auth/test_keys.py")
logins = in_file("tests/gateway/auth/test_login.py")
pending = in_file("tests/gateway/auth/test_pending_logins.py")
stream = in_file("tests/gateway/transports/test_http_stream.py")
apps = in_file("tests/gateway/registry/test_apps.py")
listing = in_file("tests/http_proxy/test_listing.py")
identity = in_file("tests/schema/test_identity.py")
