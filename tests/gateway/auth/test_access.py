from __future__ import annotations

import pytest

from gateway.auth.access import Action, ServiceAction, decide
from schema.errors import PermissionDenied
from schema.identity import Caller, Permission, Scope, User, anonymous_http_caller
from schema.ids import ServiceId
from schema.services import ServiceInfo, Visibility


def caller(
    grants: dict[str, str] | None = None, workspace: str = "ws-own", extra: tuple[str, ...] = ()
) -> Caller:
    scope = Scope(
        {name: Permission.parse(p) for name, p in (grants or {}).items()},
        extra_scopes=extra,
    )
    return Caller(User("u", scope=scope), workspace)


def service(visibility: Visibility, **config: object) -> ServiceInfo:
    return ServiceInfo(ServiceId("ws-a", "c", "s"), "s", visibility=visibility, config=config)


@pytest.mark.parametrize("action", list(Action), ids=lambda a: a.label)
@pytest.mark.parametrize("held", [None, "r", "rw", "a"])
def test_an_action_takes_the_permission_that_its_row_says(action: Action, held: str | None) -> None:
    asking = caller({"ws-a": held} if held else {})
    allowed = held is not None and Permission(held).covers(action.needs)
    verdict = decide(asking, action, "ws-a")
    assert verdict.allowed is allowed
    if not allowed:
        words = "Only admin" if held and action is Action.GENERATE_TOKEN else "ws-a"
        assert words in verdict.reason
        with pytest.raises(PermissionDenied):
            verdict.require()


@pytest.mark.parametrize("action", list(Action), ids=lambda a: a.label)
def test_a_single_purpose_credential_may_do_nothing_general(action: Action) -> None:
    asking = caller({"ws-a": "a"}, extra=("file:download",))
    assert not decide(asking, action, "ws-a").allowed
    for visibility in Visibility:
        assert not decide(asking, ServiceAction.USE, service(visibility)).allowed


@pytest.mark.parametrize(
    ("visibility", "stranger_uses", "stranger_lists", "member_uses", "member_lists"),
    [
        (Visibility.PUBLIC, True, True, True, True),
        (Visibility.UNLISTED, True, False, True, False),
        (Visibility.PROTECTED, False, False, True, True),
    ],
)
def test_visibility_decides_about_services(
    visibility: Visibility,
    stranger_uses: bool,
    stranger_lists: bool,
    member_uses: bool,
    member_lists: bool,
) -> None:
    entry = service(visibility)
    for asking, uses, lists in (
        (caller(), stranger_uses, stranger_lists),
        (anonymous_http_caller(), stranger_uses, stranger_lists),
        (caller({"ws-a": "r"}), member_uses, member_lists),
    ):
        assert decide(asking, ServiceAction.USE, entry).allowed is uses
        assert decide(asking, ServiceAction.SEE_LISTED, entry).allowed is lists


def test_an_authorised_workspace_is_let_in_by_where_the_caller_is() -> None:
    entry = service(Visibility.PROTECTED, authorized_workspaces=["ws-guest"])
    assert decide(caller(workspace="ws-guest"), ServiceAction.USE, entry).allowed
    assert not decide(caller(workspace="ws-other"), ServiceAction.USE, entry).allowed


def test_a_mismatch_of_action_and_resource_is_denied() -> None:
    root = caller({"ws-a": "a"})
    assert not decide(root, ServiceAction.USE, "ws-a").allowed
    assert not decide(root, Action.CONNECT, service(Visibility.PUBLIC)).allowed
