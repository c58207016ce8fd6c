"""The login service as it is offered: the gateway's functions, and those that an operator has put
in their place or beside them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from gateway.auth.hooks import AuthHooks, answered
from gateway.auth.login.page import LOGIN_PATH
from schema.errors import InvalidRequest

LOGIN_SERVICE: Final = "hypha-login"
_SERVICE_PATH: Final = f"/public/services/{LOGIN_SERVICE}"
_NOT_FUNCTIONS: Final = frozenset({"id", "name", "type", "description", "config", "docs"})

Function = Callable[..., Awaitable[Any]]
Wrapped = Callable[[Callable[..., Any], Function], Function]
"""Makes a function of the gateway's of a handler and what calls it."""


def service_urls(base_url: str) -> dict[str, str]:
    """Where functions of the service are, as ``start`` tells programs."""
    names = ("report", "check", "generate")
    return {f"{name}_url": f"{base_url}{_SERVICE_PATH}/{name}" for name in names}


class LoginService:
    """Registers authentication as a startup function asks for it, and publishes the service."""

    def __init__(
        self,
        hooks: AuthHooks,
        functions: Mapping[str, Function],
        base_url: str,
        *,
        ways: Sequence[str] = (),
        wrap: Wrapped,
        publish: Callable[[Mapping[str, Function]], object],
    ) -> None:
        self._hooks = hooks
        self._functions = functions
        self._base_url = base_url
        self._ways = ways
        self._wrap = wrap
        self._publish = publish

    def offer(self) -> None:
        """Make the service, with what is set by now, known to clients."""
        functions = dict(self._functions)
        for name, handler in self._hooks.login.items():
            call = self._start if name == "start" else partial(_call, name)
            functions[name] = self._wrap(handler, call)
        self._publish(functions)

    def summary(self) -> str:
        """Who may come in how, for the operator's log at the start."""
        hooks = ",".join(self._hooks.names) or "none"
        return f"ways={','.join(self._ways) or 'none'} hooks={hooks}"

    @property
    def has_own_page(self) -> bool:
        """Whether the operator's page is shown in place of the gateway's."""
        return "index" in self._hooks.login

    async def register_auth_service(
        self,
        parse_token: Callable[..., Any] | None = None,
        generate_token: Callable[..., Any] | None = None,
        get_token: Callable[..., Any] | None = None,
        login_service: Mapping[str, Any] | None = None,
        **handlers: Any,
    ) -> None:
        """Set hooks; what is not given stays as it is. ``index_handler``, ``start_handler``,
        ``check_handler`` and ``report_handler`` replace functions of the login service, any other
        name adds one; ``login_service`` is a map of all of them.

        Raises InvalidRequest for something that cannot be called.
        """
        given = {
            "parse_token": parse_token,
            "generate_token": generate_token,
            "get_token": get_token,
        }
        login = {
            name: handler
            for name, handler in (login_service or {}).items()
            if name not in _NOT_FUNCTIONS and callable(handler)
        }
        for name, handler in handlers.items():
            if handler is not None:
                login[name.removesuffix("_handler")] = handler
        for name, hook in (*given.items(), *login.items()):
            if hook is not None and not callable(hook):
                raise InvalidRequest(f"{name} is not a function")
        for name, hook in given.items():
            if hook is not None:
                setattr(self._hooks, name, hook)
        self._hooks.login.update(login)
        if login:
            self.offer()

    def startup_functions(self) -> dict[str, Callable[..., Awaitable[None]]]:
        """What a startup function finds on its ``server``, besides the manager's functions."""

        async def set_parse_token_function(parse_token: Callable[..., Any]) -> None:
            await self.register_auth_service(parse_token=parse_token)

        async def set_generate_token_function(generate_token: Callable[..., Any]) -> None:
            await self.register_auth_service(generate_token=generate_token)

        async def set_get_token_function(get_token: Callable[..., Any]) -> None:
            await self.register_auth_service(get_token=get_token)

        return {
            "register_auth_service": self.register_auth_service,
            "set_parse_token_function": set_parse_token_function,
            "set_generate_token_function": set_generate_token_function,
            "set_get_token_function": set_get_token_function,
        }

    async def _start(self, handler: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """What the operator's ``start`` returns, completed: clients rely on absolute URLs."""
        started = await answered("start", handler, *args, **kwargs)
        if not isinstance(started, Mapping) or not started.get("key"):
            return started
        urls = {
            "login_url": f"{self._base_url}{LOGIN_PATH}?key={started['key']}",
            **service_urls(self._base_url),
        }
        complete = {**urls, **started}
        for name in urls:
            url = complete[name]
            if isinstance(url, str) and url.startswith("/") and not url.startswith("//"):
                complete[name] = f"{self._base_url}{url}"
        return complete


async def _call(name: str, handler: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    return await answered(name, handler, *args, **kwargs)
