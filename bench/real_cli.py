"""How soon a prompt reaches the API with the real Claude Code CLI: from the tool call to the arrival of the request.

    bench/real_cli.py [--runs 9] [--json build/real_cli.json] [--versions 2.1.197 2.1.329]

Four ways, interleaved: a worker that starts its process, and one that takes a spare (--prewarm); a follow-up that
resumes a session in a new process (--keep-warm 0), and one whose process is still warm. The API is the loopback
stand-in of the tests, and both versions of the CLI come from npm as they do there. A way is measured only when the CLI
processes that are there have come to rest, since a start goes on for a while after the CLI says that it is ready.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "e2e")]

import claude_cli  # noqa: E402
import spare_processes  # noqa: E402
from stand_in_api import say  # noqa: E402
from world import World, marked  # noqa: E402

PAIRS = (("first prompt", "fresh start", "spare"), ("follow-up", "--resume", "warm"))
GOAL = 5


def cpu_ticks(pids):
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks


async def rest(world):
    """Waits until the processes of the world do next to nothing."""
    before = None
    while True:
        now = cpu_ticks(pid for pid, _ in marked(world.root))
        if before is not None and now - before <= 1:
            return
        before = now
        await asyncio.sleep(0.3)


class Arrivals:
    """A model that says `done` and notes when it was asked what."""

    def __init__(self):
        self.times = {}

    def __call__(self, turn):
        self.times.setdefault(turn.prompt, time.monotonic())
        return [say("done")]


async def measure(world, arrivals, call):
    """The milliseconds from a tool call to the request about its prompt. `call` makes it, given the prompt."""
    prompt = f"Prompt {len(arrivals.times)}."
    await rest(world)
    begin = time.monotonic()
    answer = await call(prompt)
    return prompt, begin, answer


async def one_round(world, arrivals, ways, number):
    for is_ready in (False, True):
        logs = world.root / f"logs {number} {is_ready}"
        flags = ("--prewarm", "1", "--keep-warm", "300") if is_ready else ("--prewarm", "0", "--keep-warm", "0")
        async with world.manager(*flags, logs=logs) as manager:
            known = await spare_processes.ready(world, manager, logs, 1) if is_ready else set()
            prompt, begin, worker = await measure(world, arrivals, manager.spawn)
            await manager.wait_for_one()
            ways["spare" if is_ready else "fresh start"].append(1000 * (arrivals.times[prompt] - begin))
            if is_ready:
                await spare_processes.ready(world, manager, logs, 1, but=known)
            prompt, begin, _ = await measure(world, arrivals, lambda text: manager.resume(worker["worker_id"], text))
            await manager.wait_for_one()
            ways["warm" if is_ready else "--resume"].append(1000 * (arrivals.times[prompt] - begin))


def bench(version, runs):
    world = World(version, claude_cli.binary(version))
    arrivals = world.workers.script = Arrivals()
    ways = {way: [] for _, slow, fast in PAIRS for way in (slow, fast)}
    with world.api:
        for number in range(runs + 1):
            asyncio.run(one_round(world, arrivals, ways, number))
            print(f"\r{version}: {number} of {runs} rounds", end="", file=sys.stderr, flush=True)
            if number == 0:
                for times in ways.values():
                    times.clear()  # the first one fills the disk cache
        print(file=sys.stderr)
        complaints = world.close()
    assert not complaints, complaints
    return ways


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=9)
    arguments.add_argument("--json", type=Path, default=ROOT / "build" / "real_cli.json")
    arguments.add_argument("--versions", nargs="+", default=list(claude_cli.VERSIONS))
    given = arguments.parse_args()
    results = {"runs": given.runs, "cpus": os.cpu_count(), "load_before": os.getloadavg(), "versions": {}}
    rows = []
    for version in given.versions:
        ways = bench(version, given.runs)
        shown = results["versions"][version] = {}
        for what, slow, fast in PAIRS:
            middle = {way: statistics.median(ways[way]) for way in (slow, fast)}
            ratio = middle[slow] / middle[fast]
            shown[what] = {slow: ways[slow], fast: ways[fast], "medians_ms": middle, "ratio": ratio}
            rows.append((version, what, f"{slow}: {middle[slow]:.0f} ms", f"{fast}: {middle[fast]:.0f} ms",
                         f"{ratio:.1f} x sooner", "reached" if ratio >= GOAL else f"goal {GOAL} x missed"))
    results["load_after"] = os.getloadavg()
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(results, indent=1) + "\n")
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


if __name__ == "__main__":
    main()
