"""Every error of the gateway has its place in the table."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mcp_bridge.errors import INTERNAL, RULES, Failure, endpoint_failure
from schema import errors


def all_errors(base: type[errors.GatewayError]) -> Iterator[type[errors.GatewayError]]:
    yield base
    for cls in base.__subclasses__():
        if cls.__module__ == "schema.errors":
            yield from all_errors(cls)


def test_the_table_is_total() -> None:
    assert set(RULES) == set(all_errors(errors.GatewayError))


@pytest.mark.parametrize("cls", list(all_errors(errors.GatewayError)))
def test_a_failure_carries_the_stable_code(cls: type[errors.GatewayError]) -> None:
    failure = endpoint_failure(cls("text"))
    assert failure.data == {"code": cls.code}
    assert failure.status is not None
    assert 400 <= failure.status < 600


def test_an_error_of_an_extension_is_shown_as_what_it_derives_from() -> None:
    class Own(errors.NotFound):
        code = "own"

    assert endpoint_failure(Own("x")).status == 404


def test_a_defect_does_not_show_its_message() -> None:
    assert endpoint_failure(errors.InternalError("secret")).message == INTERNAL.message


def test_a_limit_says_when_to_come_back() -> None:
    failure = endpoint_failure(errors.LimitExceeded("slow down", retry_after_seconds=1.6))
    assert (failure.status, failure.headers) == (429, ((b"retry-after", b"2"),))


@pytest.mark.parametrize(
    ("code", "modern"),
    [
        (-32700, 400),
        (-32600, 400),
        (-32602, 400),
        (-32020, 400),
        (-32021, 400),
        (-32022, 400),
        (-32601, 404),
        (-32603, 200),
    ],
)
def test_the_status_of_a_code_depends_on_the_era(code: int, modern: int) -> None:
    failure = Failure(code, "x")
    assert failure.http_status(is_modern=True) == modern
    assert failure.http_status(is_modern=False) == 200
