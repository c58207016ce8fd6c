"""The repository keeps its own rules: sizes, names, locks, documents, and a wheel that runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

import gateway
from gateway.settings import Settings

ROOT = Path(__file__).parent.parent
PACKAGES = ("gateway", "schema", "mcp_bridge", "http_proxy")
MAX_LINES = 500
MAX_EXAMPLE_LINES = 80
UNITS = ("_seconds", "_bytes", "_per_second", "_messages", "_requests")
WITHOUT_UNIT = {
    "port",
    "smtp_port",
    "max_clients_per_workspace",
    "max_connections_per_address",
    "max_connections_per_user",
    "max_mcp_sessions",
    "max_mcp_listed_tools",
    "max_mcp_streams",
    "max_mcp_streams_per_user",
    "max_services_per_client",
    "max_workspaces_per_user",
}
"""Settings whose number counts nothing that has a unit."""


def repository_files(*patterns: str) -> list[Path]:
    """Files under version control, and new ones that are not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for name in listed.stdout.splitlines() if (path := ROOT / name).is_file()]


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def locked(name: str) -> dict[str, list[Requirement]]:
    """Pinned requirements of a lock by distribution name; one line for each marker."""
    pins: dict[str, list[Requirement]] = {}
    for line in text_of(ROOT / name).splitlines():
        if line and line[0].isalnum():
            requirement = Requirement(line.rstrip(" \\"))
            pins.setdefault(requirement.name, []).append(requirement)
    return pins


def test_source_files_are_short() -> None:
    sources = [p for p in repository_files("*.py") if p.relative_to(ROOT).parts[0] in PACKAGES]
    assert sources
    lengths = {str(p.relative_to(ROOT)): len(text_of(p).splitlines()) for p in sources}
    assert {name: n for name, n in lengths.items() if n > MAX_LINES} == {}


def test_source_files_say_what_they_are_for() -> None:
    sources = [p for p in repository_files("*.py") if p.relative_to(ROOT).parts[0] in PACKAGES]
    assert [str(p) for p in sources if not text_of(p).startswith(('"""', 'r"""'))] == []


@pytest.mark.parametrize("name", ["sample_service.py", "agent.py"])
def test_examples_fit_on_a_screen(name: str) -> None:
    assert len(text_of(ROOT / "examples/agents" / name).splitlines()) < MAX_EXAMPLE_LINES


def test_no_package_index_is_named() -> None:
    hosts = [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs"),
        ("deb", "debian", "org"),
    ]
    names = [".".join(parts) for parts in hosts]
    files = repository_files()
    found = [f"{p.relative_to(ROOT)}: {n}" for p in files for n in names if n in text_of(p)]
    assert found == []


def test_no_path_of_a_developers_machine_is_named() -> None:
    absolute = re.compile(r"(?<![\w.\-}>])/(?:work|farm|opt|root|home|Users|tmp/w\d*)/\w")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in repository_files()
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if absolute.search(line)
    ]
    assert found == []


def test_readme_names_the_two_commands() -> None:
    readme = text_of(ROOT / "README.md")
    assert "make run" in readme
    assert "make test" in readme


def without_code(page: str) -> str:
    return re.sub(r"^```.*?^```|`[^`\n]*`", "", page, flags=re.MULTILINE | re.DOTALL)


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in repository_files("*.md")
        for target in re.findall(r"\]\(([^)#\s]+)", without_code(text_of(page)))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_every_page_is_in_the_index() -> None:
    for index in repository_files("docs/*index.md"):
        pages = [path.name for path in index.parent.glob("*.md") if path.name != "index.md"]
        text = text_of(index)
        assert [page for page in pages if f"({page})" not in text] == []


def test_changelog_is_up_to_date() -> None:
    titles = re.findall(r"^## \[(.+?)\]", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert titles[0] in ("Unreleased", gateway.__version__)


def test_every_setting_is_described_and_has_a_unit() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        is_number = field.annotation in (int, float, int | None, float | None)
        if is_number and name not in WITHOUT_UNIT:
            assert name.endswith(UNITS), f"{name}: a number needs one of {UNITS} in its name"


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_locks_satisfy_the_project(lock: str) -> None:
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    wanted = list(project["dependencies"])
    if lock == "requirements-dev.txt":
        wanted += [item for extra in project["optional-dependencies"].values() for item in extra]
    pins = locked(lock)
    for requirement in map(Requirement, wanted):
        assert requirement.name in pins, f"{requirement.name} is not in {lock}: run `make lock`"
        for pin in pins[requirement.name]:
            version = str(pin.specifier).removeprefix("==")
            assert requirement.specifier.contains(version), f"{pin} is not {requirement}"


def test_locks_agree_with_each_other() -> None:
    # Versions, not markers: a development tool may need on every platform what the server does not.
    run, develop = (
        {name: {str(pin.specifier) for pin in pins} for name, pins in locked(lock).items()}
        for lock in ("requirements.txt", "requirements-dev.txt")
    )
    assert {name: develop.get(name) for name in run} == run
    assert (
        locked("requirements-hypha-rpc.txt")["hypha-rpc"] == locked("requirements.txt")["hypha-rpc"]
    )


@pytest.mark.parametrize(
    "lock",
    [
        "requirements.txt",
        "requirements-dev.txt",
        "requirements-mcp1.txt",
        "requirements-openapi.txt",
        "requirements-postgres.txt",
        "requirements-hypha-rpc.txt",
    ],
)
def test_every_pin_has_hashes(lock: str) -> None:
    text = text_of(ROOT / lock)
    entries = re.findall(r"^\w.*\\\n((?:    --hash=sha256:[0-9a-f]{64}.*\n)+)", text, re.MULTILINE)
    assert len(entries) == sum(len(pins) for pins in locked(lock).values())


def test_no_other_distribution_owns_our_package_names() -> None:
    owners = packages_distributions()
    assert {
        name: owners.get(name, [])
        for name in PACKAGES
        if owners.get(name, ["polyport"]) != ["polyport"]
    } == {}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built with the pinned build backend and no network."""
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = directory.glob("polyport-*.whl")
    return built


def test_the_wheel_has_the_four_packages_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {*PACKAGES, f"polyport-{gateway.__version__}.dist-info"}
    assert "gateway/auth/login/page.html" in names
    assert "http_proxy/openapi/assets/page.js" in names


def test_the_wheel_runs_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    install += ["--no-index", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True, cwd=tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(site)}

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    where = run(
        sys.executable, "-c", "import gateway, http_proxy, mcp_bridge; print(gateway.__file__)"
    )
    assert Path(where).is_relative_to(site)
    assert gateway.__version__ in run(str(site / "bin" / "polyport"), "--version")
