"""Tokens that are of use to their owner alone: each request proves that it has the key which the
token is bound to (RFC 9449)."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any, Final

import httpx2
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

PROOF: Final = "DPoP"
"""The header with the proof, and the scheme of Authorization that goes with it."""
NONCE: Final = "DPoP-Nonce"
USE_NONCE: Final = "use_dpop_nonce"
_ALGORITHM: Final = "ES256"


class Dpop:
    """The key of one login. ``is_bound``: the token is bound to it."""

    def __init__(self, pem: str | None = None, *, is_bound: bool = False) -> None:
        """``pem`` is a key as ``record`` has it; without one a key is made. Raises ValueError."""
        key = (
            serialization.load_pem_private_key(pem.encode(), None)
            if pem is not None
            else ec.generate_private_key(ec.SECP256R1())
        )
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("It is no key for ES256")
        self._key = key
        self._public = json.loads(ECAlgorithm.to_jwk(key.public_key()))
        self._nonces: dict[str, str] = {}
        self.is_bound = is_bound

    def proof(self, method: str, url: str, token: str | None = None) -> str:
        """For one request; ``token`` is what it goes with."""
        target = httpx2.URL(url).copy_with(query=None, fragment=None)
        claims: dict[str, Any] = {
            "htm": method,
            "htu": str(target),
            "iat": int(time.time()),
            "jti": secrets.token_urlsafe(16),
        }
        if token is not None:
            claims["ath"] = _hashed(token)
        nonce = self._nonces.get(_origin(url))
        if nonce is not None:
            claims["nonce"] = nonce
        headers = {"typ": "dpop+jwt", "jwk": self._public}
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers=headers)

    def wants(self, url: str, nonce: str | None) -> bool:
        """A server has asked for a nonce in the proofs that it gets: whether that is a new one."""
        origin = _origin(url)
        if not nonce or self._nonces.get(origin) == nonce:
            return False
        self._nonces[origin] = nonce
        return True

    def record(self) -> dict[str, Any]:
        """As it is kept."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {"key": pem.decode(), "is_bound": self.is_bound}


def kept(record: object) -> Dpop | None:
    """What was kept; None if there is nothing of use."""
    if not isinstance(record, Mapping) or not isinstance(record.get("key"), str):
        return None
    try:
        return Dpop(record["key"], is_bound=bool(record.get("is_bound")))
    except ValueError:
        return None


def unbound(response: httpx2.Response) -> tuple[httpx2.Response, bool]:
    """The answer of a token endpoint as it would be without binding, which is all that the SDK
    reads, and whether its token is bound (RFC 9449, section 5)."""
    try:
        content = json.loads(response.text)
    except (ValueError, RecursionError):
        return response, False
    if not isinstance(content, dict) or str(content.get("token_type")).lower() != "dpop":
        return response, False
    content["token_type"] = "Bearer"  # noqa: S105 - the name of a kind
    text = json.dumps(content)
    return httpx2.Response(response.status_code, text=text, request=response.request), True


def _hashed(token: str) -> str:
    digest = hashlib.sha256(token.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _origin(url: str) -> str:
    parts = httpx2.URL(url)
    return f"{parts.scheme}://{parts.netloc.decode()}"
