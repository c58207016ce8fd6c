"""The page on which a user decides, and the one that says why there is nothing to decide.

Neither has a script, and neither can be shown inside another page.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from typing import Final
from urllib.parse import urlsplit

from gateway.auth.login.page import source_hashes
from gateway.auth.oauth.requests import AuthorizationRequest
from gateway.settings import LOOPBACK_HOSTS
from schema.identity import User

_FORM: Final = """<p class="brand">Polyport</p>
<h1>{name} wants to act for you</h1>
<p class="soft">{vouched}</p>
<dl>
<div><dt>You are</dt><dd>{user}</dd></div>
<div><dt>It could use</dt><dd>{resource}</dd></div>
<div><dt>There it could</dt><dd>{permission}</dd></div>
<div><dt>You will be sent to</dt><dd>{target}</dd></div>
</dl>
<form method="post" action="consent">
<input type="hidden" name="request" value="{request}">
<input type="hidden" name="form" value="{form}">
<div class="row">
<button type="submit" name="decision" value="deny">Refuse</button>
<button class="yes" type="submit" name="decision" value="allow">Allow</button>
</div>
</form>
<p class="soft">Allow it only if you have just told this program to connect here.</p>"""

_REFUSAL: Final = """<h1>This cannot go on</h1>
<p role="alert">{reason}</p>"""


def consent_page(request_id: str, request: AuthorizationRequest, permission: str) -> str:
    """What the client asks for, with the two buttons."""
    client, resource = request.client, request.resource
    vouched = (
        f"It is published at {client.host}."
        if client.host
        else "Nobody vouches for this name: the program has given it itself."
    )
    asked = "all MCP endpoints of this server"
    if resource.is_manager:
        asked = f"the workspace {resource.workspace}"
    elif resource.service is not None:
        asked = f"the service {resource.service} in the workspace {resource.workspace}"
    elif resource.workspace is not None:
        asked = f"the services of the workspace {resource.workspace}"
    words = {
        "name": client.name,
        "vouched": vouched,
        "user": _described(request.user),
        "resource": asked,
        "permission": permission,
        "target": _target(request.redirect_uri),
        "request": request_id,
        "form": request.form,
    }
    content = _FORM.format(**{name: escape(text) for name, text in words.items()})
    return _filled("Allow access", content)


def refusal_page(reason: str) -> str:
    """Why there is nothing to decide."""
    return _filled("Not possible", _REFUSAL.format(reason=escape(reason)))


@cache
def page_headers() -> Mapping[str, str]:
    """The headers that hold the pages to what they need."""
    styles = source_hashes("style", _template())
    # No form-action: browsers apply it to where the answer redirects, and that is the client's.
    policy = f"default-src 'none'; style-src {styles}; base-uri 'none'; frame-ancestors 'none'"
    return {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": policy,
        "x-frame-options": "DENY",
        "cache-control": "no-store",
        # Stricter, and browsers would not say where the form comes from.
        "referrer-policy": "same-origin",
        "x-content-type-options": "nosniff",
    }


@cache
def _template() -> str:
    return files(__package__).joinpath("consent.html").read_text("utf-8")


def _filled(title: str, content: str) -> str:
    return _template().replace("{{title}}", escape(title)).replace("{{content}}", content)


def _described(user: User | None) -> str:
    if user is None:
        return ""
    if user.is_anonymous:
        return f"a guest ({user.id})"
    return f"{user.email} ({user.id})" if user.email else user.id


def _target(uri: str) -> str:
    """Where the browser goes afterwards, as a person reads it."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return f"the application that opens {parts.scheme}: addresses"
    if parts.hostname in LOOPBACK_HOSTS:
        return f"a program on this computer ({parts.netloc})"
    return parts.netloc
