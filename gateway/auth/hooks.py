"""What an operator's startup function can put in place of the gateway's own authentication.

The names, arguments and return values are those of Hypha's ``register_auth_service``. A hook is the
operator's code and is believed; it is not trusted to work. One that raises means that the token is
not good, one that cannot say (a time-out, a connection that fails) that nobody knows right now.
Neither is an error of the gateway, and neither lets anybody in.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from schema.errors import (
    CallTimeout,
    GatewayError,
    InternalError,
    InvalidRequest,
    Unauthenticated,
    Unavailable,
)
from schema.identity import ANY_WORKSPACE, Permission, Scope, User

logger = logging.getLogger(__name__)

HOOK_SECONDS: Final = 10.0
"""How long a hook may take; a request waits for it."""

ParseToken = Callable[[str], Any]
"""``(token) -> user or None``, sync or async. None: not one of mine."""
GenerateToken = Callable[[User, int], Any]
"""``(user, seconds) -> token or None``, sync or async. None: make one of your own."""
GetToken = Callable[[Mapping[str, Any]], Any]
"""``(ASGI scope) -> token or None``, sync or async. None: look in the usual places."""


@dataclass(slots=True)
class AuthHooks:
    """The hooks that are set. None of them is, unless a startup function says so."""

    parse_token: ParseToken | None = None
    generate_token: GenerateToken | None = None
    get_token: GetToken | None = None
    login: dict[str, Callable[..., Any]] = field(default_factory=dict)
    """Functions of the login service by name."""

    @property
    def names(self) -> list[str]:
        """Which are set, for the operator's log."""
        one = [n for n in ("parse_token", "generate_token", "get_token") if getattr(self, n)]
        return [*one, *(f"login.{name}" for name in self.login)]

    async def parse(self, token: str) -> User | None:
        """The user that the hook sees in a token; None if it is not one of its own.

        Raises Unauthenticated if it is not good, Unavailable if the hook cannot say.
        """
        if self.parse_token is None:
            return None
        try:
            found = await _called("parse_token", self.parse_token, token)
            return None if found is None else user_of(found)
        except (Unauthenticated, Unavailable):
            raise
        except Exception as error:  # noqa: BLE001 - whatever the operator's code raises
            # Only the kind: what it says may have the token in it.
            logger.warning("hook_refused_token hook=parse_token error=%s", type(error).__name__)
            raise Unauthenticated("The token is not valid") from None

    async def generate(self, user: User, seconds: float) -> str | None:
        """A token by the hook; None for one of the gateway's own. Raises Unavailable."""
        if self.generate_token is None:
            return None
        # An integer by contract: hooks write it into their tokens, and read it as one.
        whole = max(1, int(seconds))
        try:
            token = await _called("generate_token", self.generate_token, user, whole)
        except GatewayError:
            raise
        except Exception:
            logger.exception("hook_failed hook=generate_token")
            raise Unavailable("No token can be made now") from None
        if token is None or (isinstance(token, str) and token):
            return token
        logger.error("hook_failed hook=generate_token returned=%s", type(token).__name__)
        raise Unavailable("No token can be made now")

    async def find(self, scope: Mapping[str, Any]) -> str | None:
        """The token that the hook finds in a request. Raises Unauthenticated, Unavailable."""
        if self.get_token is None:
            return None
        try:
            token = await _called("get_token", self.get_token, scope)
        except (Unauthenticated, Unavailable):
            raise
        except Exception as error:  # noqa: BLE001 - whatever the operator's code raises
            logger.warning("hook_refused_token hook=get_token error=%s", type(error).__name__)
            raise Unauthenticated("The request carries no token that can be read") from None
        if token is None or isinstance(token, str):
            return token or None
        logger.error("hook_failed hook=get_token returned=%s", type(token).__name__)
        raise Unauthenticated("The request carries no token that can be read")


async def _called(name: str, hook: Callable[..., Any], *args: Any) -> Any:
    """What a hook returns. Raises Unavailable if it takes too long or cannot reach something."""
    try:
        async with asyncio.timeout(HOOK_SECONDS):
            value = hook(*args)
            return await value if inspect.isawaitable(value) else value
    except (TimeoutError, ConnectionError) as error:
        logger.warning("hook_unavailable hook=%s error=%s", name, type(error).__name__)
        raise Unavailable("Who this is cannot be found out now") from None


def user_of(found: Any) -> User:
    """The user that a hook describes: a ``User``, or a map or an object with its attributes.

    Raises InvalidRequest if it is none.
    """
    if isinstance(found, User):
        return _with_role(found)
    get = _reader(found)
    user_id, email, parent, expires_at = (
        get(key) for key in ("id", "email", "parent", "expires_at")
    )
    if not isinstance(user_id, str) or not user_id:
        raise InvalidRequest("A user needs an 'id'")
    user = User(
        id=user_id,
        roles=tuple(str(role) for role in get("roles") or ()),
        is_anonymous=bool(get("is_anonymous")),
        scope=_scope_of(get("scope")),
        email=email if isinstance(email, str) else None,
        parent=parent if isinstance(parent, str) else None,
        expires_at=float(expires_at) if isinstance(expires_at, (int, float)) else None,
    )
    return _with_role(user)


def _scope_of(found: Any) -> Scope:
    if found is None or isinstance(found, Scope):
        return found or Scope()
    get = _reader(found)
    workspaces = get("workspaces") or {}
    if not isinstance(workspaces, Mapping):
        raise InvalidRequest("The workspaces of a scope are a map")
    grants = {
        str(name): Permission.parse(str(getattr(level, "value", level)))
        for name, level in workspaces.items()
    }
    current, client_id = get("current_workspace"), get("client_id")
    return Scope(
        grants,
        current_workspace=str(current) if current else None,
        client_id=str(client_id) if client_id else None,
        extra_scopes=tuple(str(extra) for extra in get("extra_scopes") or ()),
    )


def _reader(found: Any) -> Callable[[str], Any]:
    if isinstance(found, Mapping):
        return found.get
    return lambda key: getattr(found, key, None)


def _with_role(user: User) -> User:
    """The role ``admin`` means every workspace (Hypha's contract for users that log in)."""
    if "admin" not in user.roles or user.parent is not None:
        return user
    granted = {**user.scope.workspaces, ANY_WORKSPACE: Permission.ADMIN}
    return replace(user, scope=replace(user.scope, workspaces=granted))


async def answered(name: str, handler: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """What a handler of the login service returns, with its failures as what they mean to whoever
    is logging in."""
    try:
        value = handler(*args, **kwargs)
        return await value if inspect.isawaitable(value) else value
    except InternalError:
        raise Unavailable("The login service failed") from None
    except GatewayError:
        raise
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise InvalidRequest(_said(error)) from None
    except PermissionError as error:
        raise Unauthenticated(_said(error)) from None
    except TimeoutError as error:
        raise CallTimeout(_said(error)) from None
    except Exception:
        logger.exception("hook_failed hook=login.%s", name)
        raise Unavailable("The login service failed") from None


def _said(error: Exception) -> str:
    text = str(error.args[0]) if error.args else ""
    return text.splitlines()[0][:300] if text else "This login is not possible"
