"""Fixtures of the tests with official clients: node, npm packages, and an arena as the integration tests have it."""

import functools
import shutil
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
sys.path.insert(0, str(HERE.parent / "support"))

import npm  # noqa: E402
from harness import SERVER, Arena  # noqa: E402
from skips import pytest_sessionfinish  # noqa: E402, F401

missing = []


@functools.cache
def _had(what, *how):
    """What npm gives, or why it gives nothing. Asked once: without a network, npm takes its time to give up."""
    try:
        return what(*how)
    except npm.Unavailable as reason:
        missing.append(reason)
        return reason


def had(what, *how):
    """What npm gives; where it gives nothing the test is skipped with the reason."""
    got = _had(what, *how)
    if isinstance(got, npm.Unavailable):
        pytest.skip(f"NOT TESTED: {got}")
    return got


@pytest.fixture(scope="session")
def scripts(tmp_path_factory):
    """A folder with the .mjs files of this one, beside the node_modules that they import from."""
    installed = had(npm.project, HERE)
    folder = tmp_path_factory.mktemp("scripts")
    for script in HERE.glob("*.mjs"):
        shutil.copy(script, folder)
    (folder / "node_modules").symlink_to(installed / "node_modules")
    return folder


@pytest.fixture
def arena(tmp_path):
    if not Path(SERVER).exists():
        pytest.fail(f"{SERVER} does not exist: build it, or name its folder in AWM_BIN_DIR")
    arena = Arena(tmp_path)
    yield arena
    arena.close()


def pytest_terminal_summary(terminalreporter):
    for reason in missing:
        terminalreporter.write_line(f"WARNING: not everything was tested: {reason}", red=True)
