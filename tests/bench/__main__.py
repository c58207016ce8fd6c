"""`make bench`: measure this repository's gateway, and Hypha beside it where it is installed.

HYPHA_PYTHON names a Python that has Hypha. Takes about a minute and a half for each server.
"""

from __future__ import annotations

import argparse
import logging
import os
from contextlib import AbstractContextManager
from pathlib import Path

from tests.bench import gateways, scale, streams
from tests.bench.measure import Figures, measure
from tests.bench.report import page
from tests.bench.sections import section
from tests.bench.servers import Server, hypha, polyport, provider

TITLES = (streams.TITLE, scale.TITLE, gateways.TITLE)
"""Sections that the other benchmarks write."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="for each kind of call")
    parser.add_argument("--output", type=Path, help="the page to write")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # the client library warns of each connection that ends

    servers: list[AbstractContextManager[Server]] = [polyport()]
    if python := os.environ.get("HYPHA_PYTHON"):
        servers.append(hypha(python))
    else:
        print("HYPHA_PYTHON is not set: Hypha is left out", flush=True)
    results: dict[str, Figures] = {}
    for starting in servers:
        with starting as server, provider(server) as service:

            def say(what: str, name: str = server.name) -> None:
                print(f"{name}: {what}", flush=True)

            results[server.name] = measure(server, service, arguments.seconds, say)
    text = page(results)
    print(f"\n{text}")
    if arguments.output:
        # What the other benchmarks have written stays.
        page_now = arguments.output.read_text(encoding="utf-8")
        kept = (section(page_now, title) for title in TITLES)
        text = "\n".join([text, *filter(None, kept)])
        arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
