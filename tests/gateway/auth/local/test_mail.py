"""Mail by SMTP, to a server that this test plays."""

from __future__ import annotations

import asyncio

import pytest

from gateway.auth.local.mail import LogMailer, mailer
from gateway.settings import Settings
from schema.errors import Unavailable


async def test_a_code_goes_out_by_smtp() -> None:
    received: asyncio.Queue[str] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        while line := (await reader.readline()).decode():
            word = line.split(maxsplit=1)[0].upper()
            if word == "DATA":
                writer.write(b"354 go on\r\n")
                await received.put((await reader.readuntil(b"\r\n.\r\n")).decode())
            writer.write(b"221 bye\r\n" if word == "QUIT" else b"250 ok\r\n")
            if word == "QUIT":
                break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = Settings(smtp_host="127.0.0.1", smtp_port=port, smtp_security="none")
    async with server:
        await mailer(settings).send("ada@example.org", "Your code", "Your code is 123456.")
        message = await received.get()
    assert "To: ada@example.org" in message
    assert "Your code is 123456." in message


async def test_a_server_that_is_not_there_is_no_error_of_the_gateway(
    caplog: pytest.LogCaptureFixture, unused_tcp_port: int
) -> None:
    settings = Settings(smtp_host="127.0.0.1", smtp_port=unused_tcp_port, smtp_security="none")
    with pytest.raises(Unavailable, match="No mail can be sent now"):
        await mailer(settings).send("ada@example.org", "Your code", "Your code is 123456.")
    assert "123456" not in caplog.text


async def test_without_a_server_the_code_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    found = mailer(Settings())
    assert isinstance(found, LogMailer)
    await found.send("ada@example.org", "Your code", "Your code is 123456.")
    assert "Your code is 123456." in caplog.text
