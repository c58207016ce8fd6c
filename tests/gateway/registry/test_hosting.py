"""A service that the gateway hosts in a workspace is like any other, through every door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.api import CallOptions, Credentials
from gateway.app import Parts
from gateway.rpc.hosted import LocalCall
from schema.errors import FunctionNotFound, InvalidArguments, PermissionDenied, ServiceNotFound
from schema.services import ServiceInfo, Visibility
from tests.gateway.peer import Peer, RemoteFailure


def leaf(name: str, *parameters: str) -> dict[str, Any]:
    properties = {parameter: {"type": "string"} for parameter in parameters}
    schema = {"type": "object", "properties": properties}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


SCHEMA = {
    "greet": leaf("greet", "name", "greeting"),
    "get-user": leaf("get-user", "id"),
    "v1.count": leaf("v1.count"),
    "name": leaf("name"),
    "docs": {"page": leaf("page")},
    "count": leaf("count"),
}


async def numbers() -> AsyncIterator[int]:
    for number in range(3):
        yield number


async def handler(call: LocalCall) -> Any:
    if call.function.path == "count":
        return numbers()
    return {"path": call.function.path, **call.arguments, "user": call.caller.user.id}


def host(
    parts: Parts, workspace: str, visibility: Visibility = Visibility.PROTECTED, **schema: Any
) -> ServiceInfo:
    sid = parts.hosting.id_of(workspace, "hosted")
    info = parts.hosting.describe(sid, schema or SCHEMA, visibility=visibility, type="mcp")
    parts.hosting.publish(info, handler)
    return info


async def test_the_gateway_finds_lists_and_calls_it(parts: Parts) -> None:
    ann = await Peer.join(parts)
    info = host(parts, ann.workspace)
    caller = ann.session.caller
    gateway = parts.gateway
    assert info in await gateway.list_services(caller, ann.workspace)
    found = await gateway.find_service(caller, ann.workspace, "hosted")
    answer = await gateway.call(caller, found, "greet", ("Bo",), {"greeting": "hi"})
    assert answer == {"path": "greet", "name": "Bo", "greeting": "hi", "user": ann.session.user.id}
    assert [item async for item in await gateway.call(caller, found, "count")] == [0, 1, 2]
    assert (await gateway.read(caller, found, "get-user"))["_rmethod"] == "services.hosted.get-user"


async def test_the_function_learns_the_options_of_the_call(parts: Parts) -> None:
    ann = await Peer.join(parts)
    seen: list[LocalCall] = []

    async def note(call: LocalCall) -> None:
        seen.append(call)

    sid = parts.hosting.id_of(ann.workspace, "hosted")
    info = parts.hosting.describe(sid, SCHEMA, visibility=Visibility.PROTECTED)
    parts.hosting.publish(info, note)
    options = CallOptions(context={"request_id": "r1"})
    await parts.gateway.call(ann.session.caller, info, "greet", (), {}, options)
    assert seen[0].options is options
    assert seen[0].caller is ann.session.caller


async def test_an_rpc_client_gets_it_as_an_object_and_calls_what_is_in_it(parts: Parts) -> None:
    ann = await Peer.join(parts)
    host(parts, ann.workspace)
    service = await ann.manager("get_service", "hosted")

    async def call(method: dict[str, Any], *args: Any) -> Any:
        return await ann.call(method["_rtarget"], method["_rmethod"], *args)

    assert (await call(service["greet"], "Bo"))["name"] == "Bo"
    assert (await call(service["get-user"], "7"))["id"] == "7"
    assert (await call(service["get_user"], "7"))["path"] == "get-user"
    assert (await call(service["v1.count"]))["path"] == "v1.count"
    assert (await call(service["docs_"]["page"]))["path"] == "docs.page"
    assert (await call(service["name_"]))["path"] == "name"
    assert service["name"] == "hosted"
    assert service["type"] == "mcp"


async def test_whoever_may_not_use_it_cannot_call_it_at_its_address_either(parts: Parts) -> None:
    ann, bob = await Peer.join(parts), await Peer.join(parts)
    info = host(parts, ann.workspace)
    with pytest.raises(PermissionDenied):
        await parts.gateway.find_service(bob.session.caller, ann.workspace, "hosted")
    with pytest.raises(RemoteFailure, match="PermissionError"):
        await bob.call(info.id.provider, "services.hosted.greet", "Bo")
    nobody = await parts.gateway.authenticate(Credentials())
    with pytest.raises(PermissionDenied):
        await parts.gateway.call(nobody, info, "greet")


async def test_a_function_that_is_not_for_a_caller_is_not_there_by_its_second_name_either(
    parts: Parts,
) -> None:
    ann, bob = await Peer.join(parts), await Peer.join(parts)
    info = host(parts, ann.workspace, Visibility.PUBLIC)
    await ann.manager("restrict_function", "hosted", "get-user", users=["ann"])
    service = await bob.manager("get_service", f"{ann.workspace}/hosted")
    assert "greet" in service
    assert "get-user" not in service
    assert "get_user" not in service
    for name in ("get-user", "get_user"):
        with pytest.raises(RemoteFailure, match="not found"):
            await bob.call(info.id.provider, f"services.hosted.{name}", "7")
        with pytest.raises(FunctionNotFound):
            await parts.gateway.call(bob.session.caller, info, name, ("7",))


async def test_it_is_found_in_its_own_workspace_alone(parts: Parts) -> None:
    ann, bob = await Peer.join(parts), await Peer.join(parts)
    info = host(parts, ann.workspace, Visibility.PUBLIC)
    elsewhere = f"{bob.workspace}/{info.id.client_id}"
    with pytest.raises(RemoteFailure, match="Service not found"):
        await bob.call(elsewhere, "services.hosted.greet", "Bo")
    assert (await bob.call(info.id.provider, "services.hosted.greet", "Bo"))["name"] == "Bo"


async def test_it_is_replaced_and_withdrawn(parts: Parts) -> None:
    ann = await Peer.join(parts)
    caller, gateway = ann.session.caller, parts.gateway
    host(parts, ann.workspace)
    newer = host(parts, ann.workspace, other=leaf("other"))
    assert await gateway.find_service(caller, ann.workspace, "hosted") is newer
    assert (await gateway.call(caller, newer, "other"))["path"] == "other"
    with pytest.raises(FunctionNotFound):
        await gateway.call(caller, newer, "greet")
    parts.hosting.withdraw(newer.id)
    with pytest.raises(ServiceNotFound):
        await gateway.find_service(caller, ann.workspace, "hosted")
    with pytest.raises(RemoteFailure, match="Service not found"):
        await ann.call(newer.id.provider, "services.hosted.other")


async def test_arguments_by_position_go_by_the_schema(parts: Parts) -> None:
    ann = await Peer.join(parts)
    info = host(parts, ann.workspace)
    caller = ann.session.caller
    with pytest.raises(InvalidArguments, match="takes 2 positional"):
        await parts.gateway.call(caller, info, "greet", ("a", "b", "c"))
    with pytest.raises(InvalidArguments, match="multiple values"):
        await parts.gateway.call(caller, info, "greet", ("a",), {"name": "b"})
