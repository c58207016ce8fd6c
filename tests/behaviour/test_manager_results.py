"""What the functions of the manager return, for what the other files are not about."""

from __future__ import annotations

import re

import pytest

from tests.behaviour.joining import Join
from tests.behaviour.test_manager import REFUSED, TYPE
from tests.behaviour.wire import Rejected


async def test_events_of_the_log_are_the_callers_own_and_in_time(join: Join) -> None:
    owner = await join()
    other = await join.member(owner)
    assert await owner.manager("log_event", "started", {"n": 1}) is None
    assert await owner.manager("log", "text") is None
    first, second = await owner.manager("get_events")
    assert first.keys() == {"id", "event_type", "workspace", "user_id", "timestamp", "data"}
    assert (first["event_type"], first["data"], first["workspace"]) == (
        "started", {"n": 1}, owner.workspace,
    )  # fmt: skip
    assert (second["event_type"], second["data"]) == ("log", "text")
    assert await owner.manager("get_events", "log") == [second]
    assert await owner.manager("get_events", start_time=second["timestamp"]) == [second]
    assert await owner.manager("get_events", end_time=first["timestamp"]) == [first]
    assert await owner.manager("get_event_stats") == [
        {"event_type": "log", "count": 1},
        {"event_type": "started", "count": 1},
    ]
    # A token made by the owner acts for the owner.
    assert await other.manager("get_events") == [first, second]
    with pytest.raises(Rejected, match="event type"):
        await owner.manager("log_event", "two words")


async def test_clients_are_listed_with_what_the_asker_may_know_of_their_users(join: Join) -> None:
    owner, stranger = await join(), await join()
    assert await owner.manager("list_clients") == [
        {"id": owner.address, "user": owner.info["user"]}
    ]
    with pytest.raises(Rejected, match=REFUSED):
        await stranger.manager("list_clients", owner.workspace)


async def test_a_ping_tells_and_does_not_raise(join: Join) -> None:
    owner, stranger = await join(), await join()
    second = await join.member(owner, "second")
    assert await owner.manager("ping", "second") == "pong"
    assert await owner.manager("ping", second.address, timeout=60) == "pong"
    gone = f"{owner.workspace}/gone"
    text = await owner.manager("ping", "gone", 0.1)
    assert text.startswith(f"Failed to ping client {gone}: ")
    with pytest.raises(Rejected, match=REFUSED):
        await stranger.manager("ping", second.address)


async def test_a_workspace_is_summed_up(join: Join) -> None:
    owner = await join()
    full = await owner.register("s", type="t", description="d")
    summary = await owner.manager("get_summary")
    (service,) = summary.pop("services")
    assert summary == {
        "name": owner.workspace,
        "description": "",
        "client_count": 1,
        "clients": [owner.address],
        "service_count": 1,
    }
    assert service.keys() == {"id", "name", "type", "description", "config"}
    assert (service["id"], service["type"]) == (full, "t")
    assert await owner.manager("check_status") == {
        "status": "ready",
        "errors": None,
        "user_permission": "a",
    }


async def test_the_record_of_a_workspace_is_for_those_who_may_read_it(join: Join) -> None:
    owner, stranger = await join(), await join()
    await owner.manager("set_env", "SECRET", "hidden")
    info = await owner.manager("get_workspace_info")
    assert info.pop("status") == {"ready": True}
    assert info == {
        "type": "workspace",
        "id": owner.workspace,
        "name": owner.workspace,
        "description": "",
        "persistent": False,
        "owners": [owner.workspace.removeprefix("ws-user-")],
        "read_only": False,
        "icon": None,
        "covers": None,
        "docs": None,
        "service_types": {},
        "config": {},
    }
    with pytest.raises(Rejected, match=REFUSED):
        await stranger.manager("get_workspace_info", owner.workspace)


async def test_environment_variables_are_set_read_and_deleted(join: Join) -> None:
    owner = await join()
    assert await owner.manager("set_env", "KEY", "v") is None
    assert await owner.manager("get_env") == {"KEY": "v"}
    assert await owner.manager("get_env", "KEY") == "v"
    assert await owner.manager("set_env", "KEY", None) is None
    text = f"KeyError: \"Environment variable 'KEY' not found in workspace {owner.workspace}\""
    with pytest.raises(Rejected, match=f"^{re.escape(text)}$"):
        await owner.manager("get_env", "KEY")


async def test_bookmarks_are_kept_in_the_own_workspace_and_shown_to_writers(join: Join) -> None:
    owner = await join()
    reader = await join.member(owner, permission="read")
    item = {"bookmark_type": "service", "id": await owner.register("s")}
    assert await owner.manager("bookmark", item) is None
    await owner.manager("bookmark", item)
    info = await owner.manager("get_workspace_info")
    assert info["config"] == {"bookmarks": [item]}
    assert (await reader.manager("get_workspace_info", owner.workspace))["config"] == {}
    assert await owner.manager("unbookmark", item) is None
    assert (await owner.manager("get_workspace_info"))["config"] == {}
    with pytest.raises(Rejected, match="bookmark"):
        await owner.manager("bookmark", {"bookmark_type": "planet", "id": "x"})


async def test_types_of_services_are_registered_and_read(join: Join) -> None:
    owner, stranger = await join(), await join()
    entry = await owner.manager("register_service_type", TYPE)
    assert entry == TYPE | {"id": "camera"}
    full = f"{owner.workspace}/camera"
    assert await owner.manager("get_service_type", "camera") == entry | {"id": full}
    assert await owner.manager("list_service_types") == [entry]
    with pytest.raises(Rejected, match="Service type already exists: camera"):
        await owner.manager("register_service_type", TYPE)
    with pytest.raises(Rejected, match="Permission denied for workspace"):
        await owner.manager("register_service_type", TYPE | {"id": "elsewhere-1/camera"})
    for asker, name in ((owner, "nothing"), (stranger, full)):
        with pytest.raises(Rejected, match=f"^KeyError: 'Service type not found: {name}'$"):
            await asker.manager("get_service_type", name)
    public = TYPE | {"id": "open", "config": {"visibility": "public"}}
    await owner.manager("register_service_type", public)
    shared = await stranger.manager("get_service_type", f"{owner.workspace}/open")
    assert shared == public | {"id": f"{owner.workspace}/open"}
    with pytest.raises(Rejected, match=REFUSED):
        await stranger.manager("list_service_types", owner.workspace)


async def test_searching_is_not_available_and_says_so(join: Join) -> None:
    client = await join()
    with pytest.raises(Rejected, match=r"^RuntimeError: Service search is not enabled\.$"):
        await client.manager("search_services", "cameras", limit=3)


async def test_cleaning_up_removes_clients_that_do_not_answer(join: Join) -> None:
    owner = await join()
    assert await owner.manager("cleanup") == {}
    dead = await join.member(owner, "dead")
    del dead.functions["services.built-in.ping"]
    assert await owner.manager("cleanup", timeout=1) == {"removed_clients": [dead.address]}
