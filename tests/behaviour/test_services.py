"""Registering, finding and listing services, and who may do it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.behaviour.wire import PUBLIC, Client, Join, Rejected

PROTECTED = {"visibility": "protected"}
CLOSED = r"PermissionError: Permission denied for non-public service in workspace"


async def ids(client: Client, *args: Any, **kwargs: Any) -> list[str]:
    return [s["id"] for s in await client.manager("list_services", *args, **kwargs)]


async def test_an_entry_has_what_was_registered_and_what_the_server_knows(join: Join) -> None:
    client = await join()
    schema = {
        "hello": {"type": "function", "function": {"name": "hello", "parameters": {}}},
        "deep": [{"er": {"type": "number"}}, {"type": "null"}, {}],
    }
    config = {"require_context": ["hello"], "custom_flag": 5, "trusted_keys": ["ab" * 32]}
    full = await client.register(
        "s",
        config=config,
        type="tt",
        description="d",
        docs=None,
        app_id=None,
        service_schema=schema,
    )
    entry = {
        "id": full,
        "name": "s",
        "type": "tt",
        "description": "d",
        "docs": None,
        "app_id": "*",
        "service_schema": schema,
        "config": {
            **config,
            "visibility": "protected",
            "workspace": client.workspace,
            "flags": [],
            "singleton": False,
            "created_by": {"id": client.info["user"]["id"]},
            "service_embedding": None,
            "authorized_workspaces": None,
        },
    }
    assert await client.manager("get_service_info", "s") == entry
    assert await client.manager("list_services") == [entry]


async def test_registering_the_built_in_of_a_client_shows_nobody_who_it_is(join: Join) -> None:
    client, stranger = await join(), await join()
    await client.register("built-in", type="built-in")
    (entry,) = await client.manager("list_services")
    assert entry["config"]["created_by"] == {"id": client.info["user"]["id"]}
    assert await ids(stranger, {"workspace": client.workspace}) == []
    assert f"{client.address}:built-in" not in await ids(stranger, {"workspace": "*"})


@pytest.mark.parametrize(
    ("service_id", "error"),
    [
        ("elsewhere/me:s", "PermissionError: Service ID workspace prefix 'elsewhere' does not match"
         " the current workspace '.*'. Cannot register services in other workspaces."),
        ("other:s", "PermissionError: Service ID client part"),
        ("s", "Service id info must contain ':'"),
        ("me:s@app", "Invalid service id"),
    ],
)  # fmt: skip
async def test_a_client_registers_in_its_own_name(join: Join, service_id: str, error: str) -> None:
    client = await join("me")
    with pytest.raises(Rejected, match=error):
        await client.manager("register_service", {"id": service_id, "config": {}})


async def test_an_id_without_workspace_is_in_the_own_one(join: Join) -> None:
    client = await join("me")
    await client.manager("register_service", {"id": "me:s", "config": None})
    assert await ids(client) == [f"{client.address}:s"]


@pytest.mark.parametrize(
    "service", [{"id": "me:_rintf_1"}, {"id": "me:s", "config": {"_local_only": True}}]
)
async def test_interfaces_handed_to_one_peer_are_registered_nowhere(
    join: Join, service: dict[str, Any]
) -> None:
    client = await join("me")
    await client.manager("subscribe", "service_added")
    assert await client.manager("register_service", {"config": {}} | service) is None
    assert await ids(client, include_unlisted=True) == []
    assert client.unread() == []


async def test_interfaces_handed_to_a_peer_are_called_across_workspaces(join: Join) -> None:
    owner, peer = await join(), await join()
    owner.functions["services._rintf_1.notify"] = lambda text: f"heard {text}"
    assert await peer.call(owner.address, "services._rintf_1.notify", "news") == "heard news"
    (call,) = owner.calls
    # What the owner's library compares with the peer that it gave the interface to.
    assert call.header["from"] == peer.address


async def test_a_service_is_replaced_by_one_of_its_id(join: Join) -> None:
    client = await join()
    await client.manager("subscribe", ["service_added", "service_removed", "client_updated"])
    for kind, visibility in (("one", "public"), ("two", "protected")):
        await client.register("s", type=kind, config={"visibility": visibility})
    events = [(await client.message()).header for _ in range(3)]
    assert [(e["type"], e["data"]["type"]) for e in events] == [
        ("service_added", "one"),
        ("service_removed", "one"),
        ("service_added", "two"),
    ]
    await client.register("built-in")
    await client.register("built-in")
    event = (await client.message()).header
    assert event == {
        "type": "client_updated",
        "to": "*",
        "data": {"id": client.address, "workspace": client.workspace},
    }
    assert len(await ids(client)) == 2


async def test_a_singleton_is_alone_under_its_name(join: Join) -> None:
    owner = await join()
    other = await join.member(owner)
    text = (
        "ValueError: A singleton service with the same name \\(one\\) {} in the workspace "
        f"\\({owner.workspace}\\), please remove it first or use a different name."
    )
    await owner.register("one", config={"singleton": True})
    await owner.register("one", config={"singleton": True})
    with pytest.raises(Rejected, match=text.format("has already exists")):
        await other.register("one")
    await owner.manager("unregister_service", "one")
    await other.register("one")
    with pytest.raises(Rejected, match=text.format("already exists")):
        await owner.register("one", config={"singleton": True})


async def test_odd_descriptions_and_settings_are_met_with_sense(join: Join) -> None:
    client = await join()
    await client.register("s", description="x" * 5000)
    assert len((await client.manager("get_service_info", "s"))["description"]) == 1024
    text = (
        "ValueError: authorized_workspaces can only be set when visibility is 'protected', "
        "got visibility='public'"
    )
    with pytest.raises(Rejected, match=f"^{text}$"):
        await client.register("t", config=PUBLIC | {"authorized_workspaces": ["a-b"]})
    with pytest.raises(Rejected, match="Invalid app id"):
        await client.register("t", app_id="a/b")
    with pytest.raises(Rejected, match="Invalid visibility"):
        await client.register("t", config={"visibility": "sometimes"})


async def test_unregistering_means_the_own_service_first(join: Join) -> None:
    owner, stranger = await join(), await join()
    writer = await join.member(owner)
    await owner.manager("subscribe", "service_removed")
    for client in (owner, writer):
        await client.register("s", description=client.address)
    assert await writer.manager("unregister_service", "s") is None
    event = (await owner.event("service_removed")).header["data"]
    assert (event["id"], event["description"]) == (f"{writer.address}:s", writer.address)
    with pytest.raises(Rejected, match="Permission denied"):
        await writer.manager("unregister_service", f"{owner.address}:s")
    with pytest.raises(Rejected, match="Permission"):
        await stranger.manager("unregister_service", f"{owner.address}:s")
    with pytest.raises(Rejected, match=r"^KeyError: 'Service not found: "):
        await owner.manager("unregister_service", "nothing")
    await writer.register("s")
    assert await owner.manager("unregister_service", f"{writer.address}:s") is None
    assert await ids(owner) == [f"{owner.address}:s"]


async def test_a_service_object_is_the_providers_with_an_absolute_id(join: Join) -> None:
    provider, caller = await join(), await join()
    full = await provider.register("s", {"f": lambda: 1})
    service = await caller.manager("get_service", full)
    assert service == {
        "id": full,
        "config": {
            "visibility": "public",
            "workspace": provider.workspace,
            "url": f"{caller.info['public_base_url']}/{full.replace('/', '/services/')}",
        },
        "f": service["f"],
    }
    assert service["f"]["_rtarget"] == provider.address
    assert await caller.call(service["f"]["_rtarget"], service["f"]["_rmethod"]) == 1


async def test_a_query_finds_what_it_means(join: Join) -> None:
    owner = await join("me")
    await owner.register("s", app_id="app")
    await owner.register("me-rtc")
    w = owner.workspace
    queries = ("s", "me:s", f"{w}/s", f"{w}/me:s", f"{w}/*:s@*", f"{w}/me:s@app", "*:s@app", "s@*")
    for query in queries:
        assert (await owner.manager("get_service", query))["id"] == f"{w}/me:s"
        assert (await owner.manager("get_service_info", query))["id"] == f"{w}/me:s"
    assert (await owner.manager("get_service", f"{w}/me-rtc"))["id"] == f"{w}/me:me-rtc"
    for query in ("s@other", "you:s", "other-place/s"):
        with pytest.raises(Rejected, match="Service not found"):
            await owner.manager("get_service", query)
    for query in ("*", "*/s", "a/b/s", "a:b:s", "s@a@b", "", "se*"):
        with pytest.raises(Rejected, match="Invalid service id"):
            await owner.manager("get_service", query)
    with pytest.raises(Rejected, match="cannot be a wildcard"):
        await owner.manager("get_service", "*")


async def test_a_tilde_is_the_manager(join: Join) -> None:
    client = await join()
    for query in ("~", f"{client.workspace}/~"):
        service = await client.manager("get_service", query)
        assert (service["id"], "echo" in service) == ("default", True)
    info = await client.manager("get_service_info", "~")
    assert (info["id"], info["config"]["workspace"]) == ("~", "*")


async def test_one_of_several_is_chosen_as_asked(join: Join) -> None:
    owner = await join("one")
    second = await join.member(owner, "two")
    for client, load in ((owner, 3), (second, 1)):
        await client.register("s", {"load": lambda load=load: load, "broken": lambda: 1 / 0})
    text = (
        r"AssertionError: Multiple services found for .*s@\*, e\.g\. \[.*\]\. You can either "
        "specify the mode as 'random', 'first', 'last', 'native:random', or use "
        "'select:criteria:function' format."
    )
    for mode in (None, "exact"):
        with pytest.raises(Rejected, match=text):
            await owner.manager("get_service", "s", {"mode": mode})

    async def chosen(mode: str) -> str:
        found = await owner.manager("get_service", "s", {"mode": mode})
        return str(found["id"]).rpartition("/")[2].partition(":")[0]

    assert await chosen("first") == "one"
    assert await chosen("last") == "two"
    assert await chosen("select:min:load") == "two"
    assert await chosen("select:max:load") == "one"
    assert await chosen("select:first_success:load") in ("one", "two")
    for mode in ("select:min:broken", "random", "native:random", "min_load"):
        assert await chosen(mode) in ("one", "two")
    with pytest.raises(Rejected, match="ValueError: Invalid mode: sometimes"):
        await chosen("sometimes")


async def test_a_provider_that_does_not_answer_is_not_waited_for_longer_than_asked(
    join: Join,
) -> None:
    provider, caller = await join(), await join()
    full = await provider.register("s")
    del provider.functions["services.built-in.get_service"]
    with pytest.raises(Rejected, match="TimeoutError"):
        await caller.manager("get_service", full, {"timeout": 0.2})
    assert (await caller.manager("get_service_info", full))["id"] == full


async def test_keys_come_in_the_case_that_is_asked_for(join: Join) -> None:
    client = await join()
    await client.register("s", {"take_picture": lambda: 1, "putBack": lambda: 2})
    for case, names in (
        ("camel", {"takePicture", "putBack"}),
        ("snake", {"take_picture", "put_back"}),
    ):
        service = await client.manager("get_service", "s", config={"case_conversion": case})
        assert names <= service.keys()


@pytest.mark.parametrize(
    ("config", "found", "listed"),
    [
        ({"visibility": "public"}, True, True),
        ({"visibility": "unlisted"}, True, False),
        ({"visibility": "protected"}, False, False),
        ({}, False, False),
        ({"visibility": "protected", "authorized_workspaces": ["GUEST"]}, True, True),
    ],
    ids=["public", "unlisted", "protected", "default", "authorized"],
)
async def test_visibility_decides_what_strangers_find_and_see(
    join: Join, config: dict[str, Any], found: bool, listed: bool
) -> None:
    owner, guest, stranger = await join(), await join(), await join()
    reader = await join.member(owner, permission="read")
    config = {
        k: [guest.workspace] if k == "authorized_workspaces" else v for k, v in config.items()
    }
    full = await owner.register("s", config=config)
    for client in (owner, reader):
        assert (await client.manager("get_service", full))["id"] == full
        assert (await ids(client) == [full]) is (config.get("visibility") != "unlisted")
    assert full in await ids(owner, include_unlisted=True)
    assert (full in await ids(guest, {"workspace": owner.workspace})) is listed
    if found:
        service = await guest.manager("get_service", full)
        assert "authorized_workspaces" not in service["config"]
        entry = await guest.manager("get_service_info", full)
        assert entry["config"]["authorized_workspaces"] is None
    else:
        for function in ("get_service", "get_service_info"):
            with pytest.raises(Rejected, match=f"{CLOSED} {owner.workspace}"):
                await guest.manager(function, full)
    if "authorized_workspaces" in config:
        with pytest.raises(Rejected, match=f"{CLOSED} {owner.workspace}"):
            await stranger.manager("get_service", full)
        assert await ids(stranger, {"workspace": owner.workspace}) == []


async def test_lists_are_narrowed_by_every_kind_of_query(join: Join) -> None:
    owner = await join("me")
    w, other = owner.workspace, await join.member(owner, "you")
    await owner.register("a", type="camera", app_id="app")
    await owner.register("b", config=PROTECTED)
    await owner.register("c", config={"visibility": "unlisted"})
    await other.register("a")
    a, b, c, yours = f"{w}/me:a", f"{w}/me:b", f"{w}/me:c", f"{w}/you:a"
    queries: list[tuple[Any, list[str]]] = [
        (None, [a, b, yours]),
        (w, [a, b, yours]),
        (f"{w}/a", [a, yours]),
        ("me:a", [a]),
        (f"{w}/you:a", [yours]),
        ({"visibility": "protected"}, [b]),
        ({"client_id": "you"}, [yours]),
        ({"service_id": "a", "client_id": "me"}, [a]),
        ({"id": "b"}, [b]),
        ({"type": "camera"}, [a]),
        ({"app_id": "app"}, [a]),
        ({"type": None, "workspace": None}, [a, b, yours]),
        ("*/a", [a, yours]),
        ("*/b", []),
    ]
    for query, expected in queries:
        assert await ids(owner, query) == expected, query
    assert await ids(owner, include_unlisted=True) == [a, b, c, yours]
    everywhere = await ids(owner, {"workspace": "*"})
    assert {a, b, yours} <= set(everywhere) and c not in everywhere
    for query, error in (
        ({"colour": "red"}, "ValueError: Invalid query keys: {'colour'}"),
        ({"id": "a", "service_id": "a"}, "ValueError: "),
        ({"type": "a b;"}, "ValueError: Invalid query value"),
        ({"workspace": "*", "visibility": "protected"}, "Only public"),
        ({"visibility": "unlisted"}, "PermissionError: Unlisted"),
    ):
        with pytest.raises(Rejected, match=error):
            await ids(owner, query)
    stranger = await join()
    with pytest.raises(Rejected, match="PermissionError: Unlisted"):
        await ids(stranger, {"workspace": w}, include_unlisted=True)
    assert {a, yours} == set(await ids(stranger, {"workspace": w}))
