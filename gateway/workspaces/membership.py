"""What owning a workspace, or being a member of it, gives a user. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.workspaces.records import Subject, Workspace
from schema.identity import ANY_WORKSPACE, Permission, User, stronger


def permission_in(record: Workspace, user: User) -> Permission | None:
    """What the user may do in a workspace as its owner, or by the strongest membership."""
    if record.owner == user.id:
        return Permission.ADMIN
    held: Permission | None = None
    if record.members:
        for subject in subjects_of(user):
            held = stronger(held, record.members.get(subject))
    return held


def is_administrator(user: User) -> bool:
    """A user with rights in every workspace: no quotas for those."""
    return ANY_WORKSPACE in user.scope.workspaces or has_admin_role(user)


def has_admin_role(user: User) -> bool:
    """The role counts where a user logs in, not in tokens that are for less."""
    return "admin" in user.roles and acts_everywhere(user)


def acts_everywhere(user: User) -> bool:
    """A user who came with what they logged in with, not with a token that says where to."""
    return user.parent is None and user.scope.current_workspace is None


def subjects_of(user: User) -> Iterable[Subject]:
    """The names under which a workspace may be shared with the user."""
    yield Subject("user", user.id)
    if user.email and user.email_verified:
        yield Subject("email", user.email.strip().lower())
    for role in user.roles:
        yield Subject("role", role)
