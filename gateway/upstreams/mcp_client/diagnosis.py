"""What a server said beside the protocol: for its operator, never for its callers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from schema.errors import GatewayError

MAX_STDERR_LINES: Final = 20
MAX_LINE: Final = 500


class Diagnosis:
    """The last lines on standard error, and how many on standard output were no messages."""

    def __init__(self) -> None:
        self.stderr: deque[str] = deque(maxlen=MAX_STDERR_LINES)
        self.garbage = 0
        self.ending: str | None = None
        """How the program ended, if it did that by itself."""
        self.refusal: int | None = None
        """The HTTP status with which the handshake was refused."""
        self.login: GatewayError | None = None
        """Why there is no login."""

    @property
    def reason(self) -> str | None:
        """Why there is no connection, if the server has shown it."""
        if self.refusal in (401, 403):
            return (
                f"it refuses the gateway (HTTP {self.refusal}): give it a token in 'headers', "
                "or let the gateway log in with 'oauth'"
            )
        return self.ending or (f"it answers with HTTP {self.refusal}" if self.refusal else None)

    def note_garbage(self) -> None:
        """One more line that was no message."""
        self.garbage += 1

    def note_end(self, status: int | None) -> None:
        """It has ended; ``status`` as ``subprocess`` has it."""
        if status is not None and status < 0:
            self.ending = f"it was ended by signal {-status}"
        else:
            self.ending = f"it ended with exit status {status}"

    def note_errors(self, lines: Iterable[str]) -> None:
        """What was written on standard error."""
        self.stderr.extend(line[:MAX_LINE].rstrip() for line in lines if line.strip())
