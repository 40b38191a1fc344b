"""What a server on src/mcp costs, beside the TypeScript SDKs and beside a loop that hardly does anything.

    ninja -C build/release async-worker-manager mcp_floor mcp_echo_server && python3 bench/mcp/run.py

Every server answers the same requests: the handshake, then `ping` and `tools/call`, one after the other and 100 at once
(written in one piece; the next hundred when all are answered). The servers of a group run side by side and get their
requests in many small slices, in turn, so that what disturbs the machine disturbs all. Figures are medians over the
slices; a ratio is the median of the slices' ratios. CPU is the server's own, user and system, all its threads, from its
process clock (clock_getcpuclockid(3)): the client's speed is not in it. The floor's rows answer with the very results of
the server above them.

Modern means 2026-07-28: no handshake but `server/discover`, the facts in every request, and no `ping` (tools/list stands
in its place, where the floor's rows answer with next to nothing: only `call` is to be compared).
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

import npm  # noqa: E402

BIN = ROOT / "build" / "release" / "bin"
FLOOR = BIN / "mcp_floor"

DEEP = 100
LOADS = [("light", 1), ("light", DEEP), ("call", 1), ("call", DEEP)]  # what is asked, how many at once
BLOCKS = {1: 200, DEEP: 10}  # a slice
WARM_UP_SLICES = 5  # what a compiler at run time needs to get warm
STARTS = 10  # a server; starting is what a busy machine disturbs most

# The targets.
START_MS, RSS_MB, TIMES_JSON, TIMES_TYPESCRIPT = 10, 10, 1.5, 8

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}


class Unsupported(Exception):
    """The server does not speak the era that is asked for."""


@dataclass
class Row:
    name: str
    command: list
    era: str = "legacy"
    tool: str = "echo"
    arguments: dict = field(default_factory=lambda: {"text": "hello"})
    notes: defaultdict = field(default_factory=lambda: defaultdict(list))

    def request(self, kind: str) -> tuple[str, dict]:
        if kind == "call":
            return "tools/call", {"name": self.tool, "arguments": self.arguments}
        return ("ping" if self.era == "legacy" else "tools/list"), {}

    def note(self, **values: float) -> None:
        for key, value in values.items():
            self.notes[key].append(value)

    def median(self, key: str) -> float:
        return statistics.median(self.notes[key])

    def times(self, key: str, base: "Row") -> float:
        return statistics.median(one / other for one, other in zip(self.notes[key], base.notes[key]))


class Server:
    """A server process, spoken to in whole blocks of requests. `start_ms`: from before the process to its first reply."""

    def __init__(self, command: list, era: str, home: str):
        self.modern = era == "modern"
        self._next = 0
        in_read, self._in = os.pipe2(os.O_CLOEXEC)
        self._out, out_write = os.pipe2(os.O_CLOEXEC)
        null = os.open(os.devnull, os.O_WRONLY)
        begin = time.perf_counter()
        self.pid = os.posix_spawn(
            str(command[0]),
            [str(word) for word in command],
            {"PATH": os.defpath, "HOME": home},
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, to) for fd, to in ((in_read, 0), (out_write, 1), (null, 2))],
        )
        for fd in (in_read, out_write, null):
            os.close(fd)
        answer = self.ask("server/discover", {}) if self.modern else self.ask("initialize", INITIALIZE)
        self.start_ms = 1000 * (time.perf_counter() - begin)
        self.start_cpu_ms = 1000 * self.cpu_s()
        if "result" not in answer:
            self.close()
            raise Unsupported(f"{command[0]}: {answer}")
        if not self.modern:
            os.write(self._in, b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')

    def ask(self, method: str, params: dict) -> dict:
        os.write(self._in, self._requests(method, params, 1))
        return json.loads(self._lines(1))

    def load(self, method: str, params: dict, blocks: int, depth: int) -> dict[str, float]:
        """Sends `blocks` times `depth` requests at once: CPU µs a request, requests a second, median ms a block."""
        written = [self._requests(method, params, depth) for _ in range(blocks)]
        took = []
        cpu, begin = self.cpu_s(), time.perf_counter()
        for block in written:
            sent = time.perf_counter()
            os.write(self._in, block)
            self._lines(depth)
            took.append(time.perf_counter() - sent)
        seconds, spent = time.perf_counter() - begin, self.cpu_s() - cpu
        count = blocks * depth
        return {"us": 1e6 * spent / count, "rps": count / seconds, "ms": 1000 * statistics.median(took)}

    def cpu_s(self) -> float:
        return time.clock_gettime((~self.pid << 3) | 2)  # what clock_getcpuclockid(3) makes of a pid

    def rss_mb(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def close(self) -> None:
        os.close(self._in)
        os.close(self._out)
        os.waitpid(self.pid, 0)

    def _requests(self, method: str, params: dict, count: int) -> bytes:
        if self.modern:
            params = {**params, "_meta": META}
        message = {"jsonrpc": "2.0", "id": 0, "method": method, "params": params}
        # The id is put in as text, since there are many of these.
        before, after = json.dumps(message, separators=(",", ":")).split('"id":0', 1)
        self._next += count
        ids = range(self._next - count, self._next)
        return "".join(f'{before}"id":{number}{after}\n' for number in ids).encode()

    def _lines(self, count: int) -> bytes:
        parts, seen = [], 0
        while seen < count:
            part = os.read(self._out, 1 << 20)
            if not part:
                raise EOFError("the server ended")
            seen += part.count(b"\n")
            parts.append(part)
        return b"".join(parts)


def groups_of_servers(home: str) -> list[list[Row]]:
    """The first row of each group is ours."""
    scripts = Path(home) / "scripts"
    scripts.mkdir()
    for name in ("ts_sdk_1.mjs", "ts_sdk_2.mjs"):
        (scripts / name).write_bytes((HERE / name).read_bytes())
    (scripts / "node_modules").symlink_to(npm.project(HERE) / "node_modules")
    node, echo = npm.node(), BIN / "mcp_echo_server"
    manager = [BIN / "async-worker-manager", "--claude", "/bin/true", "--log-dir", f"{home}/logs"]
    lists = {"tool": "list_workers", "arguments": {}}

    def floor(of: str, **how) -> list[Row]:
        return [Row(f"bare loop{of}", [FLOOR, "bare"], **how), Row(f"bare loop + JSON{of}", [FLOOR, "json"], **how)]

    return [
        [
            Row("echo on src/mcp", [echo]),
            *floor(""),
            Row("TS SDK 1.x", [node, scripts / "ts_sdk_1.mjs"]),
            Row("TS SDK 2.x", [node, scripts / "ts_sdk_2.mjs"]),
        ],
        [
            Row("echo on src/mcp, modern", [echo], "modern"),
            *floor(", modern", era="modern"),
            Row("TS SDK 2.x, modern", [node, scripts / "ts_sdk_2.mjs"], "modern"),
        ],
        [Row("async-worker-manager", manager, **lists), *floor(", its messages", **lists)],
        [Row("async-worker-manager, modern", manager, "modern", **lists), *floor(", both", era="modern", **lists)],
    ]


def start(row: Row, command: list, home: str) -> Server:
    """Starts it several times, and leaves the last one running."""
    for left in reversed(range(STARTS)):
        server = Server(command, row.era, home)
        row.note(start=server.start_ms, start_cpu=server.start_cpu_ms)
        if left > 0:
            server.close()
    time.sleep(0.1)  # what a server does after its first reply is not idleness
    row.note(idle=server.rss_mb())
    return server


def measure(group: list[Row], home: str, slices: int) -> None:
    running: list[tuple[Row, Server]] = []
    result = ""
    try:
        for row in group:
            server = start(row, [*row.command, result] if row.command[0] == FLOOR else row.command, home)
            running.append((row, server))
            answer = server.ask(*row.request("call"))
            if "error" in answer or answer["result"].get("isError"):
                raise SystemExit(f"{row.name} does not answer its call: {answer}")
            result = result or json.dumps(answer["result"], separators=(",", ":"))
        for number in range(WARM_UP_SLICES + slices):
            for kind, depth in LOADS:
                for row, server in running:
                    found = server.load(*row.request(kind), BLOCKS[depth], depth)
                    if number >= WARM_UP_SLICES:
                        row.note(**{f"{kind}{depth}.{key}": value for key, value in found.items()})
        for row, server in running:
            row.note(after=server.rss_mb())
    finally:
        for _, server in running:
            server.close()


def table(title: str, rows: list[Row], cell, last=lambda row: "") -> None:
    heads = [f"{kind} x{depth}" for kind, depth in LOADS]
    print(f"\n{title}\n{'':32} | " + " | ".join(f"{head:>14}" for head in heads))
    for row in rows:
        cells = [f"{cell(row, f'{kind}{depth}'):>14}" for kind, depth in LOADS]
        print(f"{row.name:32} | " + " | ".join(cells) + last(row))


def show(groups: list[list[Row]]) -> None:
    rows = [row for group in groups for row in group]
    base = {id(row): next(one for one in group if "JSON" in one.name) for group in groups for row in group}

    def once(row: Row) -> str:
        begin = f"{row.median('start'):6.1f} ms ({row.median('start_cpu'):5.1f} ms CPU)"
        return f" | {begin} | {row.median('idle'):5.1f} MB idle, {row.median('after'):5.1f} after"

    table("CPU µs a request; start to first reply; RSS", rows, lambda row, load: f"{row.median(load + '.us'):.1f}", once)
    of_json = lambda row, load: f"{row.times(load + '.us', base[id(row)]):.2f}"  # noqa: E731
    table("CPU as a multiple of bare loop + JSON", rows, of_json)
    speed = lambda row, load: f"{row.median(load + '.rps'):.0f} {row.median(load + '.ms'):.2f}ms"  # noqa: E731
    table("requests/s, median ms of a block; the client is Python with one thread", rows, speed)


def judge(groups: list[list[Row]]) -> None:
    print("\ntargets")

    def at_most(what: str, value: float, limit: float) -> None:
        print(f"{'met   ' if value <= limit else 'MISSED'} {what}: {value:.2f}, at most {limit}")

    for group in groups:
        ours = group[0]
        at_most(f"{ours.name}: start to first reply, ms", ours.median("start"), START_MS)
        at_most(f"{ours.name}: RSS idle, MB", ours.median("idle"), RSS_MB)
        for row in group[1:]:
            for load in ("call1.us", f"call{DEEP}.us"):
                of = f"{ours.name}: CPU of {load[:-3]}, share of {row.name}"
                if "JSON" in row.name:
                    at_most(of, ours.times(load, row), TIMES_JSON)
                if "TS SDK" in row.name:
                    at_most(of, ours.times(load, row), 1 / TIMES_TYPESCRIPT)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--slices", type=int, default=40, help="more are steadier (default: 40)")
    slices = options.parse_args().slices
    measured = []
    with tempfile.TemporaryDirectory(prefix="mcp-bench-") as home:
        for group in groups_of_servers(home):
            try:
                measure(group, home, slices)
                measured.append(group)
            except Unsupported as reason:
                print(f"left out: {group[0].name}: {reason}", file=sys.stderr)
    show(measured)
    judge(measured)


main()
