"""Sign JSON Web Tokens with HMAC-SHA256 (RFC 7515, sections 5.1 and 7.1). Reading is PyJWT's.

PyJWT would find out anew for each token whether its key is a certificate by mistake; connecting a
client takes a token or two, and that was a fifth of what it cost.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Final

import orjson

from schema.errors import InvalidRequest

ALGORITHM: Final = "HS256"


class Signer:
    """Signs with one key."""

    def __init__(self, key: str) -> None:
        self.key_id = key_id(key)
        self._key = key.encode()
        header = {"alg": ALGORITHM, "kid": self.key_id, "typ": "JWT"}
        self._header = _base64url(orjson.dumps(header))

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A token with these claims. Raises InvalidRequest for what JSON cannot carry."""
        try:
            payload = orjson.dumps(claims)
        except TypeError as error:  # such as half a surrogate pair in a name
            raise InvalidRequest(f"Not allowed in a token: {error}") from None
        signed = b"%b.%b" % (self._header, _base64url(payload))
        signature = hmac.digest(self._key, signed, hashlib.sha256)
        return (b"%b.%b" % (signed, _base64url(signature))).decode("ascii")


def key_id(key: str) -> str:
    """The name of a key (RFC 7515, section 4.1.4), which says nothing about it."""
    return hashlib.sha256(b"kid " + key.encode()).hexdigest()[:16]


def _base64url(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
