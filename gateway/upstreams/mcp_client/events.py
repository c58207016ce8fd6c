"""Reads server-sent events (HTML Living Standard, section 9.2). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_RETRY_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Event:
    """One event."""

    name: str
    data: bytes
    identifier: str | None
    """The last one that the stream has given, also with an earlier event."""
    retry_ms: int | None


class EventTooLarge(Exception):
    """An event is larger than may be."""


class EventReader:
    """Takes a stream in pieces and gives its events. Events are UTF-8, so lines are found in it as
    bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._rest: list[bytes] = []
        """What has come of the line that is not complete."""
        self._rest_bytes = 0
        self._after_return = False
        self._data: list[bytes] = []
        self._size = 0
        self._name = ""
        self.identifier: str | None = None
        self.retry_ms: int | None = None

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that a piece completes. Raises EventTooLarge."""
        if not chunk:
            return
        if self._after_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]  # the second half of a line ending
        self._after_return = chunk.endswith(b"\r")
        *lines, rest = _lines(chunk)
        if lines:
            lines[0] = b"".join((*self._rest, lines[0]))
            self._rest, self._rest_bytes = [], 0
        self._rest.append(rest)
        self._rest_bytes += len(rest)
        for line in lines:
            event = self._line(line)
            if event is not None:
                yield event
        if self._size + self._rest_bytes > self._max_bytes:
            raise EventTooLarge

    def _line(self, line: bytes) -> Event | None:
        if not line:
            return self._dispatched()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._size += len(value)
            if self._size > self._max_bytes:
                raise EventTooLarge
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
        elif field == b"id" and b"\0" not in value:
            self.identifier = value.decode("utf-8", "replace")
        elif field == b"retry" and value.isdigit():
            self.retry_ms = min(int(value[:9]), MAX_RETRY_MS)
        return None

    def _dispatched(self) -> Event | None:
        data, name = self._data, self._name
        self._data, self._name, self._size = [], "", 0
        if not data:
            return None
        return Event(name or "message", b"\n".join(data), self.identifier, self.retry_ms)


def _lines(text: bytes) -> list[bytes]:
    """Split at each of the three line endings; a line may end with the text that has come."""
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return text.split(b"\n")
