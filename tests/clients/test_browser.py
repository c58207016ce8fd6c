"""A tab of a browser as a provider: what its page registers is an RPC object, a web API, a tool."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from hypha_rpc.rpc import RemoteException
from mcp import Client
from mcp_types import TextContent

from tests.clients.chromium import Browser, Page
from tests.clients.conftest import Connect
from tests.clients.gateways import Gateway
from tests.clients.site import Site

PROVIDER = """<!doctype html>
<title>A tab that offers a service</title>
<p id="drawn"></p>
<script src="/hypha-rpc.js"></script>
<script>
async function offer(serverUrl) {
  window.server = await hyphaWebsocketClient.connectToServer({ server_url: serverUrl });
  const draw = hyphaWebsocketClient.schemaFunction(
    (text) => {
      if (!text) throw new RangeError("nothing to draw");
      document.getElementById("drawn").textContent = text;
      return `${document.title}: ${text.length}`;
    },
    {
      name: "draw",
      description: "Write a text into the page.",
      parameters: {
        type: "object",
        properties: { text: { type: "string", description: "What to write" } },
        required: ["text"],
      },
    },
  );
  const service = await server.registerService({
    id: "canvas",
    name: "Canvas",
    config: { visibility: "public", require_context: ["who"] },
    draw,
    count: async function* (n) { for (let i = 0; i < n; i++) yield i; },
    reverse: (bytes) => bytes.slice().reverse(),
    wait: () => new Promise(() => {}),
    who: (context) => context.ws,
  });
  return service.id;
}
</script>
"""


@pytest.fixture
async def tab(browser: Browser, site: Site) -> Page:
    return await browser.page(site.page("/provider.html", PROVIDER))


@pytest.fixture
async def canvas(tab: Page, gateway: Gateway) -> str:
    """The full id of the service that the tab offers."""
    offered: str = await tab.run("return await offer(args[0])", gateway.url)
    return offered


async def test_a_tab_is_called_over_rpc(canvas: str, tab: Page, connect: Connect) -> None:
    caller = await connect()
    service = await caller.get_service(canvas)
    assert await service.draw("from Python") == "A tab that offers a service: 11"
    assert await tab.run("return document.getElementById('drawn').textContent") == "from Python"
    assert [i async for i in await service.count(3)] == [0, 1, 2]
    assert await service.reverse(b"\x00\x01\xff") == b"\xff\x01\x00"
    assert await service.who() == caller.config.workspace
    with pytest.raises(RemoteException, match="nothing to draw"):
        await service.draw("")


async def test_a_tab_is_called_over_http(canvas: str, http: httpx.AsyncClient) -> None:
    workspace, _, service = canvas.partition("/")
    url = f"/{workspace}/services/{service}"
    drawn = await http.post(f"{url}/draw", json={"text": "over HTTP"})
    assert (drawn.status_code, drawn.json()) == (200, "A tab that offers a service: 9")
    failed = await http.get(f"{url}/draw?text=")
    assert "nothing to draw" in failed.json()["detail"]


async def test_a_tab_is_a_tool(canvas: str, tab: Page, gateway: Gateway) -> None:
    workspace = canvas.partition("/")[0]
    async with Client(f"{gateway.url}/{workspace}/mcp/canvas/mcp") as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert tools["draw"].description == "Write a text into the page."
        result = await client.call_tool("draw", {"text": "by an agent"})
        assert not result.is_error
        (content,) = result.content
        assert isinstance(content, TextContent)
        assert content.text == "A tab that offers a service: 11"
    assert await tab.run("return document.getElementById('drawn').textContent") == "by an agent"


async def test_a_page_calls_python_and_reads_http_of_another_origin(
    tab: Page, gateway: Gateway, connect: Connect
) -> None:
    provider = await connect()

    def total(numbers: Any, tell: Any) -> Any:
        return tell(float(numbers.sum()))

    config = {"visibility": "public"}
    service = {"id": "sums", "config": config, "total": total, "add": lambda a, b: a + b}
    registered = await provider.register_service(service)
    told = await tab.run(
        """
        const server = await hyphaWebsocketClient.connectToServer({ server_url: args[0] });
        const sums = await server.getService(args[1]);
        return await sums.total(new Float32Array([1.5, 2.5]), (sum) => `told ${sum}`);
        """,
        gateway.url,
        registered["id"],
    )
    assert told == "told 4"

    workspace, _, name = registered["id"].partition("/")
    answers = await tab.run(
        """
        const got = await fetch(`${args[0]}/add?a=1&b=2`);
        const posted = await fetch(`${args[0]}/add`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ a: 3, b: 4 }),
        });
        return [await got.json(), await posted.json()];
        """,
        f"{gateway.url}/{workspace}/services/{name}",
    )
    assert answers == [3, 7]


async def test_closing_the_tab_removes_the_service(
    canvas: str, tab: Page, connect: Connect, http: httpx.AsyncClient
) -> None:
    caller = await connect()
    workspace = canvas.partition("/")[0]
    service = await caller.get_service(canvas)
    waiting = asyncio.ensure_future(service.wait())
    assert await service.draw("!")
    await tab.close()
    with pytest.raises(ConnectionError):
        await waiting
    with pytest.raises(RemoteException, match="Service not found"):
        await caller.get_service(canvas)
    assert await caller.list_services({"workspace": workspace}) == []
    gone = await http.get(f"/{workspace}/services/canvas/draw?text=x")
    assert gone.status_code == 404
    assert json.loads(gone.content)["success"] is False
