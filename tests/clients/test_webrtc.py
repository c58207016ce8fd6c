"""Calls from client to client over WebRTC, found and agreed upon through the gateway.

Nothing leaves the machine: the ICE server is the test's own, and all addresses are those of the
loopback interface.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aioice.ice
import numpy as np
import pytest
from aioice import stun
from hypha_rpc.rpc import RemoteException
from hypha_rpc.webrtc_client import get_rtc_service, register_rtc_service

from tests.clients import chromium
from tests.clients.chromium import Browser
from tests.clients.conftest import Connect
from tests.clients.gateways import Gateway
from tests.clients.site import Site

PUBLIC = {"visibility": "public"}
CHROMIUM_FLAGS = (
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
)


class IceServer(asyncio.DatagramProtocol):
    """Tells who asks the address that it asks from (STUN, RFC 8489)."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        asked = stun.parse_message(data)
        told = stun.Message(asked.message_method, stun.Class.RESPONSE, asked.transaction_id)
        told.attributes["XOR-MAPPED-ADDRESS"] = addr
        self.transport.sendto(bytes(told), addr)


@pytest.fixture
async def ice() -> AsyncIterator[dict[str, Any]]:
    """The part of a configuration that names the ICE servers."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(IceServer, ("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    yield {"ice_servers": [{"urls": f"stun:127.0.0.1:{port}"}]}
    transport.close()


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ["127.0.0.1"])


async def offer(provider: Any) -> str:
    """Register the sample functions, and return the full id of their service."""

    def fail() -> None:
        raise LookupError("no such colour")

    async def visit(count: int, tell: Any) -> list[Any]:
        return [await tell(i) for i in range(count)]

    functions = {"echo": lambda value: value, "fail": fail, "visit": visit}
    service = {"id": "sample", "config": PUBLIC, **functions}
    full: str = (await provider.register_service(service))["id"]
    return full


async def check(sample: Any) -> None:
    """That the sample functions work."""
    value = {"deep": [1, None, {"text": "é"}], "bytes": b"\x00\xff"}
    assert await sample.echo(value) == value
    array = np.arange(5000, dtype="float64")
    np.testing.assert_array_equal(await sample.echo(array), array)
    assert await sample.visit(3, lambda i: i * 10) == [0, 10, 20]
    with pytest.raises(RemoteException, match="LookupError: no such colour"):
        await sample.fail()


@pytest.mark.parametrize("is_member", [True, False], ids=["same workspace", "other workspace"])
async def test_a_peer_is_called_without_the_gateway(
    connect: Connect, ice: dict[str, Any], is_member: bool
) -> None:
    provider = await connect(client_id="provider")
    token = await provider.generate_token() if is_member else None
    await offer(provider)
    config = {"visibility": "protected" if is_member else "public", "require_context": True, **ice}
    await register_rtc_service(provider, "provider-rtc", config)

    caller = await connect(token=token)
    peer = await get_rtc_service(caller, f"{provider.config.workspace}/provider-rtc", dict(ice))
    try:
        sample = await peer.get_service("sample")
        await check(sample)
        # With both connections to the gateway gone, the calls can only go from peer to peer.
        await caller.disconnect()
        await provider.disconnect()
        await check(sample)
    finally:
        await peer.disconnect()


async def test_strangers_make_no_peers_of_a_protected_service(
    connect: Connect, ice: dict[str, Any]
) -> None:
    provider, stranger = await connect(client_id="provider"), await connect()
    await register_rtc_service(provider, "provider-rtc", {"visibility": "protected", **ice})
    with pytest.raises(RemoteException, match="Permission denied"):
        await get_rtc_service(stranger, f"{provider.config.workspace}/provider-rtc", dict(ice))


async def test_a_client_that_asks_for_webrtc_gets_services_over_it(
    connect: Connect, ice: dict[str, Any]
) -> None:
    config = {"visibility": "protected", "require_context": True, **ice}
    provider = await connect(webrtc=True, webrtc_config=dict(config))
    full = await offer(provider)
    caller = await connect(
        webrtc=True, webrtc_config=dict(config), token=await provider.generate_token()
    )
    sample = await caller.get_service(full, webrtc=True, webrtc_config=dict(ice))
    try:
        assert sample._webrtc
        await check(sample)
    finally:
        await sample._peer.disconnect()


PAGE = """<!doctype html>
<title>A peer</title>
<script src="/hypha-rpc.js"></script>
<script>
const { connectToServer, getRTCService, registerRTCService } = hyphaWebsocketClient;
async function offer(server_url) {
  window.server = await connectToServer({ server_url, client_id: "tab" });
  await server.registerService({
    id: "sample",
    config: { visibility: "public" },
    reverse: (text) => [...text].reverse().join(""),
  });
  await registerRTCService(server, "tab-rtc", { visibility: "public", ice_servers: [] });
  return server.config.workspace;
}
async function call(server_url, workspace, text) {
  window.server = await connectToServer({ server_url });
  const peer = await getRTCService(server, `${workspace}/tab-rtc`, { ice_servers: [] });
  await server.disconnect();
  const sample = await peer.getService("sample");
  return await sample.reverse(text);
}
</script>
"""


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    program = chromium.executable()
    if program is None:
        pytest.skip(f"Pages need a browser: there is none of {', '.join(chromium.PROGRAMS)}")
    async with chromium.started(program, tmp_path / "profile", *CHROMIUM_FLAGS) as browser:
        yield browser


async def test_two_tabs_are_peers(browser: Browser, site: Site, gateway: Gateway) -> None:
    url = site.page("/peer.html", PAGE)
    provider, caller = await browser.page(url), await browser.page(url)
    workspace = await provider.run("return await offer(args[0])", gateway.url)
    script = "return await call(...args)"
    assert await caller.run(script, gateway.url, workspace, "peer to peer") == "reep ot reep"


async def test_a_tab_and_a_python_program_are_peers(
    browser: Browser, site: Site, gateway: Gateway, connect: Connect, ice: dict[str, Any]
) -> None:
    provider = await browser.page(site.page("/peer.html", PAGE))
    workspace = await provider.run("return await offer(args[0])", gateway.url)
    peer = await get_rtc_service(await connect(), f"{workspace}/tab-rtc", dict(ice))
    try:
        assert await (await peer.get_service("sample")).reverse("abc") == "cba"
    finally:
        await peer.disconnect()
