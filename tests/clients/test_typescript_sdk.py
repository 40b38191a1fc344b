"""The official TypeScript clients drive the real server over stdio: every scenario of both_eras.mjs with each of them, and
those of legacy.mjs and modern.mjs with the clients of that era. What happens in a scenario stands there."""

import json
import re
import subprocess
from pathlib import Path

import npm
import pytest
from conftest import had
from harness import GUARD, Arena

HERE = Path(__file__).resolve().parent
CLIENTS = {  # name: library, mode, files
    "sdk_1": ("sdk_1", "-", ("both_eras", "legacy")),
    "sdk_2_legacy": ("sdk_2", "legacy", ("both_eras", "legacy")),
    "sdk_2_modern": ("sdk_2", "modern", ("both_eras", "modern")),
}


def scenarios(file: str) -> list[str]:
    return re.findall(r"^export async function (\w+)\(world\)", (HERE / f"{file}.mjs").read_text(), re.MULTILINE)


def every_scenario() -> list:
    return [
        pytest.param(library, mode, f"{file}:{scenario}", id=f"{client}-{scenario}")
        for client, (library, mode, files) in CLIENTS.items()
        for file in files
        for scenario in scenarios(file)
    ]


@pytest.mark.parametrize("library, mode, where", every_scenario())
def test_client(arena: Arena, scripts: Path, library: str, mode: str, where: str):
    node = had(npm.node)
    server = arena.server()
    how = {"command": server.command[0], "args": server.command[1:], "env": server.env, "cwd": str(server.cwd)}
    command = [node, scripts / "drive.mjs", library, mode, where]
    facts = json.dumps({"server": how, "folder": str(arena.root)})
    out = arena.root / "driver.log"
    with open(out, "w") as log, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log) as driver:
        try:
            driver.communicate(facts.encode(), timeout=2 * GUARD)
            end = f"exit code {driver.returncode}"
        except subprocess.TimeoutExpired:
            driver.kill()
            end = f"killed after {2 * GUARD:.0f} s"
    if driver.returncode != 0:
        pytest.fail(f"{where}: {end}\n{out.read_text()[-6000:]}", pytrace=False)
