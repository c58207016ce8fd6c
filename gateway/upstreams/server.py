"""An MCP server as a service of the gateway."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from gateway.rpc.hosted import LocalCall
from gateway.upstreams.credentials import Credentials
from gateway.upstreams.entries import Program, Upstream
from gateway.upstreams.links import PersonalLinks
from gateway.upstreams.loading import mcp_client
from gateway.upstreams.login.logins import Logins
from gateway.upstreams.login.needed import NeedsLogin
from gateway.upstreams.login.records import LoginRecords
from gateway.upstreams.offering import MCP_TYPE, PROMPTS, RESOURCES, TEMPLATES, Offering
from gateway.upstreams.publishing import Publisher
from gateway.upstreams.results import plain_value
from gateway.upstreams.supervisor import State, Supervisor
from gateway.upstreams.tools import INTERACTION
from schema.errors import ProviderGone

if TYPE_CHECKING:
    from gateway.upstreams.mcp_client.link import Link
    from gateway.upstreams.mcp_client.login import Login

logger = logging.getLogger(__name__)

RECOVERY_SECONDS: Final = 5.0
"""How long a call waits for a server that is being started again."""

REFRESH_SECONDS: Final = 60.0
"""How often a server that tells of no changes is asked, and whether it lives."""

MAX_WATCHED: Final = 100
_SETTLE_SECONDS: Final = 0.1
"""Servers report several changes at a time."""

_SERVER_INFO: Final = "io.modelcontextprotocol/serverInfo"
_TRACE_KEYS: Final = ("traceparent", "tracestate", "baggage")


class McpServer:
    """See the module. ``publisher`` offers what the server lists."""

    def __init__(
        self, upstream: Upstream, publisher: Publisher, credentials: Credentials, logins: Logins
    ) -> None:
        self.upstream = upstream
        self._logins = logins
        self._login: Login | None = None
        self._publisher = publisher
        self._credentials = credentials
        self._link: Link | None = None
        self._offering: Offering | None = None
        self._changed = asyncio.Event()
        self._updates: Counter[str] = Counter()
        """How often the contents of a resource have changed, by its address."""
        self._tells_updates = False
        self._telling: asyncio.TimerHandle | None = None
        self._garbage = 0
        """Lines of earlier runs that were no messages."""
        self._garbage_now: Callable[[], int] = lambda: 0
        self._stderr: list[str] = []
        self._personal = PersonalLinks(upstream)
        self.supervisor = Supervisor(
            upstream.key, self._serve, is_away=partial(publisher.expect_no_more, upstream)
        )

    def start(self) -> None:
        """Begin to run; what it offers appears when it has been asked."""
        self._publisher.expect(self.upstream)
        self.supervisor.start()

    async def stop(self) -> None:
        """End it, and offer it no longer."""
        await self.supervisor.stop()
        await self._end_login()
        await self._personal.close()
        self._publisher.withdraw(self.upstream)

    async def restart(self) -> None:
        """End it and begin anew; its service stays. A login that waits for somebody begins anew as
        well, with another address."""
        await self._personal.close()
        await self.supervisor.stop()
        await self._end_login()
        await self.supervisor.restart()

    async def log_out(self) -> None:
        """Forget the gateway's login and begin anew."""
        await self.supervisor.stop()
        await self._end_login()
        self._login = None
        await LoginRecords(self._logins.credentials, self.upstream).forget()
        await self.restart()

    @property
    def login_url(self) -> str | None:
        """Where somebody has to log in, if that is so."""
        return self._login.url if self._login is not None else None

    async def _end_login(self) -> None:
        if self._login is not None:
            await self._login.close()

    def review(self) -> None:
        """Offer what is approved now."""
        self._changed.set()
        if self._offering is not None:
            self._offer(self._offering.lists)

    def status(self) -> dict[str, Any]:
        """How it is, for those who may manage it."""
        offering = self._offering
        link = self._link
        status: dict[str, Any] = {
            "tools": sorted(offering.names.values()) if offering is not None else [],
            "protocol_version": link.protocol_version if link is not None else None,
        }
        if self._login is not None:
            status["login_failure"] = self._login.failure
        if isinstance(self.upstream.target, Program):
            status["stderr"] = list(self._stderr)
            status["garbage_lines"] = self._garbage + self._garbage_now()
        return status

    # Its life

    async def _serve(self, ready: Callable[[], None]) -> None:
        client = await mcp_client()
        if self._login is None:
            self._login = client.login_of(self.upstream, self._logins)
        diagnosis = client.Diagnosis()
        news = client.News(self._changed.set, self._updated)
        self._stderr = diagnosis.stderr
        self._garbage_now = lambda: diagnosis.garbage
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(self.upstream.start_seconds):
                    link: Link = await stack.enter_async_context(
                        client.opened(self.upstream, diagnosis, news=news, login=self._login)
                    )
                    self._tells_updates = link.tells_updates
                    self._updates.update(self._uris())  # what was missed meanwhile is unknown
                    await self._list(link)
                self._link = link
                ready()
                await self._attend(link)
        finally:
            self._link = None
            self._garbage += diagnosis.garbage
            self._garbage_now = lambda: 0

    async def _attend(self, link: Link) -> None:
        """Until the link is lost: renew what is offered when it changes, and look now and then."""
        loop = asyncio.get_running_loop()
        watched = self._uris()
        watching = loop.create_task(link.watch(watched))
        losing = loop.create_task(link.lost.wait())
        try:
            while not link.lost.is_set():
                changing = loop.create_task(self._changed.wait())
                done, _ = await asyncio.wait(
                    (changing, losing),
                    timeout=REFRESH_SECONDS,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                changing.cancel()
                if losing in done:
                    return
                if changing in done:
                    await asyncio.sleep(_SETTLE_SECONDS)
                else:
                    await link.check()
                await self._list(link)
                if watched != self._uris():
                    watching.cancel()
                    watched = self._uris()
                    watching = loop.create_task(link.watch(watched))
        finally:
            watching.cancel()
            losing.cancel()

    async def _list(self, link: Link) -> None:
        self._changed.clear()
        async with asyncio.timeout(self.upstream.start_seconds):
            listing = await link.listing()
        listing.tools[:] = [tool for tool in listing.tools if self.upstream.offers(tool["name"])]
        await self._publisher.see(self.upstream, listing.tools)
        self._offer(listing)

    def _uris(self) -> list[str]:
        """Resources whose contents are watched: those that the server lists first."""
        resources = self._offering.lists.resources if self._offering is not None else []
        return [entry["uri"] for entry in resources[:MAX_WATCHED]]

    def _updated(self, uri: str) -> None:
        """The contents of a resource have changed."""
        if uri not in self._uris():
            return
        self._updates[uri] += 1
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(_SETTLE_SECONDS, self._tell)

    def _tell(self) -> None:
        self._telling = None
        if self._offering is not None and self._link is not None:
            self._offer(self._offering.lists)

    def _offer(self, listing: Any) -> None:
        updates = self._updates if self._tells_updates else None
        offering = Offering(listing, self._publisher.held(self.upstream), updates)
        before = self._offering
        if before is not None and before.is_like(offering):
            return
        self._offering = offering
        self._publisher.publish(
            self.upstream,
            offering.schema,
            self._handle,
            type=MCP_TYPE,
            description=self.upstream.description or _described(listing),
            docs=listing.instructions,
            name=listing.server.get("title") or self.upstream.name,
            held=offering.held,
            members=offering.members,
        )

    # Its calls

    async def _handle(self, call: LocalCall) -> Any:
        offering = self._offering
        assert offering is not None  # noqa: S101 - it is published with its functions
        path = call.function.path
        name = offering.names.get(path)
        if name is None:
            return await self._other(offering.lists, call)
        retries = call.function.declared.get("annotations") or {}
        may_repeat = bool(retries.get("readOnlyHint") or retries.get("idempotentHint"))
        result = await self._tried(call, lambda link: _run(link, name, call), may_repeat=may_repeat)
        if getattr(call.options, "wants_content", False):
            return _of_this_hop_no_more(result)
        return plain_value(result, offering.output_schema(path))

    async def _other(self, lists: Any, call: LocalCall) -> Any:
        """What is no tool: an entry of a list, or a completion."""
        given, to = call.arguments, getattr(call.options, "interaction", None)
        kind, _, rest = call.function.path.partition(".")
        index = int(rest.partition(".")[0] or 0)
        if kind == RESOURCES:
            uri = str(lists.resources[index]["uri"])
            return await self._tried(call, lambda link: link.read_resource(uri, to))
        if kind == TEMPLATES:
            uri = str(given.get("uri", ""))
            return await self._tried(call, lambda link: link.read_resource(uri, to))
        if kind == PROMPTS:
            name = str(lists.prompts[index]["name"])
            return await self._tried(call, lambda link: link.get_prompt(name, given, to))
        ref, argument, context = (given.get(key) for key in ("ref", "argument", "context"))
        return await self._tried(call, lambda link: link.complete(ref, argument, context))

    async def _tried(self, call: LocalCall, work: Any, *, may_repeat: bool = True) -> Any:
        """Do it, and once more on a new connection if the first was lost and that does no harm."""
        try:
            async with self._open_link(call) as link:
                return await work(link)
        except ProviderGone as gone:
            if gone.delivered and not may_repeat:
                raise
        async with self._open_link(call) as link:
            return await work(link)

    @contextlib.asynccontextmanager
    async def _open_link(self, call: LocalCall) -> Any:
        headers = await self._credentials.required(self.upstream, call.caller)
        if headers is None:
            yield await self._shared_link()
            return
        async with self._personal.open(headers) as link:
            yield link

    async def _shared_link(self) -> Link:
        if not self._is_linked():
            await self.supervisor.until(self._is_settled, RECOVERY_SECONDS)
        link = self._link
        if link is None and self.supervisor.state is State.NEEDS_LOGIN:
            raise NeedsLogin(self.upstream.name, asyncio.Event(), is_out=True)
        if link is None or link.lost.is_set():
            raise ProviderGone(
                f"The MCP server {self.upstream.name} is not running; it is being started again",
                delivered=False,
            )
        return link

    def _is_settled(self) -> bool:
        return self._is_linked() or self.supervisor.state is State.NEEDS_LOGIN

    def _is_linked(self) -> bool:
        return self._link is not None and not self._link.lost.is_set()


async def _run(link: Link, name: str, call: LocalCall) -> dict[str, Any]:
    options = call.options
    context: Mapping[str, Any] = getattr(options, "context", None) or {}
    interaction = getattr(options, "interaction", None)
    properties = (call.function.parameters or {}).get("properties") or {}
    arguments = call.arguments
    if INTERACTION in arguments and INTERACTION not in properties:
        # For functions that take it as an argument.
        arguments = {key: value for key, value in arguments.items() if key != INTERACTION}
    return await link.call_tool(
        name,
        arguments,
        interaction=interaction,
        meta={key: context[key] for key in _TRACE_KEYS if key in context},
    )


def _of_this_hop_no_more(result: dict[str, Any]) -> dict[str, Any]:
    """A result without what belongs to the exchange with the server; the door adds its own."""
    result.pop("resultType", None)
    meta = {k: v for k, v in (result.pop("_meta", None) or {}).items() if k != _SERVER_INFO}
    return {**result, "_meta": meta} if meta else result


def _described(listing: Any) -> str | None:
    text = listing.server.get("description")
    return text.strip()[:1000] if isinstance(text, str) and text.strip() else None
