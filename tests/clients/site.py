"""A web site of the test's own, on a port and thus an origin of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Site:
    """Pages by path; what is put in while it runs is there at once."""

    def __init__(self, url: str, pages: dict[str, tuple[str, bytes]]) -> None:
        self.url = url
        self._pages = pages

    def page(self, path: str, html: str) -> str:
        """Put a page there, and return its address."""
        self._pages[path] = ("text/html; charset=utf-8", html.encode())
        return self.url + path

    def script(self, path: str, file: Path) -> str:
        """Put a script there, and return its address."""
        self._pages[path] = ("text/javascript; charset=utf-8", file.read_bytes())
        return self.url + path


@contextmanager
def served() -> Iterator[Site]:
    """Serve a site for a while."""
    pages: dict[str, tuple[str, bytes]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            media, body = pages.get(self.path.partition("?")[0], ("text/plain", b""))
            self.send_response(200 if body else 404)
            self.send_header("content-type", media)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield Site(f"http://127.0.0.1:{server.server_port}", pages)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
