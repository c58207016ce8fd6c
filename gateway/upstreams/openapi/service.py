"""An HTTP API as a service of the gateway."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gateway.rpc.hosted import LocalCall
from gateway.upstreams import entries
from gateway.upstreams.credentials import Credentials
from gateway.upstreams.entries import Upstream
from gateway.upstreams.loading import api_client
from gateway.upstreams.openapi.document import MAX_BYTES, BadDocument, Document, base_url
from gateway.upstreams.openapi.operations import Operation, operations
from gateway.upstreams.publishing import Publisher
from gateway.upstreams.readable import readable
from gateway.upstreams.supervisor import State, Supervisor
from gateway.upstreams.tools import leaf, paths
from schema.errors import ProviderGone

if TYPE_CHECKING:
    from gateway.upstreams.openapi.calling import Api

logger = logging.getLogger(__name__)

REFRESH_SECONDS: Final = 300.0
"""How often the document is looked at again."""

API_TYPE: Final = "openapi"


class OpenApiService:
    """See the module. The document is read at the start and now and then; requests go out when
    functions are called."""

    def __init__(self, upstream: Upstream, publisher: Publisher, credentials: Credentials) -> None:
        assert isinstance(upstream.target, entries.Document)  # noqa: S101 - whoever makes it looks
        self.upstream = upstream
        self._target = upstream.target
        self._publisher = publisher
        self._credentials = credentials
        self._api: Api | None = None
        self._base_url = ""
        self._operations: dict[str, Operation] = {}
        self._tools: dict[str, dict[str, Any]] = {}
        """What is said of each, by the path of its function."""
        self._omitted: Mapping[str, str] = {}
        self._document: Document | None = None
        self._published: Any = None
        self.supervisor = Supervisor(
            upstream.key, self._serve, is_away=partial(publisher.expect_no_more, upstream)
        )

    def start(self) -> None:
        """Begin to read the document."""
        self._publisher.expect(self.upstream)
        self.supervisor.start()

    async def stop(self) -> None:
        """Offer it no longer."""
        await self.supervisor.stop()
        if self._api is not None:
            await self._api.close()
        self._publisher.withdraw(self.upstream)

    async def restart(self) -> None:
        """Read the document anew."""
        await self.supervisor.restart()

    def review(self) -> None:
        """Offer what is approved now."""
        if self._document is not None:
            self._offer(self._document)

    def status(self) -> dict[str, Any]:
        """How it is, for those who may manage it."""
        names = sorted(operation.name for operation in self._operations.values())
        return {"tools": names, "omitted": dict(self._omitted), "base_url": self._base_url or None}

    async def _serve(self, ready: Callable[[], None]) -> None:
        while True:
            await self._read()
            if self.supervisor.state is not State.RUNNING:
                ready()
            await asyncio.sleep(REFRESH_SECONDS)

    async def _read(self) -> None:
        if self._api is None:
            calling = await api_client()
            self._api = calling.Api(self.upstream, self._target.headers)
        source = self._target.source
        async with asyncio.timeout(self.upstream.start_seconds):
            if "://" in source:
                text = await self._api.document(source, self._target.base_url)
            else:
                text = await asyncio.to_thread(_file, source)
            document = await asyncio.to_thread(Document.parse, text)
        self._base_url = base_url(document, source, self._target.base_url)
        found, omitted = operations(
            document, self._target.include, self._target.exclude, self._target.headers
        )
        shown = {operation.name: readable(operation.tool()) for operation in found}
        for operation in found:
            if shown[operation.name] is None:
                omitted[operation.label] = (
                    "not every client could read what the document says of it"
                )
        for label, reason in omitted.items():
            if label not in self._omitted:
                logger.warning(
                    "operation_omitted upstream=%s operation=%r reason=%r",
                    self.upstream.key,
                    label,
                    reason,
                )
        self._omitted = omitted
        tools = {name: tool for name, tool in shown.items() if tool is not None}
        names = paths(tools)
        self._operations = {names[o.name]: o for o in found if o.name in names}
        self._tools = {path: tools[o.name] for path, o in self._operations.items()}
        await self._publisher.see(self.upstream, list(self._tools.values()))
        self._document = document
        self._offer(document)

    def _offer(self, document: Document) -> None:
        waiting = self._publisher.held(self.upstream)
        held = {path: o.name for path, o in self._operations.items() if o.name in waiting}
        schema = {
            path: leaf(tool["name"], path, tool)
            for path, tool in self._tools.items()
            if path not in held
        }
        if (schema, held) == self._published:
            return
        self._published = schema, held
        self._publisher.publish(
            self.upstream,
            schema,
            self._handle,
            held=held,
            type=API_TYPE,
            name=document.title or self.upstream.name,
            description=(self.upstream.description or document.description)[:1000] or None,
            docs=document.description or None,
        )

    async def _handle(self, call: LocalCall) -> Any:
        operation = self._operations.get(call.function.path)
        if self._api is None or operation is None:
            raise ProviderGone(f"{self.upstream.name} is being read again", delivered=False)
        personal = await self._credentials.required(self.upstream, call.caller)
        return await self._api.call(self._base_url, operation, call.arguments, personal)


def _file(path: str) -> str:
    """Raises BadDocument."""
    try:
        with Path(path).expanduser().open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadDocument(f"The file {path} cannot be read ({error.strerror})") from None
    if len(data) > MAX_BYTES:
        raise BadDocument(f"The file {path} is larger than {MAX_BYTES} bytes")
    return data.decode("utf-8-sig", "replace")
