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

MESSAGES_AND_FUNCTIONS = re.compile(r"W[234]\.")
OVER_BOTH = {"join", "connect_over"}
"""Fixtures that connect clients by each transport in turn."""

BELOW_TRANSPORTS = ("tests/gateway/", "tests/schema/", "tests/http_proxy/")
RUN_AGAIN_OVER_HTTP = "tests/clients/test_hypha_rpc_python.py"
BY_WEBSOCKET = {
    "W2.9-disposed": "a client over HTTP cannot say goodbye; its end is that of the grace, W5.4",
    "W3.8-foreign-callers": "as W2.9-disposed",
    "W3.8-order": "as W2.9-disposed",
    "W3.2-client-side": "the library adds export, get_app and probes to websocket clients alone",
}
"""What is shown with websocket clients only, and why."""


@cache
def defined_in(path: Path) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """Tests that a file defines, those in classes as ``Class::test``."""
    found: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        functions = (m for m in members if isinstance(m, ast.FunctionDef | ast.AsyncFunctionDef))
        found |= {prefix + f.name: f for f in functions if f.name.startswith("test_")}
    return found


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


def runs_over_both(node_id: str) -> bool:
    name, _, test = node_id.partition("::")
    if name.startswith(BELOW_TRANSPORTS) or name == RUN_AGAIN_OVER_HTTP:
        return True
    function = defined_in(ROOT / name)[test]
    named = any("transport" in ast.unparse(decorator) for decorator in function.decorator_list)
    return named or not OVER_BOTH.isdisjoint(a.arg for a in function.args.args)


def test_messages_and_functions_are_shown_over_both_transports() -> None:
    by_websocket = {
        requirement.id
        for requirement in REQUIREMENTS
        if MESSAGES_AND_FUNCTIONS.match(requirement.id)
        and not any(map(runs_over_both, requirement.tests))
    }
    assert by_websocket == BY_WEBSOCKET.keys()


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
