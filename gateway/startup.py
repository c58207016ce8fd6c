"""Functions of the operator that run when the server has started (``--startup-functions``).

Each gets a client of its own, connected like any other client, with all rights and in the
workspace ``public``: what it registers stays until the server stops. One that fails stops the
start.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import secrets
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gateway.auth.login.service import LoginService
from gateway.auth.tokens import MAX_LIFE_SECONDS, TokenIssuer
from gateway.observability import silence_client_library
from gateway.settings import Settings
from gateway.workspaces.records import PUBLIC_WORKSPACE
from schema.identity import ROOT_USER

_FILE_SUFFIX: Final = ".py"


class StartupFailed(Exception):
    """A function could not be loaded, or raised; the text is for the operator."""


class Startup:
    """Runs the functions and keeps their clients. ``settings`` tell where the server listens."""

    def __init__(self, settings: Settings, tokens: TokenIssuer, login: LoginService) -> None:
        self._settings = settings
        self._tokens = tokens
        self._login = login
        self._clients = AsyncExitStack()

    async def run(self) -> None:
        """Call every function, in order. Raises StartupFailed."""
        for text in self._settings.startup_functions:
            try:
                function = load(text)
                result = function(await self._client(text))
                if inspect.isawaitable(result):
                    await result
            except Exception as error:
                await self.close()
                reason = f"{type(error).__name__}: {error}"
                raise StartupFailed(f"The startup function {text} failed: {reason}") from error

    async def close(self) -> None:
        """Disconnect the clients, before the server would."""
        if self._settings.startup_functions:
            silence_client_library()
        await self._clients.aclose()

    async def _client(self, text: str) -> Any:
        # Only servers that have such functions wait for this import.
        from hypha_rpc import connect_to_server  # noqa: PLC0415

        user = replace(
            ROOT_USER, scope=replace(ROOT_USER.scope, current_workspace=PUBLIC_WORKSPACE)
        )
        name = text.rpartition(":")[2].replace("_", "-")
        config = {
            "server_url": self._settings.local_base_url,
            "workspace": PUBLIC_WORKSPACE,
            "client_id": f"{name}-{secrets.token_hex(4)}",
            "token": self._tokens.issue(user, expires_in_seconds=MAX_LIFE_SECONDS),
        }
        server = await self._clients.enter_async_context(connect_to_server(config))
        # The client lives in this process: its hooks are called as they are, and not over the wire.
        server.update(self._login.startup_functions())
        return server


def load(text: str) -> Callable[[Any], Any]:
    """The function that ``file.py:function`` or ``module:function`` names. Raises StartupFailed,
    or what the module raises."""
    source, _, name = text.rpartition(":")
    path = Path(source)
    if source.endswith(_FILE_SUFFIX):
        if not path.is_file():
            raise StartupFailed(f"there is no file {source}")
        # The name of a file may be no name of a module, and must not hide one.
        module_name = f"startup_{path.stem}_{secrets.token_hex(4)}"
        spec = importlib.util.spec_from_file_location(module_name, path)
        if spec is None or spec.loader is None:
            raise StartupFailed(f"{source} is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(source)
    function = getattr(module, name, None)
    if not callable(function):
        raise StartupFailed(f"{source} has no function {name}")
    result: Callable[[Any], Any] = function
    return result
