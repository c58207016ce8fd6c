"""Why there is no login, in words that may be shown: without a token, a code or a secret."""

from __future__ import annotations

import json
import re
from typing import Final

from mcp.client.auth import OAuthFlowError, OAuthRegistrationError, OAuthTokenError
from pydantic import ValidationError

MAX_TEXT: Final = 300
_CODE: Final = re.compile(r"[a-z][a-z0-9_]{2,60}")


class LoginFailed(Exception):
    """The server cannot be logged in to; the text is a sentence for the operator."""


class LoginUnavailable(LoginFailed):
    """It could not be tried to the end; what is kept is as good as before."""


def explained(error: Exception) -> LoginFailed:
    """What went wrong in the SDK's flow."""
    if isinstance(error, LoginFailed):
        return error
    if isinstance(error, (OAuthRegistrationError, OAuthTokenError, ValidationError)):
        return LoginFailed("an answer of the authorization server cannot be used")
    if isinstance(error, OAuthFlowError):
        text = str(error)
        is_of_state = "state" in text.lower()
        return LoginFailed("the answer is for another login" if is_of_state else text[:MAX_TEXT])
    return LoginFailed(f"the login failed ({type(error).__name__})")


def refused(what: str, status: int, text: str) -> LoginFailed:
    """The authorization server has refused something. Of its answer only the code of the error is
    passed on (RFC 6749, section 5.2), as some send back what they were sent."""
    code = error_code(text)
    return LoginFailed(
        f"the authorization server refuses the {what} (HTTP {status}{f', {code}' if code else ''})"
    )


def error_code(text: str) -> str | None:
    """The code of the error in an answer, if that has one."""
    try:
        code = json.loads(text).get("error")
    except (ValueError, AttributeError, RecursionError):
        return None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None
