"""Whoever has no permission on a workspace changes and learns nothing by calls of the manager."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.app import Parts, build
from gateway.settings import Settings
from gateway.workspaces.rules import AUDITED, RULES, Rule, guarded
from schema.errors import PermissionDenied
from schema.identity import Caller, Permission, Scope, User
from tests.gateway.peer import Peer, RemoteFailure

SECRET = "the-secret-of-ann"
TARGET = "ws-user-ann"

NAMES = st.sampled_from(
    [TARGET, f"{TARGET}/provider", f"{TARGET}/provider:closed", "closed", "provider", "*", "", "k"]
)
VALUES = st.one_of(
    NAMES,
    st.none(),
    st.booleans(),
    st.integers(-2, 300),
    st.lists(NAMES, max_size=2),
    st.dictionaries(
        st.sampled_from(
            ["id", "workspace", "permission", "visibility", "service_id", "bookmark_type", "owners"]
        ),
        st.one_of(NAMES, st.just("admin"), st.just("workspace"), st.just("service")),
        max_size=4,
    ),
)
ARGUMENTS = (
    "workspace", "config", "service_id", "client_id", "query", "item", "key", "value", "token",
    "event_type", "user_id", "permission", "function", "name", "type_id", "key_id", "overwrite",
)  # fmt: skip
CALLS = st.lists(
    st.tuples(
        st.sampled_from(sorted(RULES)),
        st.dictionaries(st.sampled_from(ARGUMENTS), VALUES, max_size=4),
    ),
    min_size=1,
    max_size=8,
)


async def called(peer: Peer, function: str, named: dict[str, Any]) -> Any:
    address = peer.parts.router.manager_address
    return await peer.call(address, f"services.default.{function}", **named)


def state_of(parts: Parts) -> str:
    record = parts.workspaces.require(TARGET)
    services = [str(s.id) for s in parts.registry.in_workspace(TARGET)]
    clients = [s.address for s in parts.router.sessions_in(TARGET)]
    return repr((record, services, clients, parts.functions.listed(TARGET)))


async def attack(calls: list[tuple[str, dict[str, Any]]]) -> None:
    parts = build(Settings(ephemeral=True, port=9527))[0]
    token = parts.tokens.issue(User("ann"), expires_in_seconds=600)
    ann = await Peer.join(parts, "provider", token=token)
    closed = {"visibility": "protected"}
    await ann.register("closed", {"f": int}, config=closed, description=SECRET)
    await ann.manager("set_env", "k", SECRET)
    before = state_of(parts)
    eve_token = parts.tokens.issue(User("eve"), expires_in_seconds=600)
    eve = await Peer.join(parts, token=eve_token)
    for function, arguments in calls:
        named = {k: v for k, v in arguments.items() if k in _arguments_of(parts, function)}
        if function == "ping":
            named["timeout"] = 0.1
        try:
            answer = await called(eve, function, named)
        except RemoteFailure as error:
            answer = str(error)
        assert SECRET not in repr(answer)
    assert state_of(parts) == before
    await parts.kept.audit.close()


def _arguments_of(parts: Parts, function: str) -> set[str]:
    manager = parts.gateway._directory.manager  # type: ignore[attr-defined]
    return set(manager.functions[function].parameter_names)


@given(CALLS)
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_sequence_of_calls_changes_or_reveals_anything(
    calls: list[tuple[str, dict[str, Any]]],
) -> None:
    asyncio.run(attack(calls))


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
    ann = await Peer.join(parts, token=parts.tokens.issue(User("ann"), expires_in_seconds=60))
    eve = await Peer.join(parts, token=parts.tokens.issue(User("eve"), expires_in_seconds=60))
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
    ann = await Peer.join(parts, token=parts.tokens.issue(User("ann"), expires_in_seconds=60))
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
    "bookmark": lambda workspace: {"item": {"bookmark_type": "workspace", "id": workspace}},
}


def test_each_function_whose_arguments_lead_elsewhere_is_tried() -> None:
    leading = {name for name in RULES if any(rule.find for rule in rules_of(name))}
    assert leading == set(ELSEWHERE)


@pytest.mark.parametrize("function", sorted(ELSEWHERE))
async def test_every_function_whose_arguments_lead_elsewhere_refuses_a_stranger(
    function: str,
) -> None:
    parts = build(Settings(ephemeral=True, port=9527))[0]
    ann = await Peer.join(parts, token=parts.tokens.issue(User("ann"), expires_in_seconds=60))
    eve = await Peer.join(parts, token=parts.tokens.issue(User("eve"), expires_in_seconds=60))
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
        parts, "provider", token=parts.tokens.issue(User("ann"), expires_in_seconds=60)
    )
    closed = {"visibility": "protected"}
    await ann.register("closed", {"f": int}, config=closed, description=SECRET)
    await ann.manager("register_service_type", {"id": "kind", "description": SECRET})
    await ann.manager("create_workspace", {"id": "ann-lab"})
    await ann.manager("share_workspace", "ann-lab", user_id="eve", permission="read_write")
    await ann.manager("share_workspace", "ann-lab", email=f"{SECRET}@example.org")
    token = await ann.manager("generate_token")
    eve = await Peer.join(parts, token=parts.tokens.issue(User("eve"), expires_in_seconds=60))
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


def test_every_function_has_a_rule() -> None:
    parts = build(Settings(ephemeral=True, port=9527))[0]
    manager = parts.gateway._directory.manager  # type: ignore[attr-defined]
    assert set(manager.functions) == set(RULES)


def test_what_is_logged_exists() -> None:
    assert set(RULES) >= AUDITED
