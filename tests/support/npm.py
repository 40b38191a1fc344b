"""Programs and libraries from npm for tests, in exact versions.

Everything goes into a cache folder, `build/npm` or `$AWM_NPM_DIR`. It is fetched once, without running any package's
scripts; several test processes may ask at the same time. Where something cannot be had, `Unavailable` is raised, whose
text says why.
"""
import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# A package may have 250 MB. A slow line may need minutes; a dead one must not hold up the whole test run.
NPM_TIMEOUT_S = 300
_QUIET = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")


class Unavailable(Exception):
    """It cannot be had on this machine now; the text says why."""


def project(folder, *flags):
    """Installs what `folder`'s package-lock.json names; returns the folder that has the node_modules.

    The cache keeps one copy for each content of the lock file, so that a changed one is fetched anew. `flags` go to
    `npm ci`. Raises `Unavailable`.
    """
    folder = Path(folder)
    lock = folder / "package-lock.json"
    digest = hashlib.sha256(b"\0".join([lock.read_bytes(), *(flag.encode() for flag in flags)])).hexdigest()[:12]
    name = "-".join(folder.relative_to(REPOSITORY).parts)
    target = _cache() / f"{name}-{digest}"

    def prepare(scratch):
        shutil.copy(folder / "package.json", scratch)
        shutil.copy(lock, scratch)

    once(target, ["ci", *flags], f"the packages of {lock.relative_to(REPOSITORY)}", prepare)
    return target


@functools.cache
def node(at_least=(20, 0)):
    """The path of a node of that version or newer: the system's, else the one of `tests/support/node`.

    Raises `Unavailable`.
    """
    path = shutil.which("node")
    if path and _version(path) >= at_least:
        return path
    modules = project(REPOSITORY / "tests" / "support" / "node") / "node_modules"
    for path in modules.glob("node-linux-*/bin/node"):
        # npm's unpacking makes a program of what the package names as one; the mode in the archive may lack it.
        os.chmod(path, 0o755)
        if _version(path) >= at_least:
            return str(path)
    raise Unavailable(f"no node {'.'.join(map(str, at_least))} or newer: not installed, and none in {modules}")


def once(target, command, what, prepare=lambda scratch: None):
    """Runs `npm <command>` with a new folder as its prefix, and calls that folder `target`, unless `target` is there.

    It is filled under another name and renamed, so that a broken download is never taken for a whole one. `what` names
    it in the text of `Unavailable`; `prepare(folder)` may put files into it first.
    """
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _install(target, command, what, prepare)


def _install(target, command, what, prepare):
    npm = shutil.which("npm")
    if not npm:
        raise Unavailable(f"npm is not installed, so {what} cannot be fetched")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".install-") as scratch:
        prepare(Path(scratch))
        try:
            done = subprocess.run([npm, *command, "--prefix", scratch, *_QUIET], capture_output=True, text=True,
                                  timeout=NPM_TIMEOUT_S, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"npm did not fetch {what} within {NPM_TIMEOUT_S} s") from None
        if done.returncode != 0:
            lines = [line for line in done.stderr.strip().splitlines() if "npm warn" not in line]
            raise Unavailable(f"npm could not fetch {what} (no network?): {' | '.join(lines[:3])}")
        # mkdtemp's 0700 would hide the cache from another user of the machine.
        os.chmod(scratch, 0o755)
        os.rename(scratch, target)
        os.mkdir(scratch)


def _cache():
    return Path(os.environ.get("AWM_NPM_DIR") or REPOSITORY / "build" / "npm")


def _version(path):
    """(22, 19, 0), or () for what cannot be run."""
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    words = said.stdout.strip().lstrip("v").split(".")
    return tuple(int(word) for word in words) if all(word.isdigit() for word in words) else ()
