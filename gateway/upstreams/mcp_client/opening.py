"""Connects with an MCP server and shakes hands, in the newer way if it can."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import mcp_types as types
from mcp import Client
from mcp.shared.exceptions import MCPError

from gateway.upstreams.entries import Upstream
from gateway.upstreams.mcp_client.asking import Conversations
from gateway.upstreams.mcp_client.channel import LOG
from gateway.upstreams.mcp_client.diagnosis import Diagnosis
from gateway.upstreams.mcp_client.envelope import Envelope
from gateway.upstreams.mcp_client.http_channel import Session
from gateway.upstreams.mcp_client.link import MODERN_FROM, Link, News, plain
from gateway.upstreams.mcp_client.login import Login, login_of
from gateway.upstreams.mcp_client.transports import Way, connected
from schema.errors import ProviderGone

__all__ = ["Diagnosis", "Link", "Login", "News", "login_of", "opened"]

NO_NEWS: Final = News()
_LISTS: Final = (
    types.ToolListChangedNotification
    | types.ResourceListChangedNotification
    | types.PromptListChangedNotification
)


@asynccontextmanager
async def _explained(diagnosis: Diagnosis) -> AsyncIterator[None]:
    """A server is lost for the reason that it has shown, whatever failed over that."""
    try:
        yield
    except MCPError as error:
        if diagnosis.login is not None:
            raise diagnosis.login from None
        raise ProviderGone(diagnosis.reason or error.message, delivered=False) from None
    except Exception:
        if diagnosis.login is not None:
            raise diagnosis.login from None
        if diagnosis.reason is None:
            raise
        raise ProviderGone(diagnosis.reason) from None
    if diagnosis.ending is not None:
        raise ProviderGone(diagnosis.ending)


@asynccontextmanager
async def opened(
    upstream: Upstream,
    diagnosis: Diagnosis,
    *,
    headers: Mapping[str, str] | None = None,
    news: News = NO_NEWS,
    login: Login | None = None,
) -> AsyncIterator[Link]:
    """Connect and shake hands. Raises whatever the SDK and the system raise, and NeedsLogin and
    CannotLogIn."""
    lost = asyncio.Event()
    conversations = Conversations()
    session = Session()
    ways: list[Way] = []

    async def on_message(message: Any) -> None:
        if isinstance(message, _LISTS):
            news.changed()
        elif isinstance(message, types.ResourceUpdatedNotification):
            news.updated(str(message.params.uri))

    async def on_log(params: types.LoggingMessageNotificationParams) -> None:
        conversations.tell(plain(params))

    def noticed(method: str, params: Mapping[str, Any]) -> bool:
        if method == LOG:
            conversations.tell(params)
        elif method.endswith("/list_changed"):
            news.changed()
        elif method == "notifications/resources/updated":
            news.updated(str(params.get("uri")))
        else:
            return False
        return True

    @asynccontextmanager
    async def streams() -> AsyncIterator[Any]:
        connecting = connected(
            upstream,
            headers or {},
            diagnosis,
            session=session,
            noticed=noticed,
            lost=lost.set,
            login=login,
        )
        async with connecting as way:
            ways.append(way)
            yield way.streams

    client = Client(
        streams(),
        client_info=Envelope.CLIENT,
        message_handler=on_message,
        elicitation_callback=lambda _, params: conversations.answer("elicitation/create", params),
        sampling_callback=lambda _, params: conversations.answer("sampling/createMessage", params),
        sampling_capabilities=types.SamplingCapability(tools=types.SamplingToolsCapability()),
        list_roots_callback=lambda _: conversations.answer("roots/list", None),
        logging_callback=on_log,
        cache=None,
    )
    async with _explained(diagnosis), client:
        session.protocol_version = client.protocol_version
        session.is_modern = client.protocol_version >= MODERN_FROM
        link = Link(client, ways[0].channel, upstream, lost, conversations, news)
        try:
            yield link
        finally:
            lost.set()
