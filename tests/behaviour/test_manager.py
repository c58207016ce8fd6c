"""The manager: its object, and each of its functions with arguments, permission, return, errors."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.behaviour.joining import Join
from tests.behaviour.wire import Rejected

FUNCTIONS = {
    "echo", "log", "log_event", "get_event_stats", "get_events", "register_service",
    "unregister_service", "list_workspaces", "list_services", "search_services", "list_clients",
    "register_service_type", "get_service_type", "list_service_types", "get_service_info",
    "get_service", "generate_token", "revoke_token", "parse_token", "create_workspace",
    "delete_workspace", "bookmark", "unbookmark", "get_workspace_info", "get_summary", "ping",
    "cleanup", "check_status", "set_env", "get_env", "subscribe", "unsubscribe",
    # and what Hypha does not have:
    "update_workspace", "share_workspace", "unshare_workspace", "list_members",
    "generate_api_key", "list_api_keys", "revoke_api_key", "list_function_access",
    "restrict_function", "unrestrict_function", "get_audit_log",
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
    "bookmark": ([{"bookmark_type": "service", "id": "s"}], ["item"]),
    "unbookmark": ([{"bookmark_type": "service", "id": "s"}], ["item"]),
    "register_service_type": ([TYPE], ["type_info"]),
    "list_service_types": ([None], ["workspace"]),
    "generate_token": ([None], ["config"]),
    "parse_token": (["TOKEN"], ["token"]),
    "revoke_token": (["TOKEN"], ["token"]),
    "list_members": ([None, 0, 256], ["workspace", "offset", "limit"]),
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
    "list_members",
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
