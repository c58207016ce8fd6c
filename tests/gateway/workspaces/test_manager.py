from __future__ import annotations

import asyncio
import json
from typing import Any

import msgpack
import pytest

from gateway.app import Parts
from gateway.workspaces import contents
from gateway.workspaces.registering import MAX_SERVICE_BYTES
from gateway.workspaces.rules import RULES
from tests.gateway.peer import Peer, RemoteFailure
from tests.patience import PATIENCE_SECONDS


async def member(parts: Parts, owner: Peer, client_id: str | None = None, **config: Any) -> Peer:
    token = await owner.manager("generate_token", config)
    return await Peer.join(parts, client_id, token=token)


async def test_every_function_of_the_manager_has_a_schema_and_a_description(parts: Parts) -> None:
    peer = await Peer.join(parts)
    manager = await peer.call(
        parts.router.manager_address, "services.built-in.get_service", "default"
    )
    functions = {k: v for k, v in manager.items() if isinstance(v, dict) and "_rmethod" in v}
    assert set(functions) == set(RULES)
    for name, function in functions.items():
        assert function["_rname"] == name
        assert function["_rdoc"]
        assert function["_rschema"]["parameters"]["type"] == "object"
        assert function["_rtarget"] == parts.router.manager_address
        assert "caller" not in function["_rschema"]["parameters"]["properties"]


async def test_a_service_is_found_by_every_form_of_its_id(parts: Parts) -> None:
    owner = await Peer.join(parts, "provider")
    full_id = await owner.register("svc", {"f": lambda: 1})
    second = await member(parts, owner)
    workspace = owner.workspace
    for query in (
        "svc",
        "provider:svc",
        f"{workspace}/svc",
        f"{workspace}/provider:svc",
        f"{workspace}/provider:svc@*",
        f"{workspace}/*:svc@*",
    ):
        service = await second.manager("get_service", query)
        assert service["id"] == full_id
    assert service["config"]["workspace"] == workspace
    assert service["config"]["url"].endswith(f"/{workspace}/services/provider:svc")
    assert service["f"]["_rtarget"] == owner.address
    assert (await second.manager("get_service_info", "svc"))["id"] == full_id


async def test_the_manager_itself_is_found_as_tilde(parts: Parts) -> None:
    peer = await Peer.join(parts)
    assert (await peer.manager("get_service", "~"))["id"] == "default"


@pytest.mark.parametrize("query", ["", "*", "a/b/c", "x:y:z", "a@b@c", "sec*", "a b", "*/svc", 7])
async def test_a_query_that_is_no_id_is_refused(parts: Parts, query: Any) -> None:
    peer = await Peer.join(parts)
    with pytest.raises(RemoteFailure, match=r"Invalid service id|service_id"):
        await peer.manager("get_service", query)


async def test_a_service_that_nobody_offers_is_not_found(parts: Parts) -> None:
    peer = await Peer.join(parts)
    with pytest.raises(RemoteFailure, match=r"KeyError: 'Service not found: .*nothing@"):
        await peer.manager("get_service", "nothing")


async def test_visibility_decides_who_finds_and_lists_a_service(parts: Parts) -> None:
    owner, stranger = await Peer.join(parts), await Peer.join(parts)
    for visibility in ("public", "protected", "private", "unlisted"):
        await owner.register(visibility, {}, config={"visibility": visibility})
    for reachable in ("public", "unlisted"):
        service = await stranger.manager("get_service", f"{owner.workspace}/{reachable}")
        assert service["id"].endswith(reachable)
    for closed in ("protected", "private"):
        with pytest.raises(RemoteFailure, match=r"Permission denied for non-public service"):
            await stranger.manager("get_service", f"{owner.workspace}/{closed}")
    seen = await stranger.manager("list_services", {"workspace": owner.workspace})
    assert [s["id"].rpartition(":")[2] for s in seen] == ["public"]
    own = await owner.manager("list_services")
    assert [s["id"].rpartition(":")[2] for s in own] == ["public", "protected", "private"]
    everything = await owner.manager("list_services", include_unlisted=True)
    assert len(everything) == 4


async def test_authorized_workspaces_are_let_in_without_learning_of_each_other(
    parts: Parts,
) -> None:
    owner, guest, stranger = [await Peer.join(parts) for _ in range(3)]
    config = {"visibility": "protected", "authorized_workspaces": [guest.workspace]}
    await owner.register("shared", {}, config=config)
    service = await guest.manager("get_service", f"{owner.workspace}/shared")
    assert "authorized_workspaces" not in service["config"]
    (listed,) = await guest.manager("list_services", {"workspace": owner.workspace})
    assert "authorized_workspaces" not in listed["config"]
    with pytest.raises(RemoteFailure, match=r"Permission denied"):
        await stranger.manager("get_service", f"{owner.workspace}/shared")


async def test_listing_all_workspaces_shows_public_services_and_the_own_ones(
    parts: Parts,
) -> None:
    first, second = await Peer.join(parts), await Peer.join(parts)
    await first.register("open", {})
    await first.register("closed", {}, config={"visibility": "protected"})
    await second.register("mine", {}, config={"visibility": "protected"})
    listed = await second.manager("list_services", {"workspace": "*"})
    assert {s["id"].rpartition(":")[2] for s in listed} == {
        "open", "mine", "hypha-login", "mcp-servers",
    }  # fmt: skip
    with pytest.raises(RemoteFailure, match=r"Cannot list protected or unlisted services"):
        await second.manager("list_services", {"workspace": "*", "visibility": "protected"})


async def test_a_query_with_unknown_keys_or_patterns_is_refused(parts: Parts) -> None:
    peer = await Peer.join(parts)
    with pytest.raises(RemoteFailure, match=r"Invalid query keys"):
        await peer.manager("list_services", {"colour": "red"})
    with pytest.raises(RemoteFailure, match=r"Invalid query value"):
        await peer.manager("list_services", {"type": "a b;"})


@pytest.mark.parametrize(
    ("service_id", "problem"),
    [
        ("elsewhere/first:svc", "does not match the current workspace"),
        ("other:svc", "client part"),
        ("svc", "must contain ':'"),
        ("first:sv*c", "Invalid service id"),
        (None, "Invalid service id"),
    ],
)
async def test_a_client_registers_under_its_own_id_only(
    parts: Parts, service_id: Any, problem: str
) -> None:
    peer = await Peer.join(parts, "first")
    with pytest.raises(RemoteFailure, match=problem):
        await peer.manager("register_service", {"id": service_id, "config": {}})


async def test_a_service_registered_again_replaces_the_old_one(parts: Parts) -> None:
    peer = await Peer.join(parts)
    await peer.manager("subscribe", ["service_added", "service_removed"])
    await peer.register("svc", {}, description="first")
    await peer.event("service_added")
    await peer.register("svc", {}, description="second")
    assert (await peer.event("service_removed"))["data"]["description"] == "first"
    assert (await peer.event("service_added"))["data"]["description"] == "second"
    assert [s["description"] for s in await peer.manager("list_services")] == ["second"]


async def test_a_singleton_has_its_name_for_itself(parts: Parts) -> None:
    owner = await Peer.join(parts)
    second = await member(parts, owner)
    await owner.register("one", {}, config={"singleton": True})
    with pytest.raises(RemoteFailure, match=r"singleton service with the same name"):
        await second.register("one", {})
    await owner.register("one", {}, config={"singleton": True})
    await second.register("two", {})
    with pytest.raises(RemoteFailure, match=r"already exists"):
        await owner.register("two", {}, config={"singleton": True})


async def test_several_instances_are_chosen_between_by_mode(parts: Parts) -> None:
    owner = await Peer.join(parts, "one")
    second = await member(parts, owner, "two")
    for peer, load in ((owner, 3), (second, 1)):
        await peer.register("svc", {"load": lambda load=load: load})
    with pytest.raises(RemoteFailure, match=r"Multiple services found"):
        await owner.manager("get_service", "svc")

    async def chosen(mode: str) -> str:
        info = await owner.manager("get_service_info", "svc", {"mode": mode})
        return str(info["id"]).partition("/")[2].partition(":")[0]

    assert await chosen("first") == "one"
    assert await chosen("last") == "two"
    assert await chosen("select:min:load") == "two"
    assert await chosen("select:max:load") == "one"
    assert {await chosen("random") for _ in range(40)} == {"one", "two"}
    for bad in ("sometimes", "select:middle:load", "select:min"):
        with pytest.raises(RemoteFailure, match=r"Invalid mode"):
            await chosen(bad)


async def test_unregistering_takes_the_own_service_and_leaves_the_others(parts: Parts) -> None:
    owner = await Peer.join(parts)
    second = await member(parts, owner)
    await owner.register("svc", {})
    kept = await second.register("svc", {})
    await owner.manager("unregister_service", "svc")
    assert [s["id"] for s in await owner.manager("list_services")] == [kept]
    third = await member(parts, owner)
    with pytest.raises(RemoteFailure, match=r"Permission denied"):
        await third.manager("unregister_service", "svc")
    with pytest.raises(RemoteFailure, match=r"Service not found"):
        await owner.manager("unregister_service", "nothing")


async def test_a_read_only_client_has_its_built_in_and_nothing_else(parts: Parts) -> None:
    owner = await Peer.join(parts)
    reader = await member(parts, owner, permission="read")
    await reader.register("built-in", {})
    with pytest.raises(RemoteFailure, match=r"Permission denied"):
        await reader.register("svc", {})
    for function, args in (
        ("generate_token", ()),
        ("set_env", ("K", "v")),
        ("get_env", ()),
        ("log_event", ("x",)),
        ("cleanup", ()),
    ):
        with pytest.raises(RemoteFailure, match=r"Permission denied|Only admin"):
            await reader.manager(function, *args)


async def test_services_of_a_client_go_with_it(parts: Parts) -> None:
    owner = await Peer.join(parts)
    second = await member(parts, owner)
    await second.register("svc", {})
    second.leave()
    assert await owner.manager("list_services") == []


async def test_connecting_and_leaving_are_told_in_order(parts: Parts) -> None:
    owner = await Peer.join(parts)
    await owner.manager("subscribe", ["client_connected", "service_added", "client_disconnected"])
    second = await member(parts, owner, "second")
    await second.register("built-in", {})
    await second.register("svc", {})
    second.leave()
    async with asyncio.timeout(PATIENCE_SECONDS):
        messages = [await owner.inbox.get() for _ in range(3)]
    assert [m["type"] for m in messages] == [
        "client_connected",
        "service_added",
        "client_disconnected",
    ]
    assert messages[0]["data"] == {"id": second.address, "workspace": owner.workspace}
    assert messages[2]["data"] == {"id": "second", "workspace": owner.workspace}


@pytest.mark.parametrize("name", ["method", "error", "other-ws/x", "ws-other", "*", ""])
async def test_some_events_cannot_be_subscribed_to(parts: Parts, name: str) -> None:
    peer = await Peer.join(parts)
    with pytest.raises(RemoteFailure, match=r"forbidden"):
        await peer.manager("subscribe", name)


async def test_environment_variables_are_kept_and_not_part_of_the_record(parts: Parts) -> None:
    owner = await Peer.join(parts)
    await owner.manager("set_env", "KEY", "secret")
    assert await owner.manager("get_env", "KEY") == "secret"
    assert await owner.manager("get_env", key="KEY", value=None) == "secret"
    assert await owner.manager("get_env") == {"KEY": "secret"}
    assert "secret" not in str(await owner.manager("get_workspace_info"))
    await owner.manager("set_env", key="KEY", value=None)
    with pytest.raises(RemoteFailure, match=r"Environment variable 'KEY' not found"):
        await owner.manager("get_env", "KEY")


async def test_nothing_of_a_workspace_is_shown_to_a_stranger(parts: Parts) -> None:
    owner, stranger = await Peer.join(parts), await Peer.join(parts)
    target = owner.workspace
    for function, args in (
        ("get_workspace_info", (target,)),
        ("list_clients", (target,)),
        ("list_service_types", (target,)),
        ("delete_workspace", (target,)),
        ("cleanup", (target,)),
        ("ping", (owner.address,)),
        ("generate_token", ({"workspace": target},)),
    ):
        with pytest.raises(RemoteFailure, match=r"[Pp]ermission"):
            await stranger.manager(function, *args)
    assert target not in str(await stranger.manager("list_workspaces"))


async def test_a_token_never_grants_more_than_its_maker_has(parts: Parts) -> None:
    owner, victim = await Peer.join(parts), await Peer.join(parts)
    injected = [f"ws:{victim.workspace}#a", f"x ws:{victim.workspace}#a", f"wid:{victim.workspace}"]
    for text in injected:
        for config in ({"extra_scopes": [text]}, {"client_id": text}, {"workspace": text}):
            with pytest.raises(RemoteFailure):
                await owner.manager("generate_token", config)
    for seconds in (0, -5, 10**9, "60", True):
        with pytest.raises(RemoteFailure, match=r"expires_in|at most"):
            await owner.manager("generate_token", {"expires_in": seconds})


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"permission": ["admin"]}, "expected read"),
        ({"permission": {"a": 1}}, "expected read"),
        ({"permission": 5}, "expected read"),
        ({"extra_scopes": "files"}, "must be a list"),
        ({"extra_scopes": {"files": 1}}, "must be a list"),
        ({"client_id": ["x"]}, "Invalid client id"),
    ],
)
async def test_an_option_of_a_token_of_the_wrong_type_is_told(
    parts: Parts, config: dict[str, Any], text: str
) -> None:
    owner = await Peer.join(parts)
    with pytest.raises(RemoteFailure, match=text):
        await owner.manager("generate_token", config)


async def test_a_minted_token_carries_its_permission_parent_and_binding(parts: Parts) -> None:
    owner = await Peer.join(parts)
    token = await owner.manager("generate_token", {"permission": "read", "client_id": "pinned"})
    user = await owner.manager("parse_token", token)
    assert user["scope"]["workspaces"] == {owner.workspace: "r"}
    assert user["scope"]["client_id"] == "pinned"
    assert user["parent"] == owner.session.user.id
    assert user["is_anonymous"]


async def test_types_bookmarks_events_and_status_are_kept_per_workspace(parts: Parts) -> None:
    owner = await Peer.join(parts)
    entry = await owner.manager("register_service_type", {"id": "camera", "definition": {"f": {}}})
    assert entry["id"] == "camera"
    found = await owner.manager("get_service_type", "camera")
    assert (found["id"], found["definition"]) == (f"{owner.workspace}/camera", {"f": {}})
    with pytest.raises(RemoteFailure, match=r"already exists"):
        await owner.manager("register_service_type", {"id": "camera"})
    with pytest.raises(RemoteFailure, match=r"KeyError: 'Service type not found"):
        await owner.manager("get_service_type", "nothing")
    await owner.manager("bookmark", {"bookmark_type": "workspace", "id": owner.workspace})
    await owner.manager("unbookmark", {"bookmark_type": "workspace", "id": owner.workspace})
    await owner.manager("log_event", "started", {"n": 1})
    await owner.manager("log", "hello")
    assert [e["event_type"] for e in await owner.manager("get_events")] == ["started", "log"]
    assert await owner.manager("get_event_stats", "started") == [
        {"event_type": "started", "count": 1}
    ]
    assert (await owner.manager("check_status"))["user_permission"] == "a"
    summary = await owner.manager("get_summary")
    assert summary["clients"] == [owner.address]


async def test_an_anonymous_user_cannot_create_workspaces(parts: Parts) -> None:
    peer = await Peer.join(parts)
    with pytest.raises(RemoteFailure, match=r"Only registered user can create workspace"):
        await peer.manager("create_workspace", {"id": "my-lab"})


async def test_keys_are_converted_where_the_caller_asks(parts: Parts) -> None:
    peer = await Peer.join(parts)
    await peer.register("svc", {"take_picture": lambda: 1, "SetUp": lambda: 2})
    camel = await peer.manager("get_service", "svc", {"case_conversion": "camel"})
    assert camel["takePicture"]["_rmethod"] == "services.svc.take_picture"
    assert camel["setUp"]["_rmethod"] == "services.svc.SetUp"
    snake = await peer.manager("get_service", "svc", {"case_conversion": "snake"})
    assert snake["set_up"]["_rmethod"] == "services.svc.SetUp"
    with pytest.raises(RemoteFailure, match=r"case_conversion"):
        await peer.manager("get_service", "svc", {"case_conversion": "kebab"})


async def test_ping_tells_of_the_living_and_the_gone_without_raising(parts: Parts) -> None:
    owner = await Peer.join(parts)
    second = await member(parts, owner, "second")
    assert await owner.manager("ping", "second") == "pong"
    second.leave()
    assert "Failed to ping client" in await owner.manager("ping", "second")


async def test_clean_up_removes_clients_that_do_not_answer(parts: Parts) -> None:
    owner = await Peer.join(parts)
    dead = await member(parts, owner, "dead")
    dead.mute = True
    result = await owner.manager("cleanup", timeout=0.5)
    assert result == {"removed_clients": [dead.address]}
    assert (await dead.closed_with)[0] == 1001


async def test_a_provider_is_asked_again_for_members_that_may_have_changed(parts: Parts) -> None:
    peer = await Peer.join(parts)
    temperature = iter([20, 21])
    full_id = f"{peer.address}:lab"
    peer.functions["services.built-in.get_service"] = lambda _: {"n": next(temperature)}
    await peer.manager(
        "register_service",
        {"id": full_id, "config": {}, "service_schema": {"n": {"type": "number"}}},
    )
    assert [(await peer.manager("get_service", "lab"))["n"] for _ in range(2)] == [20, 21]


async def test_functions_are_fetched_once_per_registration(parts: Parts) -> None:
    peer, other = await Peer.join(parts), await Peer.join(parts)
    for registration in range(2):
        full_id = await peer.register("svc", {"f": lambda: 1})
        shown = peer.functions["services.built-in.get_service"]
        asked: list[str] = []

        def get_service(
            wanted: str, shown: Any = shown, asked: list[str] = asked, n: int = registration
        ) -> Any:
            asked.append(wanted)
            return {**shown(wanted), "description": f"version {n}"}

        peer.functions["services.built-in.get_service"] = get_service
        for _ in range(3):
            service = await other.manager("get_service", full_id)
            assert service["description"] == f"version {registration}"
        assert asked == ["svc"]


async def raw_registration(peer: Peer, service_id: str = "svc", **more: Any) -> None:
    service = {"id": f"{peer.address}:{service_id}", "config": {"visibility": "public"}} | more
    await peer.manager("register_service", service)


@pytest.mark.parametrize(
    "more",
    [
        {"config": {"visibility": "public", "x": {1: 2}}},
        {"config": {"visibility": "public", "x": {"_rtype": "ndarray", "_rvalue": "broken"}}},
        {"config": {"visibility": "public", "x": msgpack.Timestamp(1)}},
        {"service_schema": {1: {}}},
        {"docs": json.loads("[" * 400 + "]" * 400)},
        {"docs": "x" * (MAX_SERVICE_BYTES + 1)},
    ],
)
async def test_nobody_can_register_what_makes_the_lists_of_others_unreadable(
    parts: Parts, more: dict[str, Any]
) -> None:
    peer, other = await Peer.join(parts), await Peer.join(parts)
    with pytest.raises(RemoteFailure, match=r"^(ValueError|RuntimeError): The .*service"):
        await raw_registration(peer, **more)
    listed = await other.manager("list_services", {"workspace": "*"})
    assert not [service for service in listed if service["id"].startswith(peer.address)]


async def test_what_a_client_registers_altogether_has_a_limit(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.workspaces.service_functions.MAX_CLIENT_BYTES", 5000)
    peer = await Peer.join(parts)
    await raw_registration(peer, "one", docs="x" * 2000)
    await raw_registration(peer, "two", docs="x" * 2000)
    with pytest.raises(RemoteFailure, match="Service quota exceeded"):
        await raw_registration(peer, "three", docs="x" * 2000)
    await raw_registration(peer, "two", docs="y" * 2000)


@pytest.mark.parametrize("value", [{1: 2}, {"_rtype": "set"}])
async def test_what_is_kept_for_others_is_of_plain_values(parts: Parts, value: Any) -> None:
    peer = await Peer.join(parts)
    with pytest.raises(RemoteFailure, match="service type"):
        await peer.manager("register_service_type", {"id": "t", "definition": value})
    with pytest.raises(RemoteFailure, match="workspace"):
        await peer.manager("update_workspace", peer.workspace, {"config": {"x": value}})


async def test_what_a_workspace_keeps_has_a_bound_together(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each within its own bound, many of them would still take all memory."""
    monkeypatch.setattr(contents, "MAX_ENVIRONMENT_BYTES", 1000)
    monkeypatch.setattr(contents, "MAX_SERVICE_TYPES_BYTES", 1000)
    owner = await Peer.join(parts)
    await owner.manager("set_env", "A", "x" * 600)
    with pytest.raises(RemoteFailure, match="together"):
        await owner.manager("set_env", "B", "x" * 600)
    await owner.manager("set_env", "A", "y" * 700)
    assert await owner.manager("get_env") == {"A": "y" * 700}
    wide = {"f": {"description": "x" * 500}}
    await owner.manager("register_service_type", {"id": "camera", "definition": wide})
    with pytest.raises(RemoteFailure, match="larger than"):
        await owner.manager("register_service_type", {"id": "stage", "definition": wide})
    assert [t["id"] for t in await owner.manager("list_service_types")] == ["camera"]
