"""Databases for tests: SQLite always, PostgreSQL when its programs are on this machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.settings import Settings

_NOBODY = "postgres"
"""PostgreSQL does not start as root."""


def postgres_programs() -> Path | None:
    """Where initdb and pg_ctl are, newest version first."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    return found[0].parent if found else None


@contextmanager
def postgres(programs: Path, directory: Path) -> Iterator[str]:
    """A server of its own in ``directory``, reached through a socket file; the URI of its
    database."""
    as_root = os.geteuid() == 0
    directory.mkdir(mode=0o755)
    if as_root:
        subprocess.run(["chown", _NOBODY, str(directory)], check=True)
    user = _NOBODY if as_root else None
    data = directory / "data"

    def run(*command: str) -> None:
        subprocess.run(
            command, check=True, user=user, cwd=directory, stdout=subprocess.DEVNULL, timeout=50
        )

    run(str(programs / "initdb"), "-D", str(data), "-U", "polyport", "-A", "trust", "-N")
    options = f"-c listen_addresses='' -c unix_socket_directories={directory} -c fsync=off"
    run(str(programs / "pg_ctl"), "-D", str(data), "-w", "-o", options, "-l", "log", "start")
    try:
        yield f"postgresql://polyport@/postgres?host={directory}"
    finally:
        run(str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")


def settings_for(uri: str | None, data_dir: Path) -> Settings:
    return Settings(data_dir=data_dir, database_uri=uri)
