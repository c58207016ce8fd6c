"""Protected resources: the canonical URL of each MCP endpoint, and what clients are told about it.

A token that was issued for one endpoint is good there and nowhere else (RFC 8707), so each endpoint
needs one name, whatever host name and spelling its client uses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from gateway.settings import LOOPBACK_HOSTS
from schema.identity import Permission
from schema.ids import MANAGER_WORD

METADATA_PATH: Final = "/.well-known/oauth-protected-resource"
"""RFC 9728 section 3."""

_ENDPOINT: Final = re.compile(r"/([^/]+)/mcp(?:/([^/]+)/mcp)?")
_SAFE: Final = ":@*~"

SCOPES: Final[Mapping[str, Permission]] = {
    "read": Permission.READ,
    "read_write": Permission.READ_WRITE,
}
"""What a client can ask for. Administration is for people who log in, and not for their agents."""

DEFAULT_SCOPE: Final = "read"
"""Enough to list and call tools."""


@dataclass(frozen=True, slots=True)
class Resource:
    """An MCP endpoint, or all of them (``workspace`` is None)."""

    url: str
    workspace: str | None = None
    service: str | None = None

    @property
    def is_manager(self) -> bool:
        """Whether it is the workspace itself, and not a service in it."""
        return self.service == MANAGER_WORD


class Resources:
    """All endpoints of this server. ``servers`` are the authorization servers to log in at."""

    def __init__(self, base_url: str, servers: Sequence[str]) -> None:
        self._base_url = base_url
        self._parts = urlsplit(base_url)
        self._servers = list(servers)

    def canonical(self, workspace: str, service: str | None) -> str:
        """The URL that tokens for an endpoint name as their audience."""
        path = f"/{quote(workspace, safe=_SAFE)}/mcp"
        if service is not None:
            path += f"/{quote(service, safe=_SAFE)}/mcp"
        return self._base_url + path

    def audiences(self, path: Mapping[str, str]) -> tuple[str, str]:
        """Audiences that are accepted at the endpoint with these path parameters."""
        return self.canonical(path["workspace"], path.get("service")), self._base_url

    def parse(self, url: str) -> Resource | None:
        """The endpoint that a URL means (RFC 8707 ``resource``); None if it is not one of ours."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            return None
        if parts.query or parts.fragment or parts.scheme != self._parts.scheme:
            return None
        same = (host, port) == (self._parts.hostname, self._parts.port)
        if not same and not (self._is_loopback(host) and port == self._parts.port):
            return None
        prefix = self._parts.path
        if not parts.path.startswith(prefix):
            return None
        path = parts.path.removeprefix(prefix).rstrip("/")
        if not path:
            return Resource(self._base_url)
        match = _ENDPOINT.fullmatch(path)
        if match is None:
            return None
        workspace, service = unquote(match[1]), unquote(match[2]) if match[2] else None
        return Resource(self.canonical(workspace, service), workspace, service)

    def metadata(self, path: str, host: str | None) -> dict[str, Any] | None:
        """The document for the endpoint at ``path`` (RFC 9728 section 2); None if there can be no
        endpoint. Clients compare ``resource`` with the URL they use, so it has their host name."""
        origin = self._origin(host)
        found = self.parse(self._base_url + quote(path, safe=f"/{_SAFE}"))
        if found is None:
            return None
        return {
            "resource": origin + found.url.removeprefix(self._base_url),
            "authorization_servers": self._servers,
            "scopes_supported": list(SCOPES),
            "bearer_methods_supported": ["header"],
            "resource_name": found.service or found.workspace or "Polyport",
        }

    def challenge(
        self, path: Mapping[str, str], host: str | None, *, error: str | None = None
    ) -> str:
        """``WWW-Authenticate`` of a refusal (RFC 6750 section 3, RFC 9728 section 5.1).
        ``error`` is None for a request that brought no token."""
        origin = self._origin(host)
        endpoint = self.canonical(path["workspace"], path.get("service"))
        # RFC 9728 section 3.1 puts the well-known part in front of the whole path; only what is
        # below the base path reaches this server, so there it is behind that.
        document = f"{origin}{METADATA_PATH}{endpoint.removeprefix(self._base_url)}"
        parts = ['Bearer realm="polyport"', f'resource_metadata="{document}"']
        scope = DEFAULT_SCOPE if error != "insufficient_scope" else " ".join(SCOPES)
        parts.append(f'scope="{scope}"')
        if error is not None:
            parts.insert(1, f'error="{error}"')
        return ", ".join(parts)

    def _origin(self, host: str | None) -> str:
        """The base URL, with the loopback name that the client uses."""
        own = self._parts
        try:
            asked = urlsplit(f"//{host}") if host else None
            name = asked.hostname if asked else None
            if asked is None or asked.port != own.port or not self._is_loopback(name):
                return self._base_url
        except ValueError:
            return self._base_url
        return f"{own.scheme}://{asked.netloc}{own.path}"

    def _is_loopback(self, host: str | None) -> bool:
        """Whether it is another name of this machine, as clients on it use them."""
        return host in LOOPBACK_HOSTS and self._parts.hostname in LOOPBACK_HOSTS
