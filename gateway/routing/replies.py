"""Replies whose bytes are known before they come, but for the value.

A client begins all its replies to a series of calls with the same bytes; only the session differs.
Once it has answered one call, the beginning of its next reply is known, and nothing in it has to be
decoded, checked or looked up: the same bytes have been through all of that.
"""

from __future__ import annotations

from collections.abc import Callable

TakeValue = Callable[[bytes], bool]
"""Takes what follows the head; False if it is not exactly one value."""


class ExpectedReplies:
    """What one client is expected to answer, by how its message will begin.

    Only messages of this very client are compared, so nobody can answer for another one.
    """

    __slots__ = ("_by_size",)

    def __init__(self) -> None:
        self._by_size: dict[int, dict[bytes, TakeValue]] = {}

    def expect(self, head: bytes, take: TakeValue) -> None:
        """The next message that begins with ``head`` is for ``take``."""
        heads = self._by_size.get(len(head))
        if heads is None:
            heads = self._by_size[len(head)] = {}
        heads[head] = take

    def forget(self, head: bytes) -> None:
        """Expect it no longer."""
        heads = self._by_size.get(len(head))
        if heads is not None:
            heads.pop(head, None)
            if not heads:
                del self._by_size[len(head)]

    def take(self, frame: bytes) -> bool:
        """Whether a message was expected, and is dealt with. It is not expected a second time."""
        for size, heads in self._by_size.items():
            take = heads.pop(frame[:size], None)
            if take is not None:
                return take(frame[size:])
        return False
