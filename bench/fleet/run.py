#!/usr/bin/env python3
"""What a fleet of workers costs here, beside the floor and beside other ways to run it. The one command:

    python3 bench/fleet/run.py            # everything: twenty to forty minutes
    python3 bench/fleet/run.py --quick    # under a minute, for a look

Builds what it needs, runs every scenario with its floor and peers in turn, round after round, so that what disturbs the
machine disturbs all; prints a table, writes all figures as JSON, and has bench/fleet/report.py draw the plots and write the
generated parts of docs/performance.md and README.md (not with --quick). Peers that cannot be had are skipped, and it says why.
Ctrl-C ends it, with everything that it started.

The worker of all subjects is bench_worker (worker.cpp). CPU is that of the managing process alone, user and system.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
sys.path.insert(0, str(HERE))

import npm  # noqa: E402
import report  # noqa: E402

TARGETS = "async-worker-manager bench_worker fleet_floor fleet_bench"
DESCRIPTORS = 65536  # five a worker
PATIENCE_WITH_END_S = 30


@dataclass
class Plan:
    """How much of everything."""

    rounds: int = 5
    quiet: int = 200
    at_once: int = 20
    chatty: tuple = (50, 500)
    mixed: int = 40
    samples: int = 300
    beside: tuple = (0, 500)
    scale: tuple = (100, 300, 1000, 2000, 5000)
    scale_rounds: int = 3
    memory: int = 200
    lines: int = 2000
    starts: int = 20
    limits: tuple = ((1024, 20000, 300), (512, 512, 200))  # soft, hard, workers
    real_versions: tuple = ("2.1.197", "2.1.329")
    real_runs: int = 5


QUICK = Plan(rounds=1, quiet=40, chatty=(20,), mixed=10, samples=20, beside=(0, 50), scale=(50, 100), scale_rounds=1,
             memory=30, lines=500, starts=5, limits=((64, 64, 20),), real_versions=())


class Progress:
    """One line on stderr that says what runs and since when; in place on a terminal."""

    def __init__(self, total: int):
        self.total, self.done, self.what = total, 0, ""
        self.begin = time.monotonic()
        self.in_place = sys.stderr.isatty()
        self.over = threading.Event()
        if self.in_place:
            threading.Thread(target=self._tick, daemon=True).start()

    def next(self, what: str) -> None:
        self.done, self.what = self.done + 1, what
        self._show()

    def end(self) -> None:
        self.over.set()
        if self.in_place:
            sys.stderr.write("\r\x1b[K")

    def _tick(self) -> None:
        while not self.over.wait(1):
            self._show()

    def _show(self) -> None:
        seconds = int(time.monotonic() - self.begin)
        text = f"[{self.done}/{self.total}] {seconds // 60}:{seconds % 60:02} {self.what}"
        sys.stderr.write(f"\r\x1b[K{text}" if self.in_place else text + "\n")
        sys.stderr.flush()


class Failed(Exception):
    pass


def run(command: list, home: str) -> dict:
    """Runs a program that prints its figures as the last line. It ends with us, in any case."""
    environment = {"PATH": os.environ["PATH"], "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8"}
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               stdin=subprocess.DEVNULL, text=True, env=environment, cwd=home)
    try:
        out, err = process.communicate()
    except BaseException:
        process.terminate()  # the terminal's Ctrl-C has reached it as well; a kill of us alone has not
        try:
            process.communicate(timeout=PATIENCE_WITH_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        raise
    if process.returncode != 0:
        raise Failed((err.strip().splitlines() or [f"exit status {process.returncode}"])[-1])
    return json.loads(out.strip().splitlines()[-1])


@dataclass
class Peers:
    """How to start those that can be had; the others with why not."""

    sdk: list | None = None
    fastmcp: list | None = None
    skipped: dict = field(default_factory=dict)


def find_peers(scratch: Path) -> Peers:
    peers = Peers()
    try:
        modules = npm.project(HERE, "--omit=optional") / "node_modules"
        folder = scratch / "sdk"
        folder.mkdir()
        shutil.copy(HERE / "peer_sdk.mjs", folder)
        (folder / "node_modules").symlink_to(modules)
        peers.sdk = [npm.node(), folder / "peer_sdk.mjs"]
    except npm.Unavailable as why:
        peers.skipped["Agent SDK"] = str(why)
    try:
        peers.fastmcp = [python_with_fastmcp(), HERE / "peer_fastmcp.py"]
    except (OSError, subprocess.SubprocessError) as why:
        peers.skipped["FastMCP"] = f"pip could not fetch it: {why}"
    return peers


def python_with_fastmcp() -> Path:
    """A virtual environment with what requirements.txt names, made once."""
    wanted = (HERE / "requirements.txt").read_text().strip()
    target = ROOT / "build" / "pypi" / wanted.replace("==", "-")
    python = target / "bin" / "python"
    if not (target / "complete").exists():
        shutil.rmtree(target, ignore_errors=True)
        for command in ([sys.executable, "-m", "venv", target],
                        [python, "-m", "pip", "install", "-q", "-r", HERE / "requirements.txt"]):
            subprocess.run([str(word) for word in command], check=True, capture_output=True, timeout=900)
        (target / "complete").touch()
    return python


class Bench:
    def __init__(self, plan: Plan, bin_dir: Path, scratch: Path, peers: Peers):
        self.plan, self.bin, self.scratch, self.peers = plan, bin_dir, scratch, peers
        self.figures = defaultdict(lambda: defaultdict(list))
        self.failures = []

    def driver(self, *arguments) -> list:
        return [self.bin / "fleet_bench", "--bin", self.bin, "--scratch", self.scratch, *arguments]

    def fleet(self, mix: str, workers: int, at_once: int, *more, before=()) -> list:
        return self.driver("--at-once", at_once, *before, "fleet", "--mix", mix, "--workers", workers, *more)

    def floor(self, mix: str, workers: int, at_once: int, *more) -> list:
        return [self.bin / "fleet_floor", "--prompt", report.PROMPTS[mix], "--workers", workers, "--at-once", at_once, *more,
                self.bin / "bench_worker"]

    def steps(self):
        """All (scenario, subject, command) in the order in which they run; a command may be a function that does it."""
        plan, peers, worker = self.plan, self.peers, self.bin / "bench_worker"
        for _ in range(plan.rounds):
            quiet = ("quiet", plan.quiet, plan.at_once)
            yield "quiet", "floor", self.floor(*quiet)
            yield "quiet", "server", self.fleet(*quiet)
            yield "quiet", "in process", self.fleet(*quiet, "--in-process")
            script = [plan.quiet, plan.at_once, report.PROMPTS["quiet"], worker]
            yield "quiet", "asyncio", [sys.executable, HERE / "peer_asyncio.py", *script]
            if peers.sdk:
                yield "quiet", "Agent SDK", [*peers.sdk, *script]
            if peers.fastmcp:
                words = [word for part in peers.fastmcp for word in ("--server", part)]
                yield "quiet", "FastMCP", self.fleet(*quiet, before=words)
        for count in plan.chatty:
            for _ in range(plan.rounds):
                chatty, name = ("chatty", count, count), f"chatty {count}"
                yield name, "floor", self.floor(*chatty)
                yield name, "copying floor", lambda chatty=chatty: self.copying_floor(chatty)
                yield name, "server", self.fleet(*chatty)
                if count == plan.chatty[0]:
                    script = [count, count, report.PROMPTS["chatty"], worker]
                    yield name, "asyncio", [sys.executable, HERE / "peer_asyncio.py", *script]
                    if peers.sdk:
                        yield name, "Agent SDK", [*peers.sdk, *script]
        for _ in range(plan.rounds):
            for mix in ("bursts", "giant", "permissions", "failures", "resumes"):
                if mix in ("bursts", "giant"):
                    yield mix, "floor", self.floor(mix, plan.mixed, plan.mixed)
                yield mix, "server", self.fleet(mix, plan.mixed, plan.mixed)
        for beside in plan.beside:
            for _ in range(plan.rounds):
                yield (f"latency beside {beside}", "floor",
                       [self.bin / "fleet_floor", "--relay", plan.samples, "--workers", beside, "--prompt",
                        report.PROMPTS["chatter"], worker])
                yield (f"latency beside {beside}", "server",
                       self.driver("latency", "--samples", max(20, plan.samples // plan.rounds), "--beside", beside))
        for _ in range(plan.scale_rounds):
            for count in plan.scale:
                yield f"scale {count}", "floor", lambda count=count: self.held_floor(count)
                yield f"scale {count}", "server", self.fleet("quiet", count, count, "--hold")
        for soft, hard, count in plan.limits:
            before = ("--soft-descriptors", soft, "--hard-descriptors", hard)
            yield f"limits {soft} {hard}", "server", self.fleet("quiet", count, count, "--hold", before=before)
        yield "memory", "server", self.driver("memory", "--workers", plan.memory, "--lines", plan.lines)
        yield "start", "server", self.driver("start", "--samples", plan.starts)
        yield "context", "server", self.driver("context", "--workers", 20, "--size", 8192)
        for version in plan.real_versions:
            yield f"real CLI {version}", "server", lambda version=version: self.real_cli(version)

    def copying_floor(self, load: tuple) -> dict:
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            return run(self.floor(*load, "--copy-to", folder), str(self.scratch))

    def real_cli(self, version: str) -> dict:
        told = self.scratch / "real_cli.json"
        command = [sys.executable, ROOT / "bench" / "real_cli.py", "--runs", self.plan.real_runs, "--versions", version,
                   "--json", told]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise Failed((done.stderr.strip().splitlines() or ["no reason"])[-1])
        return json.loads(told.read_text())["versions"][version]

    def held_floor(self, count: int) -> dict:
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            gate = Path(folder) / "gate"
            os.mkfifo(gate)
            command = self.floor("quiet", count, count, "--gate", gate)
            command[2] = f"{report.PROMPTS['quiet']} gate={gate}"
            return run(command, str(self.scratch))

    def run(self, only: str) -> None:
        steps = [step for step in self.steps() if only in step[0]]
        progress = Progress(len(steps))
        try:
            for scenario, subject, command in steps:
                progress.next(f"{scenario}: {subject}")
                try:
                    figures = command() if callable(command) else run(command, str(self.scratch))
                    self.figures[scenario][subject].append(figures)
                except Failed as why:
                    self.failures.append(f"{scenario}: {subject}: {why}")
        finally:
            progress.end()


def file_system_of(path: Path) -> str:
    return subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True).stdout.strip()


def machine(scratch: Path) -> dict:
    def first(path: str, key: str) -> str:
        for line in Path(path).read_text().splitlines():
            if line.startswith(key):
                return line.split(":", 1)[1].strip()
        return "unknown"

    return {
        "cpu": first("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory_gib": round(int(first("/proc/meminfo", "MemTotal").split()[0]) / 1048576),
        "kernel": platform.release(),
        "system": first_of_os_release(),
        "compiler": subprocess.run(["c++", "--version"], capture_output=True, text=True).stdout.splitlines()[0],
        "python": platform.python_version(),
        "files": file_system_of(scratch),
        "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "load_before": os.getloadavg()[0],
    }


def first_of_os_release() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.split("=", 1)[1].strip('"')
    return "unknown"


def raise_descriptor_limit() -> None:
    """So that all workers are there together; where that is not allowed, as many as there can be."""
    wanted = max(DESCRIPTORS, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    except (ValueError, OSError):
        pass


def build() -> Path:
    subprocess.run([ROOT / "scripts" / "build", "release"], check=True, env={**os.environ, "AWM_TARGETS": TARGETS},
                   stdout=sys.stderr)
    return ROOT / "build" / "release" / "bin"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="little of everything, no documents")
    parser.add_argument("--only", default="", metavar="TEXT", help="scenarios whose name has this in it; no documents")
    parser.add_argument("--rounds", type=int, help="how often everything is measured")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "fleet.json", help="where the figures go")
    parser.add_argument("--bin", type=Path, help="where the programs are; not given: they are built")
    parser.add_argument("--scratch", type=Path, default=Path("/dev/shm") if os.path.isdir("/dev/shm") else None,
                        help="where transcripts are written meanwhile; default: in memory, so that no disk is measured")
    parser.add_argument("--no-peers", action="store_true", help="nothing from npm and PyPI")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    raise_descriptor_limit()
    plan = QUICK if options.quick else Plan()
    if options.rounds:
        plan.rounds = plan.scale_rounds = options.rounds
    try:
        bin_dir = options.bin or build()
        with tempfile.TemporaryDirectory(prefix="awm-fleet-", dir=options.scratch) as scratch:
            folder = Path(scratch)
            peers = Peers(skipped={"peers": "not asked for"}) if options.no_peers else find_peers(folder)
            about = machine(folder)
            bench = Bench(plan, bin_dir.resolve(), folder, peers)
            bench.run(options.only)
    except KeyboardInterrupt:
        print("interrupted; nothing was left behind", file=sys.stderr)
        return 130
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True)
    result = {"date": time.strftime("%Y-%m-%d"), "commit": commit.stdout.strip(), "machine": about, "quick": options.quick,
              "skipped": peers.skipped, "failures": bench.failures, "scenarios": bench.figures}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=1) + "\n")
    print(report.text_table(result))
    if not options.quick and not options.only:
        report.write_documents(result)
    return 1 if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main())
