"""The official TypeScript clients drive the real server over stdio: every scenario of both_eras.mjs with each of them, and
those of legacy.mjs and modern.mjs with the clients of that era. What happens in a scenario stands there."""

import json
import re
import subprocess
from pathlib import Path

import npm
import pytest
from conftest import NOT_YET, had
from harness import GUARD, Arena

HERE = Path(__file__).resolve().parent
CLIENTS = {  # name: library, mode, files
    "sdk_1": ("sdk_1", "-", ("both_eras", "legacy")),
    "sdk_2_legacy": ("sdk_2", "legacy", ("both_eras", "legacy")),
    "sdk_2_modern": ("sdk_2", "modern", ("both_eras", "modern")),
}


UNSERVED = ("resources", "prompts", "subscriber")


def scenarios(file: str) -> list[str]:
    return re.findall(r"^export async function (\w+)\(world\)", (HERE / f"{file}.mjs").read_text(), re.MULTILINE)


def marks(mode: str, scenario: str) -> list:
    return [NOT_YET] if mode == "modern" or any(word in scenario for word in UNSERVED) else []


def every_scenario() -> list:
    return [
        pytest.param(library, mode, f"{file}:{scenario}", id=f"{client}-{scenario}", marks=marks(mode, scenario))
        for client, (library, mode, files) in CLIENTS.items()
        for file in files
        for scenario in scenarios(file)
    ]


@pytest.mark.parametrize("library, mode, where", every_scenario())
def test_client(arena: Arena, scripts: Path, library: str, mode: str, where: str):
    node = had(npm.node)
    server = arena.server()
    how = {"command": server.command[0], "args": server.command[1:], "env": server.env, "cwd": str(server.cwd)}
    done = subprocess.run(
        [node, scripts / "drive.mjs", library, mode, where],
        input=json.dumps({"server": how, "folder": str(arena.root)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=2 * GUARD,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(f"{where}\n{done.stdout[-6000:]}", pytrace=False)
