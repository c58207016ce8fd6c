"""What an upstream is shown to prove for whom it works.

In this order: what the caller sent along for it, what the user has stored for it, and what its
configuration says. The token with which the caller came to the gateway is never among them: it was
made for the gateway (revision 2026-07-28, authorization, token passthrough).
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from gateway.requests import upstream_credentials
from gateway.storage.sealing import CannotOpen, SealedBox
from gateway.upstreams.entries import Document, Program, Remote, Upstream
from schema.errors import InvalidRequest, Unauthenticated
from schema.identity import Caller

if TYPE_CHECKING:  # loads the database library
    from gateway.storage.upstreams import UpstreamRepository

logger = logging.getLogger(__name__)

AUTHORIZATION: Final = "Authorization"
MAX_CREDENTIAL: Final = 8_192
MAX_REMEMBERED: Final = 10_000


class StoredCredentials:
    """What users have stored, sealed; without a repository for as long as the server runs.

    It is bound to the place that it was stored for: an upstream that moves to another host does not
    get it there.
    """

    GATEWAY: Final = ""
    """Stands for the gateway itself, in place of a user, of whom none is called so."""

    def __init__(self, box: SealedBox, repository: UpstreamRepository | None) -> None:
        self._box = box
        self._repository = repository
        self._known: OrderedDict[tuple[str, str], bytes | None] = OrderedDict()

    async def get(self, upstream: Upstream, user_id: str) -> str | None:
        """The credential of a user, or None."""
        key = upstream.key, user_id
        if key in self._known:
            self._known.move_to_end(key)
        elif self._repository is not None:
            stored = await self._repository.credential(*key)
            if key not in self._known:  # else it was stored or forgotten meanwhile
                self._keep(key, stored)
        sealed = self._known.get(key)
        if sealed is None:
            return None
        try:
            return self._box.open(sealed, _place(upstream, user_id)).decode()
        except CannotOpen:
            logger.warning("upstream_credential_unusable upstream=%s", upstream.key)
            return None

    async def put(self, upstream: Upstream, user_id: str, credential: str) -> None:
        """Keep a credential in place of the one before. Raises InvalidRequest."""
        await self.keep(upstream, user_id, _checked(credential))

    async def keep(self, upstream: Upstream, user_id: str, text: str) -> None:
        """Keep a text that is not for a header as it is, in place of the one before."""
        sealed = self._box.seal(text.encode(), _place(upstream, user_id))
        key = upstream.key, user_id
        if self._repository is not None:
            await self._repository.put_credential(*key, sealed, now=time.time())
        self._keep(key, sealed)

    async def remove(self, upstream: Upstream, user_id: str) -> bool:
        """Forget it; False if there was none."""
        key = upstream.key, user_id
        if self._repository is None:
            return self._known.pop(key, None) is not None
        self._keep(key, None)
        return await self._repository.remove_credential(*key)

    def forget(self, upstream: Upstream) -> None:
        """The upstream is gone for good; the repository has been told."""
        for key in [key for key in self._known if key[0] == upstream.key]:
            del self._known[key]

    def _keep(self, key: tuple[str, str], sealed: bytes | None) -> None:
        self._known[key] = sealed
        self._known.move_to_end(key)
        if self._repository is not None and len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)


class Credentials:
    """Finds the credential for a call."""

    def __init__(self, stored: StoredCredentials) -> None:
        self._stored = stored

    async def required(self, upstream: Upstream, caller: Caller) -> Mapping[str, str] | None:
        """Headers for the calls of one user, or None if the shared connection serves them.

        Raises Unauthenticated if every user needs a credential, and this one has none.
        """
        if isinstance(upstream.target, Program):
            return None
        value = upstream_credentials().get(upstream.name.lower())
        if value is not None:
            value = _checked(value)
        elif not caller.user.is_anonymous:
            value = await self._stored.get(upstream, caller.user.effective_id)
        if value is not None:
            return {AUTHORIZATION: value}
        if upstream.per_user:
            raise Unauthenticated(
                f"{upstream.name} needs a credential of your own: store one with "
                "mcp-servers.set_credential, or send it in the header "
                f"X-Upstream-{upstream.name}-Authorization"
            )
        return None


def _checked(credential: str) -> str:
    """As the value of an Authorization header; a token alone is a bearer token (RFC 6750)."""
    value = credential.strip()
    if not value or len(value) > MAX_CREDENTIAL or not (value.isascii() and value.isprintable()):
        raise InvalidRequest("A credential is printable ASCII text, of 8192 characters at most")
    return value if " " in value else f"Bearer {value}"


def _place(upstream: Upstream, user_id: str) -> str:
    target = upstream.target
    url = ""
    if isinstance(target, Remote):
        url = target.url
    elif isinstance(target, Document):
        url = target.base_url or target.source
    parts = urlsplit(url)
    return f"upstream_credentials/{upstream.key}/{user_id}/{parts.scheme}://{parts.netloc}"
