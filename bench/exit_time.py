"""How long the server takes from SIGINT to its exit, with 1, 50 and 300 workers at work. Claude Code grants it 500 ms."""

import asyncio
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from mcp_client import McpServer, run  # noqa: E402

BINARIES = ROOT / "build" / "release" / "bin"
RUNS = 3


async def exit_time(workers: int, home: Path) -> float:
    command = [BINARIES / "async-worker-manager", "--claude", BINARIES / "mock-claude", "--max-workers", str(workers)]
    async with McpServer([*command, "--log-dir", home / "logs"], home=home) as server:
        await server.initialize()
        for _ in range(workers):
            await server.call("spawn_worker", {"description": "hang", "prompt": "MOCK say begun\nMOCK hang"})
        await asyncio.sleep(1)  # all have begun
        begin = time.monotonic()
        await server.signal(signal.SIGINT)
        await server.exited()
        return time.monotonic() - begin


for workers in (1, 50, 300):
    times = []
    for _ in range(RUNS):
        home = Path(tempfile.mkdtemp(prefix="exit-time-", dir=ROOT / "build"))
        times.append(run(exit_time(workers, home)))
        shutil.rmtree(home)
    print(f"{workers:4} workers: " + ", ".join(f"{1000 * seconds:.0f} ms" for seconds in times))
