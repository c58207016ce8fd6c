"""Media types: what a request holds and what its caller wants to get. Pure.

``Accept`` decides where it names a format of ours (RFC 9110 section 12.5.1); otherwise the answer
comes in the format of the request, and that of a request without a body is JSON (HTTP contract).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

_KNOWN_HEADERS = 512
"""Distinct header values remembered; clients send the same few over and over."""


class Media(Enum):
    """The kinds of content that we can tell apart in requests and answers."""

    JSON = "application/json"
    MSGPACK = "application/msgpack"
    OCTETS = "application/octet-stream"
    EVENTS = "text/event-stream"
    NDJSON = "application/x-ndjson"
    PROBLEM = "application/problem+json"
    FORM = "application/x-www-form-urlencoded"
    MULTIPART = "multipart/form-data"
    OTHER = ""


_NAMES = {media.value: media for media in Media if media.value} | {
    "application/x-msgpack": Media.MSGPACK,
    "application/vnd.msgpack": Media.MSGPACK,
    "application/ndjson": Media.NDJSON,
}
_VALUE = {Media.JSON: Media.JSON, Media.MSGPACK: Media.MSGPACK}
_BYTES = {**_VALUE, Media.OCTETS: Media.OCTETS}
_STREAM = {
    Media.EVENTS: Media.EVENTS,
    Media.JSON: Media.EVENTS,
    Media.NDJSON: Media.NDJSON,
    Media.MSGPACK: Media.MSGPACK,
}


@dataclass(frozen=True, slots=True)
class Formats:
    """What a caller gets, by the kind of answer."""

    value: Media
    """For a value: JSON or MSGPACK."""
    raw_bytes: bool
    """Whether a value that is bytes goes out as it is."""
    stream: Media
    """For a stream: EVENTS, NDJSON or MSGPACK."""
    events: bool
    """Whether the caller names EVENTS, and so can read what a call tells while it runs."""
    problem: bool
    """Whether errors are Problem Details."""


@lru_cache(_KNOWN_HEADERS)
def media_of(content_type: bytes | None) -> Media:
    """The content of a request, by its ``Content-Type``; parameters such as charset are ignored,
    since JSON is UTF-8 by definition (RFC 8259 section 8.1). None means JSON."""
    if content_type is None:
        return Media.JSON
    name = content_type.decode("latin-1").partition(";")[0].strip().lower()
    if name.endswith("+json"):
        return Media.JSON
    return _NAMES.get(name, Media.OTHER)


@lru_cache(_KNOWN_HEADERS)
def negotiate(accept: bytes | None, content_type: bytes | None) -> Formats:
    """Choose the formats of the answer."""
    wanted = _ranked(accept.decode("latin-1")) if accept else []
    default = Media.MSGPACK if media_of(content_type) is Media.MSGPACK else Media.JSON
    return Formats(
        value=_first(wanted, _VALUE, default),
        raw_bytes=_first(wanted, _BYTES, default) is Media.OCTETS,
        stream=_first(wanted, _STREAM, _STREAM[default]),
        events=Media.EVENTS in wanted,
        problem=Media.PROBLEM in wanted,
    )


def _first(wanted: list[Media], offered: dict[Media, Media], default: Media) -> Media:
    return next((offered[media] for media in wanted if media in offered), default)


def _ranked(accept: str) -> list[Media]:
    """The formats that ``Accept`` names, best first; equal ones as they are written."""
    weighted: list[tuple[float, Media]] = []
    for part in accept.split(","):
        name, *parameters = part.split(";")
        media = _NAMES.get(name.strip().lower())
        quality = _quality(parameters)
        if media is not None and quality > 0:
            weighted.append((quality, media))
    weighted.sort(key=lambda pair: -pair[0])
    return [media for _, media in weighted]


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
