"""Finding and listing services, and who may do it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.behaviour.joining import Join
from tests.behaviour.wire import Client, Rejected

PROTECTED = {"visibility": "protected"}
CLOSED = r"PermissionError: Permission denied for non-public service in workspace"


async def ids(client: Client, *args: Any, **kwargs: Any) -> list[str]:
    return [s["id"] for s in await client.manager("list_services", *args, **kwargs)]


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
        assert "authorized_workspaces" not in entry["config"]
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
        ({"workspace": "*", "visibility": "protected"}, "Cannot list protected or unlisted"),
        ({"visibility": "unlisted"}, "PermissionError: Unlisted"),
    ):
        with pytest.raises(Rejected, match=error):
            await ids(owner, query)
    stranger = await join()
    with pytest.raises(Rejected, match="PermissionError: Cannot include unlisted"):
        await ids(stranger, {"workspace": w}, include_unlisted=True)
    assert {a, yours} == set(await ids(stranger, {"workspace": w}))
