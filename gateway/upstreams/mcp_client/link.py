"""One connection with an MCP server, in either era of the protocol, once hands are shaken.

Results are what the server sent, as maps: the gateway adds nothing and checks no output schema,
which is the business of the door that passes them on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import mcp_types as types
from mcp import Client
from mcp.client.subscriptions import ListenNotSupportedError, ResourceUpdated, SubscriptionLost
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import find_invalid_x_mcp_header, x_mcp_header_map
from pydantic import BaseModel

from gateway.upstreams.entries import Upstream
from gateway.upstreams.login.needed import NeedsLogin
from gateway.upstreams.mcp_client import asking, checking, faults
from gateway.upstreams.mcp_client.asking import Conversations
from gateway.upstreams.mcp_client.channel import CallFailed, Channel, Request
from gateway.upstreams.mcp_client.envelope import Envelope
from gateway.upstreams.mcp_client.patience import Patience
from schema.errors import CallTimeout, GatewayError, ProviderGone, ServiceError

logger = logging.getLogger(__name__)

MAX_PAGES: Final = 200
MAX_LISTED: Final = 10_000
MAX_ROUNDS: Final = 10
"""How often a server may ask before it gives a result."""
HEALTH_SECONDS: Final = 10.0
MODERN_FROM: Final = "2026"
"""Revisions of the newer era."""
_LISTEN_PAUSE_SECONDS: Final = 5.0
_STATE_PAUSE_SECONDS: Final = 0.1
"""Before a call is repeated for a server that only wants it to be."""


@dataclass(frozen=True, slots=True)
class Listing:
    """All that a server offers, as it says it."""

    tools: list[dict[str, Any]] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    templates: list[dict[str, Any]] = field(default_factory=list)
    prompts: list[dict[str, Any]] = field(default_factory=list)
    has_completions: bool = False
    instructions: str | None = None
    server: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class News:
    """What is called when the server says that it offers something else, or with the address of a
    resource that has other contents."""

    changed: Callable[[], None] = lambda: None
    updated: Callable[[str], None] = lambda _: None


class Link:
    """An open connection. ``lost`` is set once it is of no use any more."""

    def __init__(
        self,
        client: Client,
        channel: Channel,
        upstream: Upstream,
        lost: asyncio.Event,
        conversations: Conversations,
        news: News,
    ) -> None:
        self._client = client
        self._channel = channel
        self._upstream = upstream
        self._conversations = conversations
        self._news = news
        self._envelope = Envelope(client.protocol_version if self.is_modern else None)
        self.lost = lost

    @property
    def protocol_version(self) -> str:
        return self._client.protocol_version

    @property
    def is_modern(self) -> bool:
        return self.protocol_version >= MODERN_FROM

    async def listing(self) -> Listing:
        """Ask for everything that the server says it has. Raises GatewayError."""
        can = self._client.server_capabilities
        resources = templates = prompts = tools = []
        if can.tools is not None:
            tools = await self._tools()
        if can.resources is not None:
            resources = await self._pages("resources/list", "resources", "uri")
            templates = await self._templates()
        if can.prompts is not None:
            prompts = await self._pages("prompts/list", "prompts", "name")
        info = self._client.server_info
        return Listing(
            tools=tools,
            resources=resources,
            templates=templates,
            prompts=prompts,
            has_completions=can.completions is not None,
            instructions=self._client.instructions,
            server=plain(info) if info is not None else {},
        )

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        interaction: Any = None,
        meta: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The result of a tool. It fails when nothing has come for as long as the upstream's
        ``call_seconds``. Raises GatewayError."""
        params: dict[str, Any] = {"name": name, "arguments": arguments}
        if meta:
            params["_meta"] = meta
        result = await self._asked("tools/call", params, Patience(self._limit, interaction))
        if not checking.is_tool_result(result, is_modern=self.is_modern):
            raise self._invalid("tools/call")
        return result if "content" in result else {**result, "content": []}

    async def read_resource(self, uri: str, interaction: Any = None) -> dict[str, Any]:
        """``{"contents": [...]}``. Raises GatewayError."""
        return await self._checked(
            "resources/read", {"uri": uri}, checking.is_contents, interaction
        )

    async def get_prompt(
        self, name: str, arguments: Mapping[str, str], interaction: Any = None
    ) -> dict[str, Any]:
        """``{"messages": [...]}``. Raises GatewayError."""
        params = {"name": name, "arguments": arguments}
        return await self._checked("prompts/get", params, checking.is_prompt, interaction)

    async def complete(
        self, ref: Mapping[str, Any], argument: Mapping[str, str], context: Mapping[str, str] | None
    ) -> dict[str, Any]:
        """``{"completion": {...}}``. Raises GatewayError."""
        params: dict[str, Any] = {"ref": ref, "argument": argument}
        if context:
            params["context"] = context
        return await self._checked("completion/complete", params, checking.is_completion)

    async def check(self) -> None:
        """Ask for a sign of life. Raises GatewayError."""
        method = "tools/list" if self.is_modern else "ping"
        try:
            await self._once(method, {}, Patience(HEALTH_SECONDS))
        except CallTimeout:
            raise ProviderGone(f"{self._upstream.name} does not answer") from None

    @property
    def tells_updates(self) -> bool:
        """Whether the server says when the contents of a resource change."""
        resources = self._client.server_capabilities.resources
        return bool(resources and resources.subscribe)

    async def watch(self, uris: Sequence[str]) -> None:
        """Have changes reported for as long as the connection lasts, also of the contents of
        resources, as far as the server tells of them."""
        if not self.tells_updates:
            uris = ()
        if self.is_modern:
            await self._listen(uris)
            return
        for uri in uris:  # it tells of changes of its lists by itself
            with contextlib.suppress(GatewayError):
                await self._once("resources/subscribe", {"uri": uri}, Patience(self._limit))

    async def _listen(self, uris: Sequence[str]) -> None:
        can = self._client.server_capabilities
        wanted: dict[str, Any] = {
            "tools_list_changed": bool(can.tools and can.tools.list_changed),
            "prompts_list_changed": bool(can.prompts and can.prompts.list_changed),
            "resources_list_changed": bool(can.resources and can.resources.list_changed),
            "resource_subscriptions": list(uris),
        }
        while any(wanted.values()) and not self.lost.is_set():
            try:
                async with self._client.listen(**wanted) as subscription:
                    self._news.changed()  # nobody knows what was missed before
                    async for event in subscription:
                        if isinstance(event, ResourceUpdated):
                            self._news.updated(event.uri)
                        else:
                            self._news.changed()
            except (SubscriptionLost, TimeoutError):
                pass
            except (ListenNotSupportedError, MCPError):
                return
            await asyncio.sleep(_LISTEN_PAUSE_SECONDS)

    # Lists

    async def _tools(self) -> list[dict[str, Any]]:
        tools = await self._pages("tools/list", "tools", "name")
        if not self.is_modern:
            return tools
        # A tool whose annotations are wrong must not be offered (revision 2026-07-28, tools).
        schemas = {tool["name"]: tool.get("inputSchema") for tool in tools}
        good = {n: s for n, s in schemas.items() if find_invalid_x_mcp_header(s) is None}
        self._envelope.mirrored = {n: found for n in good if (found := x_mcp_header_map(good[n]))}
        return [tool for tool in tools if tool["name"] in good]

    async def _templates(self) -> list[dict[str, Any]]:
        """Servers say that they have resources without serving templates."""
        try:
            key = "resourceTemplates"
            return await self._pages("resources/templates/list", key, "uriTemplate")
        except ProviderGone:
            raise
        except GatewayError:
            return []

    async def _pages(self, method: str, key: str, known_by: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor: Any = None
        for _ in range(MAX_PAGES):
            params = {"cursor": cursor} if cursor is not None else {}
            page = await self._once(method, params, Patience(self._limit))
            if not isinstance(page.get(key), list):
                raise self._invalid(method)
            found += checking.entries(page[key], known_by)
            cursor = page.get("nextCursor")
            if not isinstance(cursor, str) or len(found) >= MAX_LISTED:
                break
        return found[:MAX_LISTED]

    # Requests

    @property
    def _limit(self) -> float:
        return self._upstream.call_seconds

    async def _checked(
        self,
        method: str,
        params: Mapping[str, Any],
        is_good: Callable[[Mapping[str, Any]], bool],
        interaction: Any = None,
    ) -> dict[str, Any]:
        result = await self._asked(method, params, Patience(self._limit, interaction))
        if not is_good(result):
            raise self._invalid(method)
        return result

    async def _asked(
        self, method: str, params: Mapping[str, Any], patience: Patience
    ) -> dict[str, Any]:
        """The result of a request, when all that the server wants to know for it is answered."""
        try:
            with self._conversations.during(patience if patience.is_anybody else None):
                result = await self._once(method, params, patience)
                rounds = 0
                while self.is_modern and result.get("resultType") == "input_required":
                    rounds += 1
                    if rounds > MAX_ROUNDS:
                        raise ServiceError(f"{self._upstream.name} asks again and again")
                    more = await self._answers(result, patience)
                    result = await self._once(method, {**params, **more}, patience)
            await patience.told()
            return result
        finally:
            patience.end()

    async def _answers(self, result: Mapping[str, Any], patience: Patience) -> dict[str, Any]:
        """What the next round of a request says (revision 2026-07-28, multi round-trip)."""
        requests, state = result.get("inputRequests"), result.get("requestState")
        more: dict[str, Any] = {} if state is None else {"requestState": state}
        if requests:
            to = patience if patience.is_anybody else None
            more["inputResponses"] = await asking.answers_to(to, requests)
        else:
            await asyncio.sleep(_STATE_PAUSE_SECONDS)
        return more

    async def _once(
        self, method: str, params: Mapping[str, Any], patience: Patience
    ) -> dict[str, Any]:
        request = self._request(method, params, patience)
        try:
            return dict(await patience.wait(self._channel.call(request)))
        except TimeoutError:
            text = f"{self._upstream.name} sent nothing for {self._limit:g} s"
            raise CallTimeout(text) from None
        except NeedsLogin as needed:
            if needed.is_out:
                self.lost.set()
            raise
        except CallFailed as failed:
            if failed.code == types.HEADER_MISMATCH and await self._has_new_headers(method, params):
                return await self._once(method, params, patience)
            return await self._fail(failed, patience)

    def _request(self, method: str, params: Mapping[str, Any], patience: Patience) -> Request:
        stamped, headers = self._envelope.around(method, params, patience)
        heard = patience.heard if method == "tools/call" else None
        to = patience if patience.is_anybody else None
        return Request(method, stamped, heard, headers, to)

    async def _has_new_headers(self, method: str, params: Mapping[str, Any]) -> bool:
        """Whether the server's list says now that a call has other headers than it had: then it may
        be made once more (revision 2026-07-28, Streamable HTTP)."""
        if method != "tools/call":
            return False
        before = self._envelope.mirrored
        await self._tools()
        return self._envelope.mirrored.get(params["name"]) != before.get(params["name"])

    async def _fail(self, failed: CallFailed, patience: Patience) -> dict[str, Any]:
        if failed.code == types.MISSING_REQUIRED_CLIENT_CAPABILITY and patience.is_anybody:
            await asking.demand(patience, failed.data)
        failure = faults.failure(self._upstream.name, failed.code, failed.message)
        if failed.code in faults.NOT_RUN:  # of one answer that broke off others know nothing
            self.lost.set()
        raise failure from None

    def _invalid(self, method: str) -> ServiceError:
        name = self._upstream.name
        logger.info("upstream_answer_invalid upstream=%s method=%s", name, method)
        return ServiceError(f"{name} gave an answer to {method} that is not valid")


def plain(value: BaseModel) -> dict[str, Any]:
    """A model of the SDK as the map that it is on the wire."""
    found: dict[str, Any] = value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return found
