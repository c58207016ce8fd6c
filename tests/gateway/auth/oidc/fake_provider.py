"""A provider in memory: its documents, its keys, and whatever tokens a test wants from it."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

ISSUER = "https://issuer.example"
CLIENT = "polyport"


class FakeProvider:
    """Answers what a provider answers. ``requests`` are the paths it was asked for."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.keys: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/jwks",
        }
        self.answer: tuple[int, Any] = (200, {})
        self.form: dict[str, str] = {}
        self.is_down = False
        self.add_key("one")

    def add_key(self, key_id: str) -> None:
        self.keys[key_id] = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def web(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self._handle))

    def token(self, key_id: str = "one", algorithm: str = "RS256", **changes: Any) -> str:
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": CLIENT, "sub": "ada", "iat": now, "exp": now + 300}
        claims = {name: v for name, v in (claims | changes).items() if v is not None}
        return jwt.encode(claims, self.keys[key_id], algorithm, headers={"kid": key_id})

    @property
    def public_keys(self) -> dict[str, Any]:
        algorithm = jwt.algorithms.RSAAlgorithm
        entries = [
            {**json.loads(algorithm.to_jwk(key.public_key())), "kid": key_id, "use": "sig"}
            for key_id, key in self.keys.items()
            if not isinstance(key, ec.EllipticCurvePrivateKey)
        ]
        return {"keys": entries}

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request.url.path)
        if self.is_down:
            raise httpx.ConnectError("down")
        if request.url.path == "/.well-known/openid-configuration":
            return httpx.Response(200, json=self.metadata)
        if request.url.path == "/jwks":
            return httpx.Response(200, json=self.public_keys)
        self.form = dict(httpx.QueryParams(request.content.decode()))
        status, body = self.answer
        return httpx.Response(status, json=body)
