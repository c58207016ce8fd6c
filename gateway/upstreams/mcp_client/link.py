"""One connection with an MCP server, in either era of the protocol, from the handshake to its loss.

Results are what the server sent, as maps: the gateway adds nothing and checks no output schema,
which is the business of the door that passes them on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import mcp_types as types
from mcp import Client
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel, ValidationError

from gateway import __version__
from gateway.upstreams.entries import Upstream
from gateway.upstreams.mcp_client import faults
from gateway.upstreams.mcp_client.asking import Conversations
from gateway.upstreams.mcp_client.transports import Diagnosis, connected
from schema.errors import CallTimeout, GatewayError, InvalidArguments, ProviderGone, ServiceError

logger = logging.getLogger(__name__)

Progress = Callable[[float, float | None, str | None], Awaitable[None]]

MAX_PAGES: Final = 200
MAX_LISTED: Final = 10_000
HEALTH_SECONDS: Final = 10.0
_MODERN_FROM: Final = "2026"
_LISTEN_PAUSE_SECONDS: Final = 5.0


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


class Link:
    """An open connection. ``lost`` is set once it is of no use any more."""

    def __init__(self, client: Client, upstream: Upstream, lost: asyncio.Event) -> None:
        self._client = client
        self._upstream = upstream
        self.lost = lost
        self.conversations = Conversations()
        # Output schemas are not checked here, and the SDK would fail a call over one.
        client.session.validate_tool_result = _unchecked  # type: ignore[method-assign]

    @property
    def protocol_version(self) -> str:
        return self._client.protocol_version

    @property
    def is_modern(self) -> bool:
        return self.protocol_version >= _MODERN_FROM

    async def listing(self) -> Listing:
        """Ask for everything that the server says it has. Raises GatewayError."""
        can = self._client.server_capabilities
        client = self._client
        resources = templates = prompts = tools = []
        if can.tools is not None:
            tools = await self._pages(client.list_tools, "tools")
        if can.resources is not None:
            resources = await self._pages(client.list_resources, "resources")
            templates = await self._optional(client.list_resource_templates, "resource_templates")
        if can.prompts is not None:
            prompts = await self._pages(client.list_prompts, "prompts")
        info = client.server_info
        return Listing(
            tools=tools,
            resources=resources,
            templates=templates,
            prompts=prompts,
            has_completions=can.completions is not None,
            instructions=client.instructions,
            server=_plain(info) if info is not None else {},
        )

    async def call_tool(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        report: Progress | None = None,
        interaction: Any = None,
        meta: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The result of a tool. It fails when nothing has come for as long as the upstream's
        ``call_seconds``. Raises GatewayError."""
        limit = self._upstream.call_seconds
        now = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(limit) as patience:

                async def heard(progress: float, total: float | None, message: str | None) -> None:
                    patience.reschedule(now() + limit)
                    if report is not None:
                        await report(progress, total, message)

                with self.conversations.during(interaction):
                    return await self._asked(
                        self._client.call_tool(
                            name,
                            arguments,
                            progress_callback=heard,
                            meta=dict(meta) if meta else None,  # type: ignore[arg-type]
                        )
                    )
        except TimeoutError:
            raise CallTimeout(f"{self._upstream.name} sent nothing for {limit:g} s") from None

    async def read_resource(self, uri: str) -> dict[str, Any]:
        """``{"contents": [...]}``. Raises GatewayError."""
        return await self._timed(self._client.read_resource(uri))

    async def get_prompt(self, name: str, arguments: dict[str, str]) -> dict[str, Any]:
        """``{"messages": [...]}``. Raises GatewayError."""
        return await self._timed(self._client.get_prompt(name, arguments))

    async def complete(
        self, ref: Mapping[str, Any], argument: dict[str, str], context: dict[str, str] | None
    ) -> dict[str, Any]:
        """``{"completion": {...}}``. Raises GatewayError."""
        if ref.get("type") == "ref/prompt":
            reference: Any = types.PromptReference(name=str(ref.get("name", "")))
        else:
            reference = types.ResourceTemplateReference(uri=str(ref.get("uri", "")))
        return await self._timed(self._client.complete(reference, argument, context))

    async def check(self) -> None:
        """Ask for a sign of life. Raises GatewayError."""
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                if self.is_modern:
                    await self._asked(self._client.list_tools())
                else:
                    await self._asked(self._client.session.send_ping())
        except TimeoutError:
            raise ProviderGone(f"{self._upstream.name} does not answer") from None

    async def watch(self, changed: Callable[[], None]) -> None:
        """Report changes for as long as the connection lasts, as far as a modern server tells of
        them; an older one sends them by itself."""
        can = self._client.server_capabilities
        wanted: dict[str, Any] = {
            "tools_list_changed": bool(can.tools and can.tools.list_changed),
            "prompts_list_changed": bool(can.prompts and can.prompts.list_changed),
            "resources_list_changed": bool(can.resources and can.resources.list_changed),
        }
        while self.is_modern and any(wanted.values()) and not self.lost.is_set():
            try:
                async with self._client.listen(**wanted) as subscription:
                    changed()  # nobody knows what was missed before
                    async for _event in subscription:
                        changed()
            except (SubscriptionLost, TimeoutError):
                pass
            except (ListenNotSupportedError, MCPError):
                return
            await asyncio.sleep(_LISTEN_PAUSE_SECONDS)

    async def _pages(self, list_page: Callable[..., Awaitable[Any]], key: str) -> list[Any]:
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await self._called(list_page(cursor=cursor))
            found += [_plain(item) for item in getattr(page, key)]
            cursor = page.next_cursor
            if cursor is None or len(found) >= MAX_LISTED:
                break
        return found[:MAX_LISTED]

    async def _optional(self, list_page: Callable[..., Awaitable[Any]], key: str) -> list[Any]:
        """Servers say that they have resources without serving templates."""
        try:
            return await self._pages(list_page, key)
        except ProviderGone:
            raise
        except GatewayError:
            return []

    async def _timed(self, work: Awaitable[Any]) -> dict[str, Any]:
        limit = self._upstream.call_seconds
        try:
            async with asyncio.timeout(limit):
                return await self._asked(work)
        except TimeoutError:
            raise CallTimeout(f"{self._upstream.name} sent nothing for {limit:g} s") from None

    async def _asked(self, work: Awaitable[Any]) -> dict[str, Any]:
        return _plain(await self._called(work))

    async def _called(self, work: Awaitable[Any]) -> Any:
        name = self._upstream.name
        try:
            return await work
        except MCPError as error:
            failure = _failure(name, error)
            if isinstance(failure, ProviderGone):
                self.lost.set()
            raise failure from None
        except (ValidationError, RuntimeError) as error:
            logger.info("upstream_answer_invalid upstream=%s error=%s", name, type(error).__name__)
            raise ServiceError(f"{name} gave an answer that is not valid") from None


def _failure(name: str, error: MCPError) -> GatewayError:
    code, message = error.code, error.message
    if code == types.CONNECTION_CLOSED or code in faults.LOSSES:
        ran = code not in faults.NOT_RUN
        return ProviderGone(f"The connection to {name} was lost", delivered=ran)
    if code == types.REQUEST_TIMEOUT:
        return CallTimeout(f"{name} did not answer in time")
    if code == types.INVALID_PARAMS:
        return InvalidArguments(message)
    if code == faults.REFUSED:
        return ServiceError(f"{name} refused the request: {message}", remote_type="HTTPError")
    return ServiceError(message, remote_type="McpError")


def _plain(value: BaseModel) -> dict[str, Any]:
    plain: dict[str, Any] = value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return plain


async def _unchecked(name: str, result: Any) -> None:
    return None


@asynccontextmanager
async def opened(
    upstream: Upstream,
    diagnosis: Diagnosis,
    *,
    headers: Mapping[str, str] | None = None,
    changed: Callable[[], None] = lambda: None,
) -> AsyncIterator[Link]:
    """Connect and shake hands. ``changed`` is called when the server says that it offers something
    else. Raises whatever the SDK and the system raise."""
    lost = asyncio.Event()
    link: Link

    async def on_message(message: Any) -> None:
        if isinstance(
            message,
            types.ToolListChangedNotification
            | types.ResourceListChangedNotification
            | types.PromptListChangedNotification,
        ):
            changed()

    async def ask(context: Any, params: Any) -> Any:
        return await link.conversations.ask(context, params)

    async def tell(params: Any) -> None:
        await link.conversations.tell(params)

    client = Client(
        connected(upstream, headers or {}, diagnosis, lost.set),
        client_info=types.Implementation(name="polyport", version=__version__),
        message_handler=on_message,
        elicitation_callback=ask,
        logging_callback=tell,
        cache=None,
    )
    async with client:
        link = Link(client, upstream, lost)
        try:
            yield link
        finally:
            lost.set()
