from __future__ import annotations

import pytest

from gateway.app import Parts
from gateway.registry.apps import AppManifest, DeclaredService, match_instances
from schema.ids import ServiceId
from schema.services import ServiceInfo
from tests.gateway.peer import Peer, RemoteFailure


def service(name: str, kind: str = "generic") -> ServiceInfo:
    return ServiceInfo(ServiceId("w", "c", name), name, type=kind, app_id="app")


MANIFEST = AppManifest(
    services=(DeclaredService("worker", "compute"), DeclaredService("store", "storage"))
)


@pytest.mark.parametrize(
    ("registered", "manifest", "expected"),
    [
        (["worker-1", "worker_b", "workers"], None, ["worker-1", "worker_b"]),
        (["other"], None, []),
        (["w1", "s1"], MANIFEST, ["w1"]),
        (["worker-1", "w1"], MANIFEST, ["worker-1"]),
        (["store-1"], MANIFEST, []),
    ],
)
def test_a_name_means_the_instances_of_the_declared_service(
    registered: list[str], manifest: AppManifest | None, expected: list[str]
) -> None:
    kinds = {"w": "compute", "s": "storage"}
    services = [service(name, kinds.get(name[0], "generic")) for name in registered]
    if "store-1" in registered:
        services = [service("store-1", "compute")]
    found = match_instances("worker", services, manifest)
    assert [s.id.service_id for s in found] == expected


async def test_an_application_narrows_what_a_name_means(parts: Parts) -> None:
    owner = await Peer.join(parts, "one")
    await owner.register("svc", {}, app_id="camera-app")
    await owner.register("worker-service-instance-1", {}, app_id="my-app")
    found = await owner.manager("get_service", "svc@camera-app")
    assert found["id"] == f"{owner.address}:svc"
    assert (await owner.manager("get_service", "svc@*"))["id"] == found["id"]
    with pytest.raises(RemoteFailure, match="Service not found"):
        await owner.manager("get_service", "svc@other-app")
    instance = await owner.manager("get_service", "worker-service@my-app")
    assert instance["id"].endswith(":worker-service-instance-1")


async def test_the_least_loaded_instance_is_the_one_called_least(parts: Parts) -> None:
    owner = await Peer.join(parts, "one")
    token = await owner.manager("generate_token")
    second = await Peer.join(parts, "two", token=token)
    for peer in (owner, second):
        await peer.register("svc", {"f": lambda: 1})
    for _ in range(5):
        await owner.call(owner.address, "services.svc.f")
    info = await owner.manager("get_service_info", "svc", {"mode": "min_load"})
    assert info["id"].startswith(second.address)
    for _ in range(30):
        await owner.call(second.address, "services.svc.f")
    info = await owner.manager("get_service_info", "svc", {"mode": "min_load"})
    assert info["id"].startswith(owner.address)
