"""The manager: its object, and each of its functions with arguments, permission, return, errors."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.behaviour.wire import Join, Rejected

FUNCTIONS = {
    "echo", "log", "log_event", "get_event_stats", "get_events", "register_service",
    "unregister_service", "list_workspaces", "list_services", "search_services", "list_clients",
    "register_service_type", "get_service_type", "list_service_types", "get_service_info",
    "get_service", "generate_token", "revoke_token", "parse_token", "create_workspace",
    "delete_workspace", "bookmark", "unbookmark", "get_workspace_info", "get_summary", "ping",
    "cleanup", "check_status", "set_env", "get_env", "subscribe", "unsubscribe",
}  # fmt: skip
TYPE = {
    "id": "camera",
    "name": "Camera",
    "definition": {"snap": {}},
    "description": "d",
    "config": {},
    "docs": "how",
}
CALLS: dict[str, tuple[list[Any], list[str]]] = {
    "echo": ([1], ["data"]),
    "log": (["x"], ["msg"]),
    "log_event": (["started", {"n": 1}], ["event_type", "data"]),
    "get_events": ([None, None, None], ["event_type", "start_time", "end_time"]),
    "get_event_stats": ([None, None, None], ["event_type", "start_time", "end_time"]),
    "unregister_service": (["s"], ["service_id"]),
    "get_service": (["s", None], ["service_id", "config"]),
    "get_service_info": (["s", None], ["service_id", "config"]),
    "list_services": (
        [None, False, False, False],
        ["query", "include_unlisted", "include_app_services", "prioritize_running_services"],
    ),
    "list_clients": ([None], ["workspace"]),
    "ping": (["OWN", 5], ["client_id", "timeout"]),
    "get_summary": ([], []),
    "check_status": ([], []),
    "get_workspace_info": ([None], ["workspace"]),
    "list_workspaces": ([None, 0, 256], ["match", "offset", "limit"]),
    "cleanup": ([None, 5], ["workspace", "timeout"]),
    "set_env": (["K", "v"], ["key", "value"]),
    "get_env": ([None], ["key"]),
    "bookmark": ([{"bookmark_type": "service", "id": "x"}], ["item"]),
    "unbookmark": ([{"bookmark_type": "service", "id": "x"}], ["item"]),
    "register_service_type": ([TYPE], ["type_info"]),
    "list_service_types": ([None], ["workspace"]),
    "generate_token": ([None], ["config"]),
    "parse_token": (["TOKEN"], ["token"]),
    "revoke_token": (["TOKEN"], ["token"]),
    "subscribe": ([["news", "olds"]], ["event_type"]),
    "unsubscribe": (["news"], ["event_type"]),
}
READERS = {
    "get_events", "get_event_stats", "list_services", "list_clients", "ping", "get_summary",
    "check_status", "get_workspace_info", "list_workspaces", "list_service_types", "parse_token",
    "get_service", "get_service_info", "subscribe", "unsubscribe",
}  # fmt: skip
WRITERS = {
    "echo", "log", "log_event", "unregister_service", "set_env", "get_env", "register_service_type",
}  # fmt: skip
ADMINS = {"cleanup", "generate_token", "revoke_token"}
REFUSED = r"PermissionError: (Permission denied for workspace|Only admin can generate token)"


async def test_the_manager_has_these_members_and_these_functions(join: Join) -> None:
    client = await join()
    manager = await client.call(client.manager_address, "services.built-in.get_service", "default")
    functions = {n: f for n, f in manager.items() if isinstance(f, dict) and "_rtype" in f}
    assert set(functions) == FUNCTIONS
    assert manager.keys() - FUNCTIONS == {"id", "name", "description", "type", "config"}
    assert (manager["id"], manager["type"]) == ("default", "generic")
    base = client.info["public_base_url"]
    config = manager["config"]
    assert config["require_context"] is True
    assert config["visibility"] == "public"
    assert config["server_id"]
    assert config["hypha_version"] == client.info["hypha_version"]
    assert (config["public_base_url"], config["local_base_url"]) == (base, base)
    assert config["login_service_url"] == f"{base}/public/services/hypha-login"
    for name, function in functions.items():
        schema = function.pop("_rschema")
        assert schema.keys() == {"name", "description", "parameters"}
        assert function.pop("_rdoc") == schema["description"] != ""
        assert function == {
            "_rtype": "method",
            "_rserver": base,
            "_rtarget": client.manager_address,
            "_rmethod": f"services.default.{name}",
            "_rpromise": "*",
            "_rname": name,
            "_rasync": True,
        }


async def test_the_managers_built_in_takes_chunks_side_by_side(join: Join) -> None:
    client = await join()
    service = await client.call(client.manager_address, "services.built-in.get_service", "built-in")
    assert (service["id"], service["type"]) == ("built-in", "built-in")
    assert service["config"]["api_version"] == 3
    assert service["config"]["visibility"] == "public"
    assert service["config"]["require_context"] is True
    assert service["message_cache"].keys() == {"create", "append", "set", "process", "remove"}
    assert {"ping", "get_service"} <= service.keys()
    with pytest.raises(Rejected, match="KeyError: 'Service not found: nothing'"):
        await client.call(client.manager_address, "services.built-in.get_service", "nothing")
    assert await client.call(client.manager_address, "services.built-in.ping", "ping") == "pong"


async def test_every_function_takes_its_arguments_by_position_and_by_name(join: Join) -> None:
    client = await join()
    await client.manager("get_events")
    for name, (values, names) in CALLS.items():
        results = []
        for by_name in (False, True):
            await client.register("s")
            token = await client.manager("generate_token")
            own = {"OWN": client.address, "TOKEN": token}
            args = [own.get(v, v) if isinstance(v, str) else v for v in values]
            if name == "register_service_type" and by_name:
                args = [TYPE | {"id": "camera-2"}]
            kwargs = dict(zip(names, args, strict=True)) if by_name else {}
            results.append(await client.manager(name, *([] if by_name else args), **kwargs))
        assert type(results[0]) is type(results[1]), name


async def test_every_function_says_what_is_wrong_with_its_arguments(join: Join) -> None:
    client = await join()
    for name, (values, names) in CALLS.items():
        with pytest.raises(Rejected, match="TypeError: got an unexpected keyword argument 'bogus'"):
            await client.manager(name, *values, bogus=1)
        with pytest.raises(Rejected, match="TypeError: takes"):
            await client.manager(name, *([None] * 20))
        if values and values[0] is not None:
            wanted = re.escape(f"TypeError: Missing required argument: '{names[0]}'")
            if name != "list_services":
                with pytest.raises(Rejected, match=wanted):
                    await client.manager(name)
    with pytest.raises(Rejected, match="TypeError: Missing required argument: 'service'"):
        await client.manager("register_service")
    with pytest.raises(Rejected, match="TypeError: Missing required argument: 'config'"):
        await client.manager("create_workspace")
    with pytest.raises(Rejected, match="TypeError: Missing required argument: 'workspace'"):
        await client.manager("delete_workspace")


async def test_unknown_options_are_ignored(join: Join) -> None:
    client = await join()
    await client.register("s")
    options = {"mode": "first", "colour": "red"}
    assert (await client.manager("get_service", "s", options))["id"].endswith(":s")
    assert await client.manager("generate_token", {"colour": "red"})


async def test_every_function_takes_the_permission_it_says(join: Join) -> None:
    owner = await join()
    await owner.register("s", config={"visibility": "protected"})
    clients = [await join.member(owner, permission=p) for p in ("read", "read_write")]
    for name in READERS | WRITERS | ADMINS:
        for client, allowed in zip(clients, (READERS | {"echo"}, READERS | WRITERS), strict=True):
            if name in ("revoke_token", "parse_token"):
                args = [await owner.manager("generate_token")]
            elif name == "unregister_service" and client is clients[1]:
                await client.register("mine")
                args = ["mine"]
            else:
                args = [owner.address if v == "OWN" else v for v in CALLS[name][0]]
            if name in allowed:
                await client.manager(name, *args)
            else:
                with pytest.raises(Rejected, match=REFUSED):
                    await client.manager(name, *args)


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
    assert await owner.manager("ping", second.address, timeout=1) == "pong"
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
    item = {"bookmark_type": "service", "id": "w/c:s"}
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
    assert entry == TYPE | {"id": f"{owner.workspace}/camera"}
    assert await owner.manager("get_service_type", "camera") == entry
    assert await owner.manager("list_service_types") == [entry]
    with pytest.raises(Rejected, match="Service type already exists: camera"):
        await owner.manager("register_service_type", TYPE)
    with pytest.raises(Rejected, match="belongs to the workspace"):
        await owner.manager("register_service_type", TYPE | {"id": "elsewhere-1/camera"})
    for asker, name in ((owner, "nothing"), (stranger, entry["id"])):
        with pytest.raises(Rejected, match=f"^KeyError: 'Service type not found: {name}'$"):
            await asker.manager("get_service_type", name)
    public = TYPE | {"id": "open", "config": {"visibility": "public"}}
    shared = await owner.manager("register_service_type", public)
    assert await stranger.manager("get_service_type", shared["id"]) == shared
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
    assert await owner.manager("cleanup", timeout=0.1) == {"removed_clients": [dead.address]}
