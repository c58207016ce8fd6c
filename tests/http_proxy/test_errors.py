"""Errors → status codes and bodies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from http_proxy.errors import (
    STATUS,
    MethodNotAllowed,
    NotAcceptable,
    describe,
    error_reply,
    status_of,
    status_of_type,
)
from schema import errors

EXPECTED: dict[type[errors.GatewayError], int] = {
    errors.GatewayError: 500,
    errors.InvalidRequest: 400,
    errors.InvalidArguments: 400,
    errors.InvalidMessage: 400,
    errors.UnsupportedMediaType: 415,
    errors.PayloadTooLarge: 413,
    errors.Unauthenticated: 401,
    errors.TokenRevoked: 401,
    errors.PermissionDenied: 403,
    errors.Blocked: 403,
    errors.FunctionHeld: 403,
    errors.NotFound: 404,
    errors.WorkspaceNotFound: 404,
    errors.ServiceNotFound: 404,
    errors.FunctionNotFound: 404,
    errors.Conflict: 409,
    errors.AmbiguousService: 400,
    errors.LimitExceeded: 429,
    errors.ServiceError: 500,
    errors.ProviderGone: 502,
    errors.CallTimeout: 504,
    errors.CannotAsk: 409,
    errors.Unavailable: 503,
    errors.Overloaded: 503,
    errors.InternalError: 500,
}


def all_errors(root: type[errors.GatewayError]) -> Iterator[type[errors.GatewayError]]:
    yield root
    for child in root.__subclasses__():
        yield from all_errors(child)


def body_of(error: errors.GatewayError, *, as_problem: bool = False) -> dict[str, object]:
    body = orjson.loads(error_reply(error, as_problem=as_problem).body)
    assert isinstance(body, dict)
    return body


@pytest.mark.parametrize(("kind", "status"), EXPECTED.items())
def test_each_error_has_its_status(kind: type[errors.GatewayError], status: int) -> None:
    error = kind("why")
    assert status_of(error) == status
    told = body_of(error)
    assert told == {
        "success": False,
        "code": kind.code,
        "type": kind.__name__,
        "detail": "why",
    }


def test_every_error_of_the_contract_is_in_this_test() -> None:
    declared = {
        kind for kind in all_errors(errors.GatewayError) if kind.__module__ == "schema.errors"
    }
    assert declared == set(EXPECTED)


def test_every_error_of_every_module_has_a_status() -> None:
    for kind in all_errors(errors.GatewayError):
        assert any(cls in STATUS for cls in kind.__mro__)


def test_errors_of_the_door_itself() -> None:
    assert status_of(MethodNotAllowed("PUT", "GET")) == 405
    assert status_of(NotAcceptable("why")) == 406


@pytest.mark.parametrize(
    ("remote_type", "status"),
    [
        ("ValueError", 400),
        ("TypeError", 400),
        ("AssertionError", 400),
        ("ValidationError", 400),
        ("KeyError", 404),
        ("PermissionError", 403),
        ("TimeoutError", 504),
        ("RuntimeError", 500),
        ("ZeroDivisionError", 500),
        ("", 500),
    ],
)
def test_an_error_of_the_service_is_mapped_by_its_type_and_never_by_its_text(
    remote_type: str, status: int
) -> None:
    error = errors.ServiceError("KeyError: not found, Permission denied", remote_type=remote_type)
    assert status_of(error) == status


def test_an_error_of_the_service_tells_its_type_and_message() -> None:
    assert describe(errors.ServiceError("bad", remote_type="ValueError")) == {
        "code": "service_error",
        "type": "ValueError",
        "detail": "ValueError: bad",
    }
    assert describe(errors.ServiceError("bad")) == {
        "code": "service_error",
        "type": "ServiceError",
        "detail": "bad",
    }


def test_data_of_an_error_is_passed_on() -> None:
    error = errors.InvalidArguments("bad", data={"path": ["a", 0]})
    assert body_of(error)["data"] == {"path": ["a", 0]}


@pytest.mark.parametrize(
    ("error", "header"),
    [
        (errors.Unauthenticated("x"), (b"www-authenticate", b"Bearer")),
        (errors.Unavailable("x"), (b"retry-after", b"1")),
        (errors.LimitExceeded("x"), (b"retry-after", b"1")),
        (errors.LimitExceeded("x", retry_after_seconds=0.2), (b"retry-after", b"1")),
        (errors.LimitExceeded("x", retry_after_seconds=2.1), (b"retry-after", b"3")),
        (MethodNotAllowed("PUT", "GET, HEAD"), (b"allow", b"GET, HEAD")),
    ],
)
def test_headers_say_what_to_do_next(
    error: errors.GatewayError, header: tuple[bytes, bytes]
) -> None:
    assert header in error_reply(error).headers


def test_problem_details_follow_their_rfc() -> None:
    error = errors.LimitExceeded("slow down", retry_after_seconds=2)
    reply = error_reply(error, as_problem=True)
    assert (b"content-type", b"application/problem+json") in reply.headers
    assert orjson.loads(reply.body) == {
        "type": "about:blank",
        "title": "Too Many Requests",
        "status": 429,
        "detail": "slow down",
        "code": "limit_exceeded",
    }


def test_an_error_whose_text_is_not_valid_unicode_is_still_told() -> None:
    error = errors.ServiceError("bad \ud800", remote_type="ValueError")
    reply = error_reply(error)
    assert reply.status == 400
    assert rb"ValueError: bad \ud800" in reply.body


def test_the_documentation_has_the_same_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "http.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d{3}) \| (.+?) \|", page, re.MULTILINE)
    told = {code: int(status) for status, codes in rows for code in re.findall(r"`(\w+)`", codes)}
    modules = {kind.__module__ for kind in STATUS}
    kinds = [kind for kind in all_errors(errors.GatewayError) if kind.__module__ in modules]
    assert told == {kind.code: status_of_type(kind) for kind in kinds}
