"""Every line of the security requirements has a test with its number in its name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
_NAME = re.compile(r"def (test_\w+)\(")
_NUMBER = re.compile(r"(?:^|_)([SN])(\d{1,2})(?=_)", re.IGNORECASE)

NUMBERS = [f"S{n}" for n in range(1, 42)] + [f"N{n}" for n in range(1, 17)]


def numbered() -> dict[str, set[str]]:
    """Names of tests by the number of the line that they are for."""
    found: dict[str, set[str]] = {}
    for path in TESTS.rglob("test_*.py"):
        if "node_modules" in path.parts:
            continue
        for name in _NAME.findall(path.read_text("utf-8")):
            for letter, digits in _NUMBER.findall(name):
                found.setdefault(f"{letter.upper()}{int(digits)}", set()).add(name)
    return found


@pytest.fixture(scope="module")
def tests() -> dict[str, set[str]]:
    return numbered()


@pytest.mark.parametrize("number", NUMBERS)
def test_each_line_has_a_test(tests: dict[str, set[str]], number: str) -> None:
    assert tests.get(number)


def test_no_number_is_made_up(tests: dict[str, set[str]]) -> None:
    assert set(tests) == set(NUMBERS)
