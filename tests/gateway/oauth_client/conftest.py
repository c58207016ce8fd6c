"""A server that wants a login, and its authorization server, as the login meets them."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.shared.auth import AuthorizationCodeResult

from gateway.oauth_client.client import OAuthClient
from gateway.oauth_client.config import ClientConfig

SERVER = "https://files.example/mcp"
ISSUER = "https://auth.example"
CALLBACK = "https://gateway.example/callback"


@dataclass
class Site:
    """Answers the requests; what it is can be changed, and ``seen`` has all that came."""

    resource: str = SERVER
    metadata: dict[str, Any] = field(default_factory=dict)
    issuer: str = ISSUER
    registration: dict[str, Any] = field(default_factory=dict)
    token: dict[str, Any] = field(default_factory=dict)
    refusals: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    """What is answered for a path, or for a kind of grant, in place of what would be."""
    seen: list[httpx2.Request] = field(default_factory=list)
    count: int = 0

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append(request)
        grant = self.form(request).get("grant_type", "")
        refused = self.refusals.get(grant) or self.refusals.get(request.url.path)
        status, content = refused or self.answer(request)
        return httpx2.Response(status, content=json.dumps(content), request=request)

    def answer(self, request: httpx2.Request) -> tuple[int, dict[str, Any]]:
        match request.url.path:
            case "/.well-known/oauth-protected-resource/mcp":
                return 200, {"resource": self.resource, "authorization_servers": [self.issuer]}
            case "/.well-known/oauth-authorization-server":
                return 200, self.described() | self.metadata
            case "/register":
                return 201, {"client_id": "dynamic", **json.loads(request.content)} | (
                    self.registration
                )
            case "/token":
                self.count += 1
                given = {"access_token": f"token-{self.count}", "token_type": "Bearer"}
                return 200, given | self.token
        return 404, {}

    def described(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "registration_endpoint": f"{self.issuer}/register",
            "code_challenge_methods_supported": ["S256"],
        }

    def form(self, request: httpx2.Request) -> dict[str, str]:
        if "form" not in request.headers.get("content-type", ""):
            return {}
        return {key: values[0] for key, values in parse_qs(request.content.decode()).items()}

    @property
    def paths(self) -> list[str]:
        return [request.url.path for request in self.seen]

    def tokens(self) -> list[dict[str, str]]:
        """What came to the token endpoint."""
        return [self.form(each) for each in self.seen if each.url.path == "/token"]


class Memory:
    """What is kept of a login."""

    def __init__(self) -> None:
        self.record: dict[str, Any] | None = None

    async def load(self) -> dict[str, Any] | None:
        return json.loads(json.dumps(self.record))  # type: ignore[no-any-return]

    async def save(self, record: dict[str, Any]) -> None:
        self.record = json.loads(json.dumps(record))


@dataclass
class Person:
    """Follows the link. ``brings`` is what the browser comes back with, beside the state."""

    brings: dict[str, Any] = field(default_factory=lambda: {"code": "the-code", "iss": ISSUER})
    asked: list[dict[str, str]] = field(default_factory=list)

    async def __call__(self, url: str) -> AuthorizationCodeResult:
        asked = {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
        self.asked.append(asked)
        return AuthorizationCodeResult(**{"state": asked["state"], **self.brings})


def client(site: Site, memory: Memory, person: Person | None = None, **config: Any) -> OAuthClient:
    """A client of the server."""
    config = {"server_url": SERVER, "redirect_uri": CALLBACK, **config}
    return OAuthClient(ClientConfig(**config), memory, site, person)


def challenge_of(verifier: str) -> str:
    """RFC 7636, section 4.2."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
