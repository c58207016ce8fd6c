"""Registering and unregistering services, and who may do it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.behaviour.joining import Join
from tests.behaviour.wire import PUBLIC, Client, Rejected


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


def with_setup() -> dict[str, Any]:
    return {"setup": {"type": "function", "function": {"name": "setup", "parameters": {}}}}


async def test_what_a_client_exports_is_set_up_before_it_is_registered(join: Join) -> None:
    client = await join()
    other = await join.member(client)
    done: list[str] = []
    await other.register(
        "default", {"setup": lambda: done.append("other")}, service_schema=with_setup()
    )
    del done[:]
    await client.register("s", {"setup": lambda: done.append("s")}, service_schema=with_setup())
    await client.register("default", {"setup": lambda: done.append("own")})
    assert done == []
    await client.register("default", service_schema=with_setup())
    assert done == ["own"]
    (call,) = client.calls
    assert call.header["user"] == client.info["user"]
    assert call.header["ws"] == client.workspace
    assert call.header["from"] == f"{client.workspace}/{client.info['manager_id']}"
    assert "args" not in call.body


async def test_a_setup_that_fails_leaves_the_service_registered(join: Join) -> None:
    def setup() -> None:
        raise RuntimeError("no camera")

    client = await join()
    full = await client.register("default", {"setup": setup}, service_schema=with_setup())
    assert await ids(client, {"service_id": "default"}) == [full]


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
