"""Connections with one host that is an upstream, kept for the next request.

A request goes out exactly as it was put together, once: nothing is followed or repeated here, and
no cookie and no proxy of the environment has a part in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from gateway.addresses import NotPublic, public_address
from gateway.upstreams.http_client import CONNECT_SECONDS, trust
from gateway.upstreams.http_connection import Connection

MAX_CONNECTIONS: Final = 200
MAX_IDLE: Final = 20
IDLE_SECONDS: Final = 5.0
"""Servers close a connection that was idle for a while, and a request that meets that is lost."""
FRAMING: Final = frozenset({"connection", "content-length", "host", "transfer-encoding"})
"""Headers that whoever sends a request decides, and not the entry of an upstream."""
_IN_TARGET: Final = "/?%:@!$&'()*+,;=~[]-._"
"""What has a meaning in a URL, or is encoded already."""


class CannotConnect(Exception):
    """No connection could be had, so nothing was sent."""


class Host:
    """Connections with the host of a URL. ``may_be_private``: it may be in a private network."""

    def __init__(self, url: str, *, may_be_private: bool) -> None:
        parts = urlsplit(url)
        self._name = _ascii(parts.hostname or "")
        self._is_encrypted = parts.scheme == "https"
        self._port = parts.port or (443 if self._is_encrypted else 80)
        self._may_be_private = may_be_private
        self._idle: deque[tuple[float, Connection]] = deque()
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)
        self._used: set[Connection] = set()
        name = f"[{self._name}]" if ":" in self._name else self._name
        self.authority = name if parts.port is None else f"{name}:{parts.port}"
        """As the header ``Host`` has it."""

    @contextlib.asynccontextmanager
    async def sent(self, request: bytes, method: str = "POST") -> AsyncIterator[Connection]:
        """The connection on which the head of the answer has come. It is hung up if the caller
        leaves before the end of the body. Raises CannotConnect and ConnectionFailed."""
        async with self._free:
            connection = self._kept() or await self._connect()
            self._used.add(connection)
            try:
                await connection.exchange(request, has_body=method != "HEAD")
                yield connection
            except BaseException:
                connection.close()
                raise
            finally:
                self._used.discard(connection)
                connection.finish(partial(self._keep, connection))

    def close(self) -> None:
        """Hang up, also what is in use."""
        for connection in [*self._used, *(kept for _, kept in self._idle)]:
            connection.close()
        self._idle.clear()

    def _kept(self) -> Connection | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            since, connection = self._idle.pop()
            if connection.is_usable and now - since < IDLE_SECONDS:
                return connection
            connection.close()
        return None

    def _keep(self, connection: Connection) -> None:
        self._idle.append((asyncio.get_running_loop().time(), connection))
        if len(self._idle) > MAX_IDLE:
            self._idle.popleft()[1].close()

    async def _connect(self) -> Connection:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await self._opened()
        except TimeoutError:
            raise CannotConnect(f"{self._name} does not answer") from None
        except NotPublic:
            raise CannotConnect(f"{self._name} is at a private or local address") from None
        except ssl.SSLError as error:
            raise CannotConnect(f"{self._name}: {error.reason or 'TLS failed'}") from None
        except OSError as error:
            raise CannotConnect(f"{self._name}: {error.strerror or 'it has no address'}") from None

    async def _opened(self) -> Connection:
        address = self._name
        if not self._may_be_private:
            address = await public_address(self._name, self._port)
        _, connection = await asyncio.get_running_loop().create_connection(
            Connection,
            address,
            self._port,
            ssl=trust() if self._is_encrypted else None,
            server_hostname=self._name if self._is_encrypted else None,
        )
        return connection


def head(method: str, target: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """The beginning of a request, without the empty line after it.

    Raises CannotConnect for what would be more than one header (CWE-113).
    """
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    text = "\r\n".join(lines)
    if not text.isascii() or text.count("\r") + text.count("\n") != 2 * (len(lines) - 1):
        raise CannotConnect("A header is not printable ASCII text")
    return text.encode("ascii") + b"\r\n"


def request_of(method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
    """A whole request for a URL. Raises CannotConnect as ``head`` does."""
    return b"%b\r\n%b" % (head(method, target_of(url), headers), body)


def is_same_origin(url: str, other: str) -> bool:
    """Whether two URLs have one scheme, host and port (RFC 6454)."""
    return _origin(url) == _origin(other)


def redirected(url: str, location: str | None) -> str | None:
    """Where a redirect of a request for ``url`` leads, if that is on the same host; credentials
    must not go to another one."""
    try:
        found = urljoin(url, location or "")
        is_good = "@" not in urlsplit(found).netloc and is_same_origin(found, url)
    except ValueError:
        return None
    return found if location and is_good else None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def target_of(url: str) -> str:
    """What a request for a URL has in its first line (RFC 9112, section 3.2.1)."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return quote(target, safe=_IN_TARGET)


def _ascii(host: str) -> str:
    """A host name as DNS has it (RFC 5890); as it is if that cannot be."""
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host
