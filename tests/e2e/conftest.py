"""Fixtures of the end-to-end tests: each test runs with each version of the real CLI, and leaves nothing behind."""
import asyncio
import functools
import inspect
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import claude_cli  # noqa: E402
import scenes  # noqa: E402
import stories  # noqa: E402
import world as worlds  # noqa: E402
from skips import pytest_sessionfinish  # noqa: E402, F401


unavailable = {}


@functools.cache
def _binary(version):
    """Asked once a version: without a network, npm takes its time to give up."""
    try:
        return claude_cli.binary(version)
    except claude_cli.Unavailable as reason:
        unavailable[version] = str(reason)
        return None


@pytest.fixture(scope="module", params=claude_cli.VERSIONS)
def version(request):
    return request.param


@pytest.fixture(scope="module")
def claude(version):
    path = _binary(version)
    if not path:
        pytest.skip(f"NOT TESTED with Claude Code {version}: {unavailable[version]}")
    return path


def _world(version, claude):
    world = worlds.World(version, claude)
    with world.api:
        yield world
        complaints = world.close()  # while the API still answers, so that nothing ends for the lack of one
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def world(version, claude):
    """A world of the test's own."""
    yield from _world(version, claude)


@pytest.fixture(scope="module")
def shared_world(version, claude):
    """One world for all tests of a file that only read what happened in it."""
    yield from _world(version, claude)


@pytest.fixture(scope="module")
def told(request, shared_world):
    """Tells the stories of a file that are among the selected tests. Called with one, it fails as that one did."""
    items = [item for item in request.session.items if item.module is request.module]
    ends = stories.tell(shared_world, [item.obj.story for item in items if hasattr(item.obj, "story")])

    def end_of(story):
        if ends[story] is not None:
            raise ends[story]
    return end_of


def _version_of(item):
    return item.callspec.params["version"]


@pytest.fixture(scope="module")
def plays(request):
    """Begins to play the scenes of a file that are among the selected tests. Each ends as a future."""
    items = [item for item in request.session.items if item.module is request.module and hasattr(item.obj, "scene")
             and not item.get_closest_marker("skip")]
    with ThreadPoolExecutor(scenes.AT_ONCE) as pool:
        yield {(item.obj.scene, _version_of(item)): pool.submit(scenes.play, item.obj.scene, _version_of(item), path)
               for item in items if worlds.server_binary().exists() and (path := _binary(_version_of(item)))}
        pool.shutdown(cancel_futures=True)  # those that nobody waited for, where the run was stopped


@pytest.fixture
def played(plays, version, claude):
    """Called with a scene, it fails as that one did."""
    return lambda scene: plays[scene, version].result()


def pytest_collection_modifyitems(items):
    """A scene that only some versions play is no test of the others."""
    items[:] = [item for item in items
                if not hasattr(item.obj, "versions") or _version_of(item) in item.obj.versions]


@pytest.fixture(autouse=True)
def server_is_built(request):
    if "no_server" not in request.keywords and not worlds.server_binary().exists():
        pytest.fail(f"{worlds.server_binary()} does not exist: build it, or name its folder in AWM_BIN_DIR")


def pytest_configure(config):
    config.addinivalue_line("markers", "no_server: the test drives the CLI alone")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Runs a test that is a coroutine function on an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


def pytest_terminal_summary(terminalreporter):
    for version, reason in unavailable.items():
        terminalreporter.write_line(f"WARNING: nothing was tested with Claude Code {version}: {reason}", red=True)
