"""Logging in to MCP endpoints by OAuth 2.1, for programs that run on their user's machine.

A user logs in once for an endpoint, in the browser; all programs of theirs that use it have the
tokens from a file (``gateway.logins``).

- ``login``: what requests wait for; one login at a time, for all of them and all programs
- ``flow``: the conversation with the authorization server
- ``loopback``: where the browser comes back to
- ``identity``: which client the program is
- ``refusals``, ``failures``: why there has to be a login, and why there is none
"""

from __future__ import annotations

from gateway.logins.store import Entry
from mcp_bridge.login.failures import LoginFailed, NoLogin
from mcp_bridge.login.identity import Identity
from mcp_bridge.login.login import Login
from mcp_bridge.login.refusals import Refused

__all__ = ["Entry", "Identity", "Login", "LoginFailed", "NoLogin", "Refused"]
