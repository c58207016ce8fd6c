"""``decide`` is the only place that says yes or no: who asks it, and who must not ask at all."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ENFORCING = {
    "gateway/admission.py": "who gets in, and where",
    "gateway/auth/function_access.py": "which functions there are for a caller",
    "gateway/auth/login/exchange.py": "a token is cut to what its user has",
    "gateway/auth/oauth/grants.py": "a client may do no more than its user",
    "gateway/core.py": "calls over HTTP and MCP",
    "gateway/hub.py": "who has less than before is disconnected",
    "gateway/operations/routes.py": "who sees metrics and health in detail",
    "gateway/registry/directory.py": "which services there are for a caller",
    "gateway/registry/relay_guard.py": "calls from client to client",
    "gateway/routing/session.py": "who may broadcast, once per connection",
    "gateway/rpc/local.py": "calls of hosted services over a websocket",
    "gateway/upstreams/reach.py": "which servers there are for a caller",
    "gateway/workspaces/reach.py": "which workspaces and tokens there are for a caller",
    "gateway/workspaces/rules.py": "functions of the manager, each by its row",
    "gateway/workspaces/workspaces.py": "what owning and membership give, which decisions rest on",
    "http_proxy/listing.py": "whether an entry of the registry is shown as to a member",
    "mcp_bridge/callers.py": "whether a client of OAuth can ask for more",
    "mcp_bridge/offer.py": "whether a workspace without tools is there for a caller",
}
"""Modules that ask for a decision or look at permissions, and about what."""

ASKING = {"decide", "is_inside", ".permission_on", "is_administrator", "has_admin_role"}
DECIDING = {"gateway/auth/access.py", "gateway/workspaces/membership.py", "schema/identity.py"}

BUSINESS = sorted(
    [
        *(ROOT / "gateway/workspaces").glob("*_functions.py"),
        ROOT / "gateway/upstreams/functions.py",
    ]
)
"""Modules of functions that clients call."""


def names_in(path: Path) -> Iterator[str]:
    """Names that a module uses, and attributes as ``.attribute``."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield f".{node.attr}"
        elif isinstance(node, ast.Name):
            yield node.id


def test_decisions_are_asked_for_where_it_is_said_and_nowhere_else() -> None:
    asking = set()
    for package in ("gateway", "http_proxy", "mcp_bridge", "schema"):
        for path in (ROOT / package).rglob("*.py"):
            name = path.relative_to(ROOT).as_posix()
            if name not in DECIDING and name != "gateway/testing.py":
                asking |= {name} if ASKING & set(names_in(path)) else set()
    assert asking == set(ENFORCING)


@pytest.mark.parametrize("path", BUSINESS, ids=lambda path: path.stem)
def test_no_permission_is_checked_in_a_business_method(path: Path) -> None:
    forbidden = ASKING | {"PermissionDenied", "Verdict", ".covers"}
    assert forbidden.isdisjoint(names_in(path))
