"""The grammar of names: ``[workspace/][client:]service[@app]``. Parsed here and nowhere else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from schema.errors import InvalidRequest

ANY = "*"
"""Stands for "any client" or "any app" in a query; never for a workspace."""

MANAGER = "~"
"""Service id of the workspace manager in a query (``~`` or ``workspace/~``)."""

MANAGER_WORD = "ws"
"""By which paths name the manager of the workspace that they are in."""

_FORBIDDEN = re.compile(r"[\s*?\[\]{}]")
_CLIENT_ID = re.compile(r"[^\s/:@*|?\[\]{}]{1,128}")
MAX_ID_LENGTH = 512
_SHOWN_LENGTH = 200
"""Characters of a bad id that its refusal repeats."""


@dataclass(frozen=True, slots=True)
class ServiceId:
    """A service, exactly: who offers it and where. ``str()`` gives ``workspace/client:service``."""

    workspace: str
    client_id: str
    service_id: str

    def __str__(self) -> str:
        return f"{self.workspace}/{self.client_id}:{self.service_id}"

    @property
    def provider(self) -> str:
        """Address of the client that offers it."""
        return f"{self.workspace}/{self.client_id}"

    def url(self, base_url: str) -> str:
        """Where it is at the HTTP door of the server at ``base_url``."""
        return f"{base_url}/{self.workspace}/services/{self.client_id}:{self.service_id}"


@dataclass(frozen=True, slots=True)
class ServiceQuery:
    """A request for a service; ``*`` as client or app means any."""

    workspace: str
    service_id: str
    client_id: str = ANY
    app_id: str = ANY

    def __str__(self) -> str:
        return f"{self.workspace}/{self.client_id}:{self.service_id}@{self.app_id}"

    @property
    def is_manager(self) -> bool:
        return self.service_id == MANAGER

    @classmethod
    def parse(cls, text: object, workspace: str) -> ServiceQuery:
        """Parse a query as a caller in ``workspace`` writes it.

        Raises InvalidRequest for a repeated separator, an empty part, or a wildcard or glob
        character anywhere but alone as client or app.
        """
        if not isinstance(text, str) or not text or len(text) > MAX_ID_LENGTH:
            raise InvalidRequest(f"Invalid service id: {_shown(text)}")
        return _parse_query(text, workspace)


@lru_cache(maxsize=4096)
def _parse_query(text: str, workspace: str) -> ServiceQuery:
    """Callers ask for the same few services over and over."""
    rest, target = text, workspace
    if "/" in rest:
        target, _, rest = rest.partition("/")
    client, app = ANY, ANY
    if "@" in rest:
        rest, _, app = rest.partition("@")
    if ":" in rest:
        client, _, rest = rest.partition(":")
    if ANY in (rest, target):
        raise InvalidRequest(
            f"Invalid service id {text!r}: workspace and service cannot be a wildcard"
        )
    for part in (target, rest):
        _check_part(part, text)
    for part in (client, app):
        if part != ANY:
            _check_part(part, text)
    return ServiceQuery(workspace=target, service_id=rest, client_id=client, app_id=app)


def _check_part(part: str, whole: str) -> None:
    # What is not printable, such as marks that turn the direction of text, would let two ids look
    # the same, and a log or a page show another one than is meant.
    if (
        not part
        or _FORBIDDEN.search(part)
        or any(c in part for c in "/:@")
        or not part.isprintable()
    ):
        raise InvalidRequest(f"Invalid service id: {whole!r}")


def _shown(text: object) -> str:
    return repr(text)[:_SHOWN_LENGTH]


def check_client_id(client_id: object) -> str:
    """Return a usable client id.

    Raises InvalidRequest: separators, blanks and characters that nobody sees are not allowed.
    """
    if (
        not isinstance(client_id, str)
        or not _CLIENT_ID.fullmatch(client_id)
        or not client_id.isprintable()
    ):
        raise InvalidRequest(f"Invalid client id: {str(client_id)[:_SHOWN_LENGTH]}")
    return client_id


def parse_registration_id(text: object, workspace: str) -> ServiceId:
    """Parse the id of a registration: ``[workspace/]client:service``. Raises InvalidRequest."""
    if not isinstance(text, str) or len(text) > MAX_ID_LENGTH:
        raise InvalidRequest(f"Invalid service id: {_shown(text)}")
    target, slash, rest = text.partition("/")
    if not slash:
        target, rest = workspace, text
    client, colon, service = rest.partition(":")
    if not colon:
        raise InvalidRequest(f"Service id info must contain ':': {text!r}")
    _check_part(service, text)
    if service == MANAGER:
        raise InvalidRequest(f"Invalid service id {text!r}: it is that of the workspace manager")
    return ServiceId(target, client, service)
