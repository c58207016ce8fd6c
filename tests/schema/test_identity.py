from __future__ import annotations

import pytest

from schema.errors import InvalidRequest
from schema.identity import Permission, Scope, User, anonymous_http_caller


def test_the_strongest_of_two_grants_counts() -> None:
    assert Scope({"*": Permission.READ, "w": Permission.ADMIN}).permission_on("w") is (
        Permission.ADMIN
    )
    assert Scope({"*": Permission.ADMIN, "w": Permission.READ}).permission_on("w") is (
        Permission.ADMIN
    )
    assert Scope({"w": Permission.READ}).permission_on("v") is None


def test_permissions_are_ordered_and_read_from_letters_and_words() -> None:
    assert Permission.ADMIN.covers(Permission.READ_WRITE)
    assert not Permission.READ.covers(Permission.READ_WRITE)
    assert Permission.parse("read_write") is Permission.parse("rw") is Permission.READ_WRITE
    for bad in ("", "w", "root", "READ"):
        with pytest.raises(InvalidRequest):
            Permission.parse(bad)


def test_the_user_object_has_exactly_the_keys_that_services_read() -> None:
    wire = User("u", scope=Scope({"w": Permission.READ}, "w")).to_wire()
    assert wire == {
        "id": "u",
        "roles": [],
        "is_anonymous": False,
        "email": None,
        "parent": None,
        "expires_at": None,
        "current_workspace": "w",
        "scope": {
            "current_workspace": "w",
            "workspaces": {"w": "r"},
            "client_id": None,
            "extra_scopes": None,
        },
    }


def test_an_http_caller_without_credentials_reads_its_own_corner_only() -> None:
    caller = anonymous_http_caller()
    assert caller.user.id == "anonymouz-http"
    assert caller.user.is_anonymous
    assert caller.user.scope.permission_on("ws-anonymous") is Permission.READ
    assert caller.user.scope.permission_on("public") is None
