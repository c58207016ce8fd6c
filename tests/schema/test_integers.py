"""Integers that a fast parser of JSON would change."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schema.integers import exactly, has_wide_integer


@pytest.mark.parametrize(
    "document",
    [
        str(2**64),
        str(-(2**63) - 1),
        "9" * 300,
        f'{{"a": [1, {{"b": -{10**19}}}]}}',
        f'{{"id": "{10**30}", "n": {10**30}}}',
        f"[1e5,{2**64}]",
    ],
)
def test_an_integer_beyond_64_bits_is_found(document: str) -> None:
    assert has_wide_integer(document.encode())


@pytest.mark.parametrize(
    "document",
    [
        str(2**64 - 1),
        str(-(2**63)),
        f'{{"id": "{10**30}", "{10**40}": null}}',
        f'"\\"{10**30}"',
        "0.12345678901234567890123456789",
        "123456789012345678901234567890.5",
        "123456789012345678901234567890e-10",
        "1e-00000000000000000000000000001",
        "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]",
    ],
)
def test_texts_floats_and_what_fits_are_not_taken_for_one(document: str) -> None:
    assert not has_wide_integer(document.encode())


def test_a_document_that_nests_too_deep_to_tell_is_not_let_through() -> None:
    document = b"[" * 100_000 + b'"%d"' % 10**30 + b"]" * 100_000
    assert has_wide_integer(document)
    with pytest.raises(ValueError, match="too deep"):
        exactly(document, None)


@pytest.mark.parametrize("value", [{"a": [2**200, -(2**100)]}, {"a": 1.5}])
def test_all_digits_are_read(value: Any) -> None:
    document = json.dumps(value).encode()
    assert exactly(document, {"a": 1.5}) == value
