"""Send a code to an address: by SMTP, or, where there is none, into the operator's log."""

from __future__ import annotations

import logging
from email.message import EmailMessage
from typing import Final, Protocol

from gateway.login_settings import LoginSettings
from schema.errors import Unavailable

logger = logging.getLogger(__name__)

SECONDS: Final = 20.0


class Mailer(Protocol):
    """Sends a message to one address."""

    async def send(self, to: str, subject: str, text: str) -> None:
        """Raises Unavailable."""
        ...


class SmtpMailer:
    """By the server in the settings."""

    def __init__(self, settings: LoginSettings) -> None:
        self._settings = settings

    async def send(self, to: str, subject: str, text: str) -> None:
        # Only servers that send mail wait for this import.
        import aiosmtplib  # noqa: PLC0415

        settings = self._settings
        message = EmailMessage()
        message["From"] = settings.smtp_from or f"polyport@{settings.smtp_host}"
        message["To"] = to
        message["Subject"] = subject
        message.set_content(text)
        secret = settings.smtp_password
        try:
            await aiosmtplib.send(
                message,
                hostname=settings.smtp_host,
                port=settings.smtp_port,
                username=settings.smtp_username,
                password=secret.get_secret_value() if secret else None,
                use_tls=settings.smtp_security == "tls",
                start_tls=settings.smtp_security == "starttls",
                timeout=SECONDS,
            )
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            logger.warning("mail_failed error=%s", type(error).__name__)
            raise Unavailable("No mail can be sent now. Try again later.") from None


class LogMailer:
    """For the operator, who passes it on. Nobody else reads the log."""

    async def send(self, to: str, subject: str, text: str) -> None:
        logger.warning("mail_not_sent to=%s text=%r", to, text)


def mailer(settings: LoginSettings) -> Mailer:
    """The way that the settings ask for."""
    return SmtpMailer(settings) if settings.smtp_host else LogMailer()
