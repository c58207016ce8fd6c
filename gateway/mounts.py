"""Directories of files that the operator has the gateway serve (``--static-mounts``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles


def static_routes(mounts: Sequence[str]) -> list[BaseRoute]:
    """Routes for mounts of the form ``/path:directory``. ``index.html`` stands for its directory;
    nothing outside of the directory is served."""
    return list(_routes(mounts))


def _routes(mounts: Sequence[str]) -> Iterator[BaseRoute]:
    for mount in mounts:
        path, _, directory = mount.partition(":")
        path = "/" + path.strip("/")
        yield Route(path, _to_slash, methods=["GET"])
        yield Mount(path, StaticFiles(directory=directory, html=True))


async def _to_slash(request: Request) -> Response:
    """So that relative links in ``index.html`` lead into the directory."""
    name = request.url.path.rpartition("/")[2]
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"./{name}/{query}")
