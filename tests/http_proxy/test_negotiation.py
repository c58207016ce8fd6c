"""Media types of requests and answers."""

from __future__ import annotations

import pytest

from http_proxy.negotiation import Formats, Media, media_of, negotiate


@pytest.mark.parametrize(
    ("content_type", "media"),
    [
        (None, Media.JSON),
        (b"application/json", Media.JSON),
        (b"application/json; charset=utf-8", Media.JSON),
        (b"Application/JSON;charset=UTF-8", Media.JSON),
        (b"application/vnd.api+json", Media.JSON),
        (b"application/ld+json; profile=x", Media.JSON),
        (b"application/msgpack", Media.MSGPACK),
        (b"application/x-msgpack", Media.MSGPACK),
        (b"application/vnd.msgpack", Media.MSGPACK),
        (b"application/x-www-form-urlencoded", Media.FORM),
        (b"multipart/form-data; boundary=x", Media.MULTIPART),
        (b"text/plain", Media.OTHER),
        (b"", Media.OTHER),
        (b"\xff\xfe", Media.OTHER),
    ],
)
def test_the_content_of_a_request_is_told_by_its_media_type(
    content_type: bytes | None, media: Media
) -> None:
    assert media_of(content_type) is media


@pytest.mark.parametrize(
    ("accept", "content_type", "value"),
    [
        (None, None, Media.JSON),
        (None, b"application/json", Media.JSON),
        (None, b"application/msgpack", Media.MSGPACK),
        (b"*/*", b"application/msgpack", Media.MSGPACK),
        (b"application/*", b"application/msgpack", Media.MSGPACK),
        (b"application/msgpack", None, Media.MSGPACK),
        (b"application/x-msgpack", b"application/json", Media.MSGPACK),
        (b"application/json", b"application/msgpack", Media.JSON),
        (b"text/html, application/msgpack;q=0.9, */*;q=0.1", None, Media.MSGPACK),
        (b"application/json;q=0.5, application/msgpack", None, Media.MSGPACK),
        (b"application/json;q=0.9, application/msgpack;q=0.8", None, Media.JSON),
        (b"application/msgpack, application/json", None, Media.MSGPACK),
        (b"application/msgpack;q=0", None, Media.JSON),
        (b"application/msgpack; q=0.0 , text/html", None, Media.JSON),
        (b"application/msgpack;q=x", None, Media.JSON),
        (b"application/json;charset=utf-8;q=0.2, application/msgpack;q=0.3", None, Media.MSGPACK),
        (b",;,=", None, Media.JSON),
    ],
)
def test_accept_decides_where_it_names_a_format_else_the_request(
    accept: bytes | None, content_type: bytes | None, value: Media
) -> None:
    assert negotiate(accept, content_type).value is value


@pytest.mark.parametrize(
    ("accept", "stream"),
    [
        (None, Media.EVENTS),
        (b"*/*", Media.EVENTS),
        (b"application/json", Media.EVENTS),
        (b"text/event-stream", Media.EVENTS),
        (b"application/x-ndjson", Media.NDJSON),
        (b"application/ndjson", Media.NDJSON),
        (b"application/msgpack", Media.MSGPACK),
        (b"text/event-stream;q=0.5, application/x-ndjson", Media.NDJSON),
    ],
)
def test_accept_chooses_the_framing_of_streams(accept: bytes | None, stream: Media) -> None:
    assert negotiate(accept, None).stream is stream


def test_a_msgpack_request_gets_its_stream_in_msgpack() -> None:
    assert negotiate(None, b"application/msgpack").stream is Media.MSGPACK


def test_bytes_go_out_raw_only_where_that_is_preferred() -> None:
    assert negotiate(b"application/octet-stream", None).raw_bytes
    assert negotiate(b"application/octet-stream, application/json;q=0.5", None).raw_bytes
    assert not negotiate(b"application/json, application/octet-stream;q=0.5", None).raw_bytes
    assert not negotiate(b"*/*", None).raw_bytes


def test_problem_details_are_given_to_those_who_name_them() -> None:
    assert negotiate(b"application/problem+json", None) == Formats(
        value=Media.JSON, raw_bytes=False, stream=Media.EVENTS, events=False, problem=True
    )
    assert not negotiate(b"application/json", None).problem
