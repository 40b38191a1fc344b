"""The real Claude Code CLI for tests: its native binary in exact versions, and an environment of the test's own.

The binaries come from npm (`@anthropic-ai/claude-code-linux-<arch>`, no install scripts, no node at run time) into a
cache folder: `build/claude-cli/<version>`, or `$AWM_CLAUDE_CLI_DIR/<version>`. They are fetched once; several test
processes may ask at the same time. Where they cannot be had, `binary()` raises `Unavailable`, whose text says why.
"""
import os
import platform
from pathlib import Path

import npm
from npm import Unavailable

# The oldest version that the server knows, and the newest.
VERSIONS = ("2.1.197", "2.1.329")
REPOSITORY = Path(__file__).resolve().parents[2]


def binary(version):
    """The path of the native binary of `version`; installs it the first time. Raises `Unavailable`."""
    machine = platform.machine()
    architecture = {"x86_64": "x64", "aarch64": "arm64"}.get(machine)
    if not architecture:
        raise Unavailable(f"there is no Claude Code CLI for {machine}")
    package = f"@anthropic-ai/claude-code-linux-{architecture}"
    cache = Path(os.environ.get("AWM_CLAUDE_CLI_DIR") or REPOSITORY / "build" / "claude-cli")
    path = cache / version / "node_modules" / package / "claude"
    npm.once(cache / version, ["install", f"{package}@{version}"], f"{package}@{version}")
    if not os.access(path, os.X_OK):
        raise Unavailable(f"npm installed {package}@{version} without an executable {path}")
    return path


def environment(root, base_url, **extra):
    """An environment for the CLI, or for a program that starts it, made from nothing of the caller's.

    `root` is the test's own folder: HOME and the CLI's temporary files go there. Keep its path short, since the CLI
    puts a socket into it. A value of None in `extra` leaves the variable out.
    """
    home, temporary = Path(root) / "home", Path(root) / "tmp"
    home.mkdir(exist_ok=True)
    temporary.mkdir(exist_ok=True)
    variables = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "CLAUDE_CODE_TMPDIR": str(temporary),
        "ANTHROPIC_API_KEY": "sk-ant-stand-in-key",
        "ANTHROPIC_BASE_URL": base_url,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        **extra,
    }
    return {name: value for name, value in variables.items() if value is not None}
