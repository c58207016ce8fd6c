"""The manifest of requirements is complete in itself: each is shown, or admits that it is not."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

from tests.behaviour.requirements import REQUIREMENTS

ROOT = Path(__file__).parent.parent.parent
HERE = Path(__file__).parent
MAX_GAPS = 0
"""Gaps are few; closing one lowers this."""

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def defined_in(path: Path) -> frozenset[str]:
    """Tests that a file defines, those in classes as ``Class::test``."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {
            prefix + member.name
            for member in members
            if isinstance(member, FUNCTIONS) and member.name.startswith("test_")
        }
    return frozenset(found)


def test_every_requirement_has_an_id_of_its_own() -> None:
    counted = Counter(r.id for r in REQUIREMENTS)
    assert [name for name, count in counted.items() if count > 1] == []
    assert [n for n in counted if not re.fullmatch(r"W\d+(\.\d+)?-[a-z0-9]+(-[a-z0-9]+)*", n)] == []


def test_every_requirement_is_shown_by_a_test_or_admits_a_gap() -> None:
    assert [r.id for r in REQUIREMENTS if bool(r.tests) is (r.gap is not None)] == []
    assert sum(r.gap is not None for r in REQUIREMENTS) <= MAX_GAPS


def test_every_test_that_is_named_exists() -> None:
    missing = [
        f"{requirement.id}: {test}"
        for requirement in REQUIREMENTS
        for test in requirement.tests
        if not exists(test)
    ]
    assert missing == []


def exists(node_id: str) -> bool:
    name, _, test = node_id.partition("::")
    path = ROOT / name
    return path.is_file() and test in defined_in(path)


def test_every_test_of_the_behaviour_is_required() -> None:
    named = {test for requirement in REQUIREMENTS for test in requirement.tests}
    unnamed = [
        test
        for path in sorted(HERE.glob("test_*.py"))
        if path != Path(__file__)
        for test in sorted(defined_in(path))
        if f"{path.relative_to(ROOT)}::{test}" not in named
    ]
    assert unnamed == []
