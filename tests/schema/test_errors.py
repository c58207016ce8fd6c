from __future__ import annotations

from collections.abc import Iterator

import schema.errors
from schema.errors import GatewayError, ServiceError, ServiceNotFound


def subclasses(cls: type[GatewayError]) -> Iterator[type[GatewayError]]:
    for child in cls.__subclasses__():
        if child.__module__ == "schema.errors":
            yield child
            yield from subclasses(child)


def test_every_error_has_a_code_of_its_own_and_stands_in_the_tree() -> None:
    drawn = schema.errors.__doc__ or ""
    codes = [cls.code for cls in subclasses(GatewayError)]
    assert len(codes) == len(set(codes))
    for cls in subclasses(GatewayError):
        assert f" {cls.__name__} " in drawn
        assert cls.code in drawn


def test_the_wire_text_is_what_existing_clients_look_for() -> None:
    assert ServiceNotFound("Service not found: a").wire_text() == "KeyError: 'Service not found: a'"
    assert ServiceError("bad", remote_type="ValueError").wire_text() == "ValueError: bad"
    assert ServiceError("bad").wire_text() == "bad"
