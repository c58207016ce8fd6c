"""What is signed here, any reader of JSON Web Tokens takes."""

from __future__ import annotations

import jwt
import pytest

from gateway.auth.signing import ALGORITHM, Signer
from schema.errors import InvalidRequest

KEY = "k" * 64
CLAIMS = {"sub": "ann", "exp": 4_000_000_000, "iat": 1.5, "email": None, "roles": ["späher"]}


def test_another_library_reads_and_verifies_a_token() -> None:
    signer = Signer(KEY)
    token = signer.sign(CLAIMS)
    assert jwt.decode(token, KEY, algorithms=[ALGORITHM]) == CLAIMS
    assert jwt.get_unverified_header(token) == {
        "alg": ALGORITHM,
        "kid": signer.key_id,
        "typ": "JWT",
    }


def test_a_token_is_that_of_another_library_with_the_same_words() -> None:
    signer = Signer(KEY)
    words = {"sub": "ann", "exp": 4_000_000_000}
    headers = {"kid": signer.key_id}
    assert signer.sign(words) == jwt.encode(words, KEY, algorithm=ALGORITHM, headers=headers)


def test_another_key_does_not_verify_it() -> None:
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(Signer(KEY).sign(CLAIMS), "x" * 64, algorithms=[ALGORITHM])


def test_what_json_cannot_carry_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        Signer(KEY).sign({"sub": "\ud800"})
