from __future__ import annotations

import pytest

from gateway.rpc.values import decode_error, make_targets_absolute

PYTHON_TRACE = """Traceback (most recent call last):
  File "service.py", line 3, in f
    raise ValueError("bad thing")
ValueError: bad thing
"""


def error(value: str, trace: str = "") -> dict[str, str]:
    return {"_rtype": "error", "_rvalue": value, "_rtrace": trace}


@pytest.mark.parametrize(
    ("value", "remote_type", "message"),
    [
        (error("bad thing", PYTHON_TRACE), "ValueError", "bad thing"),
        (error(PYTHON_TRACE), "ValueError", "bad thing"),
        (error("Traceback (most recent call last):\nKeyError: 'k'\n"), "KeyError", "'k'"),
        (error("Traceback (most recent call last):\na.b.LabError: x\ny\n"), "LabError", "x\ny"),
        (error("TypeError: takes 1"), "TypeError", "takes 1"),
        (error("out of paper"), "", "out of paper"),
        (error("note: not a type"), "", "note: not a type"),
        (error("", "Traceback (most recent call last):\nAssertionError\n"), "AssertionError", ""),
        ("plain text", "", "plain text"),
        (None, "", "The service failed"),
    ],
)
def test_a_rejection_is_read_as_type_and_message(
    value: object, remote_type: str, message: str
) -> None:
    decoded = decode_error(value)
    assert decoded.remote_type == remote_type
    assert decoded.message == (message or remote_type)


def test_the_traceback_of_a_provider_is_not_part_of_the_message() -> None:
    assert "File" not in decode_error(error(PYTHON_TRACE)).message


def test_relative_targets_become_absolute_at_any_depth() -> None:
    value = {
        "f": {"_rtype": "method", "_rtarget": "c"},
        "ns": [{"g": {"_rtype": "method", "_rtarget": "other/c"}}, {"_rtarget": "*/m"}],
    }
    assert make_targets_absolute(value, "w") == {
        "f": {"_rtype": "method", "_rtarget": "w/c"},
        "ns": [{"g": {"_rtype": "method", "_rtarget": "other/c"}}, {"_rtarget": "*/m"}],
    }
