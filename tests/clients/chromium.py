"""Headless Chromium, driven over the Chrome DevTools Protocol."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect

from tests.patience import PATIENCE_SECONDS

PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
UNPACKED: Final = Path(__file__).parent / "browser" / "node_modules" / ".chromium"
"""Where ``make test`` puts a Chromium if the machine has none, with the libraries it needs."""
FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-port=0",
)
READY: Final = "DevTools listening on "


def executable() -> str | None:
    """Where Chromium is; None if there is none."""
    installed = next(filter(None, map(shutil.which, PROGRAMS)), None)
    return installed or shutil.which(UNPACKED / "chromium")


def _environment(program: str) -> dict[str, str]:
    environment = dict(os.environ)
    if Path(program).parent == UNPACKED:
        environment["LD_LIBRARY_PATH"] = str(UNPACKED / "lib")
        environment["FONTCONFIG_PATH"] = str(UNPACKED / "fonts")
    return environment


class PageError(Exception):
    """An exception in a page."""


class Page:
    """One tab. ``log`` is what it has written to its console, and what went wrong unnoticed."""

    def __init__(self, browser: Browser, target: str, session: str) -> None:
        self._browser = browser
        self._target = target
        self.session = session
        self.log: list[str] = []
        self.loads: asyncio.Queue[None] = asyncio.Queue()

    async def open(self, url: str) -> None:
        """Go to an address and wait until it has loaded."""
        while not self.loads.empty():
            self.loads.get_nowait()
        result = await self.send("Page.navigate", url=url)
        assert "errorText" not in result, result["errorText"]
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.loads.get()

    async def run(self, script: str, *arguments: Any) -> Any:
        """The value of the promise that an async function with this body returns; the arguments
        are there as ``args``. Raises PageError."""
        given = json.dumps(arguments)
        result = await self.send(
            "Runtime.evaluate",
            expression=f"(async (args) => {{ {script} }})({given})",
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description") or details["text"])
        return result["result"].get("value")

    async def until(self, condition: str) -> Any:
        """The value of an expression once it is true, looked at whenever the document changes."""
        return await self.run(
            f"""
            const value = () => {condition};
            for (let end = Date.now() + {PATIENCE_SECONDS * 1000:.0f}; Date.now() < end;) {{
              if (value()) return value();
              await new Promise((resume) => setTimeout(resume, 20));
            }}
            throw new Error("not within {PATIENCE_SECONDS:g} s");
            """
        )

    async def close(self) -> None:
        """Close the tab, as its user does."""
        await self._browser.send("Target.closeTarget", targetId=self._target)

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        return await self._browser.send(method, session=self.session, **parameters)


class Browser:
    """A running Chromium."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._ids = itertools.count(1)
        self._calls: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}

    async def page(self, url: str) -> Page:
        """Open a tab with an address."""
        target = (await self.send("Target.createTarget", url="about:blank"))["targetId"]
        attached = await self.send("Target.attachToTarget", targetId=target, flatten=True)
        page = self._pages[attached["sessionId"]] = Page(self, target, attached["sessionId"])
        await page.send("Page.enable")
        await page.send("Runtime.enable")
        await page.send("Log.enable")
        await page.open(url)
        return page

    @property
    def log(self) -> str:
        """What all pages have written."""
        return "\n".join(line for page in self._pages.values() for line in page.log)

    async def send(
        self, method: str, session: str | None = None, **parameters: Any
    ) -> dict[str, Any]:
        number = next(self._ids)
        message = {"id": number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._calls[number] = answer
        await self._connection.send(json.dumps(message))
        async with asyncio.timeout(2 * PATIENCE_SECONDS):
            return await answer

    async def listen(self) -> None:
        """Take what the browser sends, until it ends."""
        async for text in self._connection:
            message = json.loads(text)
            if "id" in message:
                self._settle(self._calls.pop(message["id"]), message)
            elif (page := self._pages.get(message.get("sessionId", ""))) is not None:
                _EVENTS.get(message["method"], _ignore)(page, message["params"])

    def _settle(self, answer: asyncio.Future[dict[str, Any]], message: dict[str, Any]) -> None:
        if answer.done():
            return
        if "error" in message:
            answer.set_exception(PageError(message["error"]["message"]))
        else:
            answer.set_result(message["result"])


def _on_load(page: Page, event: dict[str, Any]) -> None:
    page.loads.put_nowait(None)


def _on_console(page: Page, event: dict[str, Any]) -> None:
    page.log.append(" ".join(str(a.get("value", a.get("description"))) for a in event["args"]))


def _on_exception(page: Page, event: dict[str, Any]) -> None:
    page.log.append(f"{event['exceptionDetails'].get('exception', {}).get('description')}")


def _on_entry(page: Page, event: dict[str, Any]) -> None:
    entry = event["entry"]
    if entry["source"] != "network":  # a request that is answered with an error may be meant to be
        page.log.append(entry["text"])


def _ignore(page: Page, event: dict[str, Any]) -> None:
    pass


_EVENTS: Final[dict[str, Callable[[Page, dict[str, Any]], None]]] = {
    "Page.loadEventFired": _on_load,
    "Runtime.consoleAPICalled": _on_console,
    "Runtime.exceptionThrown": _on_exception,
    "Log.entryAdded": _on_entry,
}


@asynccontextmanager
async def started(program: str, profile: Path, *flags: str) -> AsyncIterator[Browser]:
    """Start Chromium with a profile of its own, and stop all of it at the end."""
    process = await asyncio.create_subprocess_exec(
        program,
        *FLAGS,
        *flags,
        f"--user-data-dir={profile}",
        "about:blank",
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=PIPE,
        start_new_session=True,
        env=_environment(program),
    )
    try:
        assert process.stderr is not None
        url = await _address(process.stderr)
        # It writes for as long as it runs, and must not wait for a reader.
        drain = asyncio.ensure_future(process.stderr.read())
        async with connect(url, max_size=None, proxy=None) as connection:
            browser = Browser(connection)
            listener = asyncio.ensure_future(browser.listen())
            yield browser
        await listener
        drain.cancel()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _address(output: asyncio.StreamReader) -> str:
    written: list[str] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while raw := await output.readline():
            line = raw.decode(errors="replace").strip()
            written.append(line)
            if line.startswith(READY):
                return line.removeprefix(READY)
    raise AssertionError("Chromium ended at once:\n" + "\n".join(written))
