from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.auth.access import Action, FunctionAction, ServiceAction, TokenAction, decide
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
    asking = replace(caller({"ws-a": held} if held else {}, workspace="ws-a"), client_id="c")
    allowed = action.needs is None or (held is not None and Permission(held).covers(action.needs))
    verdict = decide(asking, action, "ws-a")
    assert verdict.allowed is allowed
    if not allowed:
        words = {Action.GENERATE_TOKEN: "Only admin" if held else "ws-a"}
        words[Action.RUN_PROGRAM] = "only its operators"
        words[Action.ATTRIBUTE_TOKEN] = "Only an admin of the server"
        assert words.get(action, "ws-a") in verdict.reason
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


def test_a_list_with_what_is_hidden_is_for_those_who_are_there() -> None:
    inside = caller({"ws-a": "r"}, workspace="ws-a")
    for visibility in Visibility:
        assert decide(inside, ServiceAction.SEE_HIDDEN, service(visibility)).allowed
    for other in (caller({"ws-a": "a"}), caller(workspace="ws-a")):
        assert not decide(other, ServiceAction.SEE_HIDDEN, service(Visibility.UNLISTED)).allowed


def test_a_service_is_offered_by_its_client_and_removed_by_it_or_an_administrator() -> None:
    entry = service(Visibility.PUBLIC)
    owner = replace(caller({"ws-a": "rw"}, workspace="ws-a"), client_id="c")
    other = replace(owner, client_id="d")
    elsewhere = replace(owner, workspace="ws-b")
    admin = caller({"ws-a": "a"}, workspace="ws-a")
    for asking, offers, removes in (
        (owner, True, True),
        (other, False, False),
        (elsewhere, False, False),
        (admin, False, True),
    ):
        assert decide(asking, ServiceAction.OFFER, entry).allowed is offers
        assert decide(asking, ServiceAction.REMOVE, entry).allowed is removes


def test_a_token_is_read_where_it_is_for_and_revoked_there_or_by_its_maker() -> None:
    there = User("made", parent="u", scope=Scope({"ws-b": Permission.READ}, "ws-b"))
    for asking, parses, revokes in (
        (caller(workspace="ws-b"), True, True),
        (caller(workspace="ws-c"), False, True),
        (Caller(User("eve"), "ws-c"), False, False),
    ):
        assert decide(asking, TokenAction.PARSE, there).allowed is parses
        assert decide(asking, TokenAction.REVOKE, there).allowed is revokes


def test_a_mismatch_of_action_and_resource_is_denied() -> None:
    root = caller({"ws-a": "a"})
    assert not decide(root, ServiceAction.USE, "ws-a").allowed
    assert not decide(root, Action.CONNECT, service(Visibility.PUBLIC)).allowed
    assert not decide(root, FunctionAction.CALL, "ws-a").allowed
    assert not decide(root, TokenAction.PARSE, "ws-a").allowed
