"""Every error a caller can see, as a type with a stable code.

::

    GatewayError
    ├── InvalidRequest            invalid_request      the request itself is malformed
    │   ├── InvalidArguments      invalid_arguments    the arguments do not fit the function
    │   ├── InvalidMessage        invalid_message      a wire frame breaks the protocol
    │   ├── UnsupportedMediaType  unsupported_media_type
    │   └── PayloadTooLarge       payload_too_large
    ├── Unauthenticated           unauthenticated      a credential was given and is not good
    │   └── TokenRevoked          token_revoked        it was good once
    ├── PermissionDenied          permission_denied
    │   ├── Blocked               blocked              this user or address is kept out
    │   └── FunctionHeld          function_held        it waits for somebody's approval
    ├── NotFound                  not_found
    │   ├── WorkspaceNotFound     workspace_not_found
    │   ├── ServiceNotFound       service_not_found
    │   └── FunctionNotFound      function_not_found
    ├── Conflict                  conflict
    │   └── AmbiguousService      ambiguous_service    several services match, none was chosen
    ├── LimitExceeded             limit_exceeded       a rate, quota or size limit
    ├── ServiceError              service_error        the called function raised
    ├── ProviderGone              provider_gone        the provider left during the call
    ├── CallTimeout               timeout              the provider fell silent
    ├── CannotAsk                 cannot_ask           the caller has no way to answer a question
    ├── Unavailable               unavailable          the gateway is starting, draining or full
    │   └── Overloaded            overloaded           too much comes in at the same time
    └── InternalError             internal_error       a defect of the gateway; see its log

Bridges map ``code`` (never the text) to their protocol in one table each.
"""

from __future__ import annotations

from typing import Any, ClassVar


class GatewayError(Exception):
    """Base of all errors that cross a door.

    ``message`` is for people and safe to show to the caller; ``data`` is optional, JSON-compatible
    detail such as the nearest names or the path of a bad argument.
    """

    code: ClassVar[str] = "internal_error"
    wire_type: ClassVar[str] = "RuntimeError"
    """Exception name a hypha-rpc client sees in front of the message."""

    def __init__(self, message: str, *, data: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data

    def wire_text(self) -> str:
        """Text of this error on the RPC wire: ``<ErrorType>: <message>``."""
        return f"{self.wire_type}: {self.message}"


class InvalidRequest(GatewayError):
    code = "invalid_request"
    wire_type = "ValueError"


class InvalidArguments(InvalidRequest):
    code = "invalid_arguments"
    wire_type = "TypeError"


class InvalidMessage(InvalidRequest):
    code = "invalid_message"


class UnsupportedMediaType(InvalidRequest):
    code = "unsupported_media_type"


class PayloadTooLarge(InvalidRequest):
    code = "payload_too_large"


class Unauthenticated(GatewayError):
    code = "unauthenticated"
    wire_type = "PermissionError"


class TokenRevoked(Unauthenticated):
    code = "token_revoked"


class PermissionDenied(GatewayError):
    """``needs`` is the permission on the workspace that would have done, as on the wire (``rw``);
    None if no permission would."""

    code = "permission_denied"
    wire_type = "PermissionError"

    def __init__(
        self, message: str, *, data: dict[str, Any] | None = None, needs: str | None = None
    ) -> None:
        super().__init__(message, data=data)
        self.needs = needs


class Blocked(PermissionDenied):
    code = "blocked"


class FunctionHeld(PermissionDenied):
    code = "function_held"

    @classmethod
    def named(cls, name: str) -> FunctionHeld:
        """For the function of this name."""
        return cls(
            f"The function {name!r} is held back: it has changed, or is new, and waits for the "
            "approval of an admin"
        )


class NotFound(GatewayError):
    code = "not_found"
    wire_type = "KeyError"

    def wire_text(self) -> str:
        """Quote the message as Python's ``KeyError`` does; existing clients look for it."""
        return f"KeyError: {self.message!r}"


class WorkspaceNotFound(NotFound):
    code = "workspace_not_found"


class ServiceNotFound(NotFound):
    code = "service_not_found"


class FunctionNotFound(NotFound):
    code = "function_not_found"


class Conflict(GatewayError):
    code = "conflict"
    wire_type = "ValueError"


class AmbiguousService(Conflict):
    code = "ambiguous_service"
    wire_type = "AssertionError"


class LimitExceeded(GatewayError):
    code = "limit_exceeded"

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class ServiceError(GatewayError):
    """The called function raised.

    ``remote_type`` is the name of its exception class (``"ValueError"``), decoded once where the
    reply leaves the wire; empty if the provider did not say.
    """

    code = "service_error"

    def __init__(self, message: str, *, remote_type: str = "") -> None:
        super().__init__(message)
        self.remote_type = remote_type

    def wire_text(self) -> str:
        return f"{self.remote_type}: {self.message}" if self.remote_type else self.message


class ProviderGone(GatewayError):
    """``delivered`` is False if the call certainly never reached the provider, so that making it
    again cannot run the function twice."""

    code = "provider_gone"
    wire_type = "ConnectionError"

    def __init__(self, message: str, *, delivered: bool = True) -> None:
        super().__init__(message)
        self.delivered = delivered


class CallTimeout(GatewayError):
    code = "timeout"
    wire_type = "TimeoutError"


class CannotAsk(GatewayError):
    code = "cannot_ask"


class Unavailable(GatewayError):
    code = "unavailable"


class Overloaded(Unavailable):
    code = "overloaded"


class InternalError(GatewayError):
    code = "internal_error"
