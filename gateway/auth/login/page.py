"""The login page: one HTML file that needs nothing from anywhere, and the headers that hold it to
that.

What depends on the server is data in the page; its script is always the same, so that the content
security policy can name it by its hash.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from gateway.auth.login.providers import LoginProvider
from gateway.look import source_hash

LOGIN_PATH: Final = "/public/apps/hypha-login/"
_PLACE: Final = "{{providers}}"


@dataclass(frozen=True, slots=True)
class LoginPage:
    """The page, the same for everybody. Which login it is for stands in its URL alone."""

    html: str
    headers: Mapping[str, str]


def login_page(providers: Sequence[LoginProvider]) -> LoginPage:
    """The page that offers these ways to log in."""
    template = files(__package__).joinpath("page.html").read_text("utf-8")
    offered = [
        {
            "id": provider.id,
            "button": provider.button,
            "hint": provider.hint,
            "fields": [
                {
                    "name": f.name,
                    "label": f.label,
                    "secret": f.is_secret,
                    "autocomplete": f.autocomplete,
                }
                for f in provider.fields
            ],
            "knowsWorkspaces": provider.knows_workspaces,
            "leadsElsewhere": provider.leads_elsewhere,
            "accounts": provider.accounts,
        }
        for provider in providers
    ]
    # Nothing in a text may look like the end of the element that it stands in.
    data = json.dumps(offered).replace("<", "\\u003c")
    html = template.replace(_PLACE, data)
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {source_hashes('script', template)}",
            f"style-src {source_hashes('style', template)}",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": policy,
        "cache-control": "no-store",
        # The key is in the URL.
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
    return LoginPage(html, headers)


def source_hashes(element: str, html: str) -> str:
    """The sources of inline elements without attributes, for a content security policy."""
    found = re.findall(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)
    return " ".join(map(source_hash, found))
