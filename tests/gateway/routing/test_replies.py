"""Replies that are told by how they begin."""

from __future__ import annotations

from gateway.routing.replies import ExpectedReplies


def taking(values: list[bytes], *, good: bool = True) -> tuple[ExpectedReplies, bytes]:
    """Something that expects a reply which begins with the second."""
    expected, head = ExpectedReplies(), b"head:"

    def take(value: bytes) -> bool:
        values.append(value)
        return good

    expected.expect(head, take)
    return expected, head


def test_a_reply_is_expected_once() -> None:
    values: list[bytes] = []
    expected, head = taking(values)
    assert expected.take(head + b"1")
    assert not expected.take(head + b"2")
    assert values == [b"1"]


def test_what_begins_otherwise_is_not_a_reply() -> None:
    values: list[bytes] = []
    expected, head = taking(values)
    assert not any(expected.take(frame) for frame in (b"", head[:-1], b"tail:1", b"x" + head))
    assert values == []


def test_what_is_refused_goes_the_usual_way() -> None:
    expected, head = taking([], good=False)
    assert not expected.take(head + b"?")


def test_heads_of_several_lengths_are_expected_side_by_side() -> None:
    values: list[bytes] = []
    expected, head = taking(values)
    longer: list[bytes] = []

    def take_longer(value: bytes) -> bool:
        longer.append(value)
        return True

    expected.expect(head + b"longer:", take_longer)
    expected.expect(b"other", lambda value: False)
    assert expected.take(head + b"1")
    assert expected.take(head + b"longer:2")
    assert (values, longer) == ([b"1"], [b"2"])


def test_what_is_forgotten_is_not_expected() -> None:
    values: list[bytes] = []
    expected, head = taking(values)
    expected.forget(head)
    expected.forget(head)
    assert not expected.take(head + b"1")
    assert values == []


def test_the_next_reply_can_be_expected_while_one_is_taken() -> None:
    expected = ExpectedReplies()
    values: list[bytes] = []

    def take(value: bytes) -> bool:
        values.append(value)
        expected.expect(b"second:" if value == b"1" else b"third-is-longer:", take)
        return True

    expected.expect(b"first:", take)
    assert all(map(expected.take, (b"first:1", b"second:2", b"third-is-longer:3")))
    assert values == [b"1", b"2", b"3"]
