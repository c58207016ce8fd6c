"""Whoever has no permission on a workspace changes and learns nothing by calls of the manager."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.api import Credentials
from gateway.app import Parts, build
from gateway.auth.access import Action
from gateway.settings import Settings
from gateway.workspaces.manager import Part
from gateway.workspaces.rules import AUDITED, RULES, Rule, guarded
from schema.errors import GatewayError, PermissionDenied
from schema.identity import Caller, Permission, Scope, User
from tests.gateway.peer import Peer, RemoteFailure

SECRET = "the-secret-of-ann"
TARGET = "ws-user-ann"

LAB = "ann-lab"
WORKSPACES = st.sampled_from([TARGET, LAB, "ws-user-eve", "*", "", None])
SERVICES = st.sampled_from(
    [f"{TARGET}/provider:closed", f"{TARGET}/closed", f"{TARGET}/*:closed", "*/closed", "closed"]
)
WORDS = st.sampled_from([TARGET, "ann", "eve", "provider", "closed", "k", "f", "admin", "public"])
CONFIG = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from([TARGET, LAB, "eve-lab"]),
        "workspace": WORKSPACES,
        "permission": st.sampled_from(["read", "read_write", "admin"]),
        "owners": st.lists(WORDS, max_size=2),
        "visibility": st.sampled_from(["public", "protected", "unlisted"]),
        "client_id": st.just("provider"),
        "extra_scopes": st.just([f"ws:{TARGET}#a"]),
        "description": st.just("by eve"),
        "mode": st.sampled_from(["random", "last", "select:min:f"]),
    },
)
PLAUSIBLE: dict[str, st.SearchStrategy[Any]] = {
    "workspace": WORKSPACES,
    "service_id": SERVICES,
    "client_id": st.sampled_from([f"{TARGET}/provider", f"{TARGET}/{SECRET[:3]}", "provider"]),
    "config": CONFIG,
    "filters": CONFIG,
    "match": CONFIG,
    "service": st.fixed_dictionaries(
        {"id": st.sampled_from([f"{TARGET}/provider:closed", f"{TARGET}/x:y", "x:closed"])},
        optional={"config": CONFIG},
    ),
    "query": st.one_of(
        SERVICES, st.fixed_dictionaries({"workspace": WORKSPACES}, optional={"id": WORDS})
    ),
    "item": st.fixed_dictionaries(
        {"bookmark_type": st.sampled_from(["workspace", "service"]), "id": SERVICES | WORKSPACES}
    ),
    "type_info": st.fixed_dictionaries({"id": st.sampled_from([f"{TARGET}/kind", "kind"])}),
    "type_id": st.sampled_from([f"{TARGET}/kind", "kind"]),
    "event_type": st.sampled_from(
        [TARGET, f"{TARGET}/x", "env_set", "workspace_changed", "service_added", "service_updated"]
    ),
    "permission": st.sampled_from(["read", "read_write", "admin"]),
    "user_id": st.sampled_from(["eve", "ann"]),
    "function": st.just("f"),
    "timeout": st.just(0.1),
    "limit": st.integers(1, 300),
    "offset": st.integers(0, 2),
    "overwrite": st.booleans(),
    "include_unlisted": st.booleans(),
}
"""What an attacker would give for an argument of that name; for others words and odd values."""

ODD = st.one_of(WORDS, st.none(), st.integers(-2, 300), st.lists(WORDS, max_size=2))


def parameters_of(function: str) -> dict[str, bool]:
    """Arguments that a function takes, and whether it needs them."""
    [found] = [getattr(part, function) for part in get_args(Part) if hasattr(part, function)]
    named = list(inspect.signature(found).parameters.values())[2:]
    return {p.name: p.default is inspect.Parameter.empty for p in named}


@st.composite
def a_call(draw: st.DrawFn) -> Attempt:
    function = draw(st.sampled_from(sorted(RULES)))
    named = {
        name: draw(PLAUSIBLE.get(name, ODD))
        for name, is_needed in parameters_of(function).items()
        if is_needed or draw(st.booleans())
    }
    return Attempt(draw(st.integers(0, 2)), draw(st.booleans()), function, named)


class Attempt(NamedTuple):
    """A call, by one of those who have no permission on the workspace, through one of two doors."""

    by: int
    over_http: bool
    function: str
    named: dict[str, Any]

    async def made(self, peers: list[Peer]) -> Any:
        peer = peers[self.by]
        if not self.over_http:
            return await called(peer, self.function, self.named)
        gateway, workspaces = peer.parts.gateway, peer.parts.workspaces
        caller = Caller(peer.session.user, peer.workspace, memberships=workspaces)
        manager = gateway._directory.manager  # type: ignore[attr-defined]
        return await gateway.call(caller, manager, self.function, (), self.named)


async def called(peer: Peer, function: str, named: dict[str, Any]) -> Any:
    address = peer.parts.router.manager_address
    return await peer.call(address, f"services.default.{function}", **named)


def state_of(parts: Parts) -> str:
    records = [parts.workspaces.require(name) for name in (TARGET, LAB)]
    services = [str(s.id) for s in parts.registry.in_workspace(TARGET)]
    clients = [s.address for s in parts.router.sessions_in(TARGET)]
    keys = [(key["id"], key["permission"]) for key in parts.api_keys.listed(TARGET)]
    return repr((records, services, clients, keys, parts.functions.listed(TARGET)))


async def workspace_of_ann(parts: Parts) -> Peer:
    """All that a workspace can hold, with the secret in each."""
    token = parts.tokens.issue(User("ann"), expires_in_seconds=600)
    ann = await Peer.join(parts, "provider", token=token)
    await Peer.join(parts, SECRET, token=token)
    closed = {"visibility": "protected"}
    await ann.register("closed", {"f": lambda *_, **__: SECRET}, config=closed, description=SECRET)
    await ann.manager("set_env", "k", SECRET)
    await ann.manager("log_event", "kind", SECRET)
    await ann.manager("create_workspace", {"id": LAB, "description": SECRET})
    await ann.manager("update_workspace", TARGET, {"description": SECRET})
    await ann.manager("share_workspace", email=f"{SECRET}@example.org")
    await ann.manager("share_workspace", user_id=SECRET)
    await ann.manager("register_service_type", {"id": "kind", "description": SECRET})
    await ann.manager("generate_api_key", SECRET)
    await ann.manager("restrict_function", "closed", "g", users=[SECRET])
    return ann


async def attack(calls: Iterable[Attempt]) -> None:
    parts = build(Settings(ephemeral=True, port=9527))[0]
    ann = await workspace_of_ann(parts)
    before = state_of(parts)
    guest = Scope({"ws-user-eve": Permission.READ}, "ws-user-eve")
    tokens = [
        parts.tokens.issue(user, expires_in_seconds=600)
        for user in (User("eve"), User("guest", parent="eve", scope=guest))
    ]
    peers = [await Peer.join(parts, token=token) for token in (*tokens, None)]
    for attempt in calls:
        try:
            answer = await attempt.made(peers)
        except (RemoteFailure, GatewayError) as error:
            answer = str(error)
        assert SECRET not in repr(answer), attempt
    assert state_of(parts) == before
    # What happens afterwards is nothing that they hear of.
    await ann.manager("set_env", "later", SECRET)
    await ann.manager("update_workspace", TARGET, {"docs": SECRET})
    await ann.register("later", {"f": int}, config={"visibility": "protected"}, description=SECRET)
    assert not any(SECRET.encode() in frame for peer in peers for frame in peer.frames)
    await parts.kept.audit.close()


@given(st.lists(a_call(), min_size=1, max_size=10))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_sequence_of_calls_changes_or_reveals_anything(calls: list[Attempt]) -> None:
    asyncio.run(attack(calls))


WEAKENED = sorted(
    ["delete_workspace", "generate_api_key", "get_workspace_info", "list_api_keys", "list_clients",
     "list_function_access", "list_members", "list_service_types", "restrict_function",
     "share_workspace", "unrestrict_function", "update_workspace"]
)  # fmt: skip


@pytest.mark.parametrize("over_http", [False, True])
@pytest.mark.parametrize("function", WEAKENED)
def test_a_rule_that_is_too_weak_would_be_noticed(
    function: str, over_http: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sequences above can fail: with one rule less, a single call of that function is seen."""
    needed = {"service_id": "closed", "function": "g"} if "restrict" in function else {}
    named = {"workspace": TARGET, **REQUIRED.get(function, {}), **needed}
    attempt = Attempt(0, over_http, function, named)
    asyncio.run(attack([attempt]))
    monkeypatch.setitem(RULES, function, Rule(Action.ECHO))
    if function == "update_workspace":
        named["config"] = {"description": "by eve"}
    with pytest.raises((AssertionError, GatewayError)):
        asyncio.run(attack([attempt]))


def rules_of(function: str) -> tuple[Rule, ...]:
    rule = RULES[function]
    return (rule,) if isinstance(rule, Rule) else rule.rules


OF_WORKSPACES = sorted(
    name for name, rule in RULES.items() if isinstance(rule, Rule) and rule.argument == "workspace"
)
REQUIRED: dict[str, dict[str, Any]] = {
    "update_workspace": {"config": {}},
    "restrict_function": {"service_id": "s", "function": "f"},
    "unrestrict_function": {"service_id": "s", "function": "f"},
    "generate_api_key": {"name": "n"},
    "revoke_api_key": {"key_id": "k"},
    "share_workspace": {"user_id": "eve"},
    "unshare_workspace": {"user_id": "eve"},
}


@pytest.mark.parametrize("function", OF_WORKSPACES)
async def test_every_function_that_takes_a_workspace_refuses_a_stranger(function: str) -> None:
    parts = build(Settings(ephemeral=True, port=9527))[0]
    ann = await Peer.join(parts, token=parts.tokens.issue(User("ann"), expires_in_seconds=3600))
    eve = await Peer.join(parts, token=parts.tokens.issue(User("eve"), expires_in_seconds=3600))
    arguments = REQUIRED.get(function, {})
    with pytest.raises(RemoteFailure, match="Permission denied"):
        await called(eve, function, {"workspace": ann.workspace, **arguments})
    await parts.kept.audit.close()


OWN = sorted(
    name
    for name, rule in RULES.items()
    if isinstance(rule, Rule) and not rule.argument and rule.action.needs is not None
)
ARGUMENTS_OF_OWN: dict[str, dict[str, Any]] = {
    "echo": {"data": 1},
    "log": {"msg": 1},
    "create_workspace": {"config": {"id": "a-b"}},
    "log_event": {"event_type": "e"},
    "unregister_service": {"service_id": "s"},
    "register_service_type": {"type_info": {"id": "t"}},
    "set_env": {"key": "k"},
    "revoke_token": {"token": "t"},
    "parse_token": {"token": "t"},
}


@pytest.mark.parametrize("function", OWN)
async def test_every_function_behind_a_permission_refuses_who_has_less(function: str) -> None:
    parts = build(Settings(ephemeral=True, port=9527))[0]
    rule = RULES[function]
    assert isinstance(rule, Rule)
    needs = rule.action.needs
    assert needs is not None
    ann = await Peer.join(parts, token=parts.tokens.issue(User("ann"), expires_in_seconds=3600))
    if needs is Permission.READ:
        made = await ann.manager("generate_token", {"extra_scopes": ["a:b"]})
        with pytest.raises(Exception, match="one purpose"):
            await Peer.join(parts, token=made)
    else:
        less = "read" if needs is Permission.READ_WRITE else "read_write"
        made = await ann.manager("generate_token", {"permission": less})
        program = await Peer.join(parts, token=made)
        with pytest.raises(RemoteFailure, match=r"Permission denied|Only admin"):
            await called(program, function, ARGUMENTS_OF_OWN.get(function, {}))
    await parts.kept.audit.close()


ELSEWHERE: dict[str, Callable[[str], dict[str, Any]]] = {
    "ping": lambda workspace: {"client_id": f"{workspace}/provider"},
    "generate_token": lambda workspace: {"config": {"workspace": workspace}},
    "unregister_service": lambda workspace: {"service_id": f"{workspace}/provider:closed"},
    "register_service_type": lambda workspace: {"type_info": {"id": f"{workspace}/t"}},
    "list_services": lambda workspace: {
        "query": {"workspace": workspace},
        "include_unlisted": True,
    },
}


def test_each_function_whose_arguments_lead_elsewhere_is_tried() -> None:
    leading = {name for name in RULES if any(rule.find for rule in rules_of(name))}
    assert leading == set(ELSEWHERE)


@pytest.mark.parametrize("function", sorted(ELSEWHERE))
async def test_every_function_whose_arguments_lead_elsewhere_refuses_a_stranger(
    function: str,
) -> None:
    parts = build(Settings(ephemeral=True, port=9527))[0]
    ann = await Peer.join(parts, token=parts.tokens.issue(User("ann"), expires_in_seconds=3600))
    eve = await Peer.join(parts, token=parts.tokens.issue(User("eve"), expires_in_seconds=3600))
    with pytest.raises(RemoteFailure, match=r"[Pp]ermission|own workspace"):
        await called(eve, function, ELSEWHERE[function](ann.workspace))
    await parts.kept.audit.close()


@pytest.mark.parametrize("function", sorted(RULES))
async def test_every_function_refuses_a_credential_for_another_purpose(function: str) -> None:
    """Whatever a function takes, a token for downloads is not it; and it does not run."""
    scope = Scope({"ws-a": Permission.ADMIN}, "ws-a", extra_scopes=("file:download",))

    async def never(caller: Caller, **named: Any) -> None:
        raise AssertionError("it ran")

    arguments: dict[str, Any] = {"service_id": "s", "query": None, "include_unlisted": False}
    arguments |= {key: {} for key in ("service", "item", "type_info")}
    with pytest.raises(PermissionDenied):
        await guarded(function, never)(Caller(User("u", scope=scope), "ws-a", "c"), **arguments)


PIECES: dict[str, tuple[dict[str, Any], str | None]] = {
    "register_service": ({"service": {"id": f"{TARGET}/provider:s"}}, "ermission|prefix"),
    "unregister_service": ({"service_id": "closed"}, "Permission denied"),
    "list_services": ({"query": {"workspace": TARGET}}, None),
    "get_service": ({"service_id": f"{TARGET}/closed"}, "Permission denied"),
    "get_service_info": ({"service_id": f"{TARGET}/closed"}, "Permission denied"),
    "get_service_type": ({"type_id": f"{TARGET}/kind"}, "not found"),
    "list_workspaces": ({}, None),
    "create_workspace": ({"config": {"id": TARGET}, "overwrite": True}, "may not overwrite"),
    "list_members": ({"workspace": "ann-lab"}, None),
    "get_workspace_info": ({"workspace": "ann-lab"}, None),
    "bookmark": ({"item": {"bookmark_type": "service", "id": f"{TARGET}/closed"}}, "not found"),
    "revoke_token": ({"token": "TOKEN"}, "Only tokens of this workspace"),
    "parse_token": ({"token": "TOKEN"}, "The token is for workspace"),
}
"""For each function that decides piece by piece a call about what is not the caller's: how it is
refused, or None if it gives an answer without that."""


def test_each_function_that_decides_piece_by_piece_is_tried() -> None:
    deciding = {name for name in RULES if any(rule.each for rule in rules_of(name))}
    assert deciding == set(PIECES)


@pytest.mark.parametrize("function", sorted(PIECES))
async def test_no_piece_is_given_to_whom_it_is_not_for(function: str) -> None:
    parts = build(Settings(ephemeral=True, port=9527))[0]
    ann = await Peer.join(
        parts, "provider", token=parts.tokens.issue(User("ann"), expires_in_seconds=3600)
    )
    closed = {"visibility": "protected"}
    await ann.register("closed", {"f": int}, config=closed, description=SECRET)
    await ann.manager("register_service_type", {"id": "kind", "description": SECRET})
    await ann.manager("create_workspace", {"id": "ann-lab"})
    await ann.manager("share_workspace", "ann-lab", user_id="eve", permission="read_write")
    await ann.manager("share_workspace", "ann-lab", email=f"{SECRET}@example.org")
    token = await ann.manager("generate_token")
    eve = await Peer.join(parts, token=parts.tokens.issue(User("eve"), expires_in_seconds=3600))
    arguments, refusal = PIECES[function]
    if "token" in arguments:
        arguments = {"token": token}
    peer = eve
    if function == "unregister_service":  # the service of another client of the same workspace
        peer = await Peer.join(parts, token=token)
    if refusal is None:
        answer = await called(peer, function, arguments)
        assert SECRET not in repr(answer) and TARGET not in repr(answer)
    else:
        with pytest.raises(RemoteFailure, match=refusal):
            await called(peer, function, arguments)
    await parts.kept.audit.close()


async def test_nobody_without_a_name_creates_a_workspace() -> None:
    parts = build(Settings(ephemeral=True, port=9527))[0]
    stranger = await Peer.join(parts)
    with pytest.raises(RemoteFailure, match="Only registered user"):
        await called(stranger, "create_workspace", {"config": {"id": "a-b"}})
    await parts.kept.audit.close()


async def test_a_token_to_read_creates_no_workspace_in_the_name_of_its_maker() -> None:
    parts = build(Settings(ephemeral=True, port=9527))[0]
    ann = await Peer.join(parts, token=parts.tokens.issue(User("ann"), expires_in_seconds=60))
    token = await ann.manager("generate_token", {"permission": "read"})
    reader = await Peer.join(parts, token=token)
    with pytest.raises(RemoteFailure, match="Permission denied for workspace ws-user-ann"):
        await called(reader, "create_workspace", {"config": {"id": "a-b"}})
    assert parts.workspaces.get("a-b") is None
    await parts.kept.audit.close()


async def test_whose_address_a_token_has_is_not_said_by_who_mints_it() -> None:
    parts = build(Settings(ephemeral=True, port=9527, root_token="r0" * 20))[0]
    user = User("ann", email="ann@lab.org", email_verified=True)
    ann = await Peer.join(parts, token=parts.tokens.issue(user, expires_in_seconds=60))
    with pytest.raises(RemoteFailure, match="Only an admin of the server"):
        await ann.manager("generate_token", {"email": "bob@lab.org"})
    await ann.manager("generate_token", {"email": "ann@lab.org"})
    root = await Peer.join(parts, token="r0" * 20)
    minted = await root.manager(
        "generate_token", {"workspace": "ws-user-ann", "email": "bob@lab.org"}
    )
    found = parts.tokens.verify(minted)
    assert (found.email, found.email_verified) == ("bob@lab.org", False)
    await parts.kept.audit.close()


def test_every_function_has_a_rule() -> None:
    parts = build(Settings(ephemeral=True, port=9527))[0]
    manager = parts.gateway._directory.manager  # type: ignore[attr-defined]
    assert set(manager.functions) == set(RULES)


async def test_requests_of_nobody_keep_no_bookmarks() -> None:
    """They all are one user, whose workspace would be everybody's."""
    parts = build(Settings(ephemeral=True, port=9527))[0]
    caller = await parts.gateway.authenticate(Credentials())
    manager = parts.gateway._directory.manager  # type: ignore[attr-defined]
    for kind, name in (("workspace", "ws-anonymous"), ("service", "public/hypha-login")):
        item = {"bookmark_type": kind, "id": name}
        for function in ("bookmark", "unbookmark"):
            with pytest.raises(PermissionDenied, match="log in"):
                await parts.gateway.call(caller, manager, function, (item,))
    assert parts.workspaces.get("ws-user-anonymouz-http") is None


def test_what_is_logged_exists() -> None:
    assert set(RULES) >= AUDITED
