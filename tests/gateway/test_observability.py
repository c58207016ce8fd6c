from __future__ import annotations

import logging

import pytest
from uvicorn.config import LOGGING_CONFIG
from uvicorn.logging import AccessFormatter

from gateway.observability import configure_logging, hide_queries


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/public/services/s/report?key=secret&token=secret", "/public/services/s/report?..."),
        ("/ws?token=secret?", "/ws?..."),
        ("/health/liveness", "/health/liveness"),
    ],
)
def test_the_log_of_the_web_server_shows_no_queries(path: str, shown: str) -> None:
    line = '%s - "%s %s HTTP/%s" %d'
    arguments = ("127.0.0.1:1", "GET", path, "1.1", 200)
    record = logging.LogRecord("uvicorn.access", logging.INFO, "", 0, line, arguments, None)
    assert hide_queries(record)
    formatter = AccessFormatter(LOGGING_CONFIG["formatters"]["access"]["fmt"], use_colors=False)
    assert f'"GET {shown} HTTP/1.1" 200' in formatter.format(record)


def test_lines_of_another_kind_stay_as_they_are() -> None:
    for arguments in ((), ("why?", 1), ({"path": "/a?b"},)):
        record = logging.LogRecord("uvicorn.error", logging.INFO, "", 0, "x", arguments, None)
        before = record.args
        assert hide_queries(record)
        assert record.args == before


def test_it_is_set_up_once_however_often_it_is_asked_for() -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    access = logging.getLogger("uvicorn.access")
    try:
        for _ in range(2):
            configure_logging("nonsense")
        assert root.level == logging.WARNING
        assert len(root.handlers) == 1
        assert access.filters == [hide_queries]
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for name in ("uvicorn.access", "uvicorn.error"):
            logging.getLogger(name).removeFilter(hide_queries)
