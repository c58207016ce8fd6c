"""Form bodies: what becomes of fields and files, and what is no form."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.testing import FakeGateway
from http_proxy.forms import MAX_FIELDS
from tests.http_proxy.conftest import MAX_BODY

ECHO = "/ws-lab/services/calc/echo"
FORM = {"content-type": "application/x-www-form-urlencoded"}
MULTIPART = {"content-type": "multipart/form-data; boundary=x"}


@pytest.fixture
def received(gateway: FakeGateway) -> dict[str, Any]:
    """The keyword arguments of the last call of ``calc.take``."""
    received: dict[str, Any] = {}

    def take(**kwargs: Any) -> None:
        received.clear()
        received.update(kwargs)

    gateway.add_service("ws-lab/worker:forms", {"take": take}, visibility="public")
    return received


TAKE = "/ws-lab/services/forms/take"


async def test_fields_are_read_like_parameters_of_a_url(
    client: httpx.AsyncClient, received: dict[str, Any]
) -> None:
    body = "n=1&f=-2.5&t=true&e=&j=%7B%22a%22%3A1%7D&u=h%C3%A9+y&l=1&l=b&workspace=w"
    answer = await client.post(TAKE, content=body, headers=FORM)
    assert answer.status_code == 200
    expected = {"n": 1, "f": -2.5, "t": "true", "e": "", "j": {"a": 1}, "u": "hé y", "l": [1, "b"]}
    assert received == expected


async def test_what_stands_around_the_parts_does_not_count(
    client: httpx.AsyncClient, received: dict[str, Any]
) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n'
    answer = await client.post(TAKE, content=b"before --x\r\n" + part + b"after", headers=MULTIPART)
    assert (answer.status_code, received) == (200, {"a": 1})


async def test_files_are_bytes(client: httpx.AsyncClient, received: dict[str, Any]) -> None:
    files: list[tuple[str, Any]] = [
        ("image", ("a.png", b"\x89PNG\r\n--x\x00", "image/png")),
        ("many", ("1", b"1")),
        ("many", ("2", b"")),
        ("options", (None, b'{"deep": [1]}', "application/json")),
        ("n", (None, b"5")),
        ("raw", (None, b"\xff")),
    ]
    answer = await client.post(TAKE, files=files)
    assert answer.status_code == 200
    assert received == {
        "image": b"\x89PNG\r\n--x\x00",
        "many": [b"1", b""],
        "options": {"deep": [1]},
        "n": 5,
        "raw": b"\xff",
    }


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (FORM, b"a=%ff&b=\xff"),
        (FORM, b"&".join(b"a=1" for _ in range(MAX_FIELDS + 1))),
        (FORM, b"a=%7Bbroken"),
        ({"content-type": "multipart/form-data"}, b"--x--"),
        ({"content-type": f"multipart/form-data; boundary={'x' * 5000}"}, b"--x--"),
        (MULTIPART, b"nothing"),
        (MULTIPART, b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1'),
        (MULTIPART, b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n"),
        (
            MULTIPART,
            b'--x\r\nContent-Disposition: form-data; name="a"\r\nContent-Type: application/json'
            b"\r\n\r\n{\r\n--x--\r\n",
        ),
    ],
)
async def test_what_is_no_form_is_refused(
    client: httpx.AsyncClient, received: dict[str, Any], headers: dict[str, str], body: bytes
) -> None:
    answer = await client.post(TAKE, content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("headers", [FORM, MULTIPART])
async def test_an_empty_form_has_no_arguments(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await client.post(ECHO, headers=headers)
    assert answer.json() == {"args": [], "kwargs": {}}


async def test_a_form_over_the_limit_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post(ECHO, files={"a": b"x" * MAX_BODY})
    assert answer.status_code == 413


async def test_a_foreign_page_cannot_send_a_form_with_the_visitors_cookie(
    client: httpx.AsyncClient,
) -> None:
    cookie = {**FORM, "cookie": "access_token=good", "host": "test"}
    foreign = {**cookie, "origin": "https://evil.example"}
    assert (await client.post(ECHO, content="a=1", headers=foreign)).status_code == 403
    own = {**cookie, "origin": "http://test"}
    assert (await client.post(ECHO, content="a=1", headers=own)).status_code == 200
    token = {**foreign, "authorization": "Bearer good"}
    assert (await client.post(ECHO, content="a=1", headers=token)).status_code == 200
