"""bench/fleet works: every worker of every mix is delivered once, the figures are complete, and Ctrl-C leaves nothing."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import BIN

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not (BIN / "fleet_bench").exists(), reason="the benchmarks are not built")


def driver(scratch: Path, *arguments: str) -> list:
    return [str(BIN / "fleet_bench"), "--bin", str(BIN), "--scratch", str(scratch), *arguments]


def figures_of(command: list) -> dict:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def processes_with(word: str) -> list:
    """Those that have it in their environment, which what they start inherits."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            pass
    return found


@pytest.mark.parametrize("mix, completed, turns", [
    ("quiet", 6, 6),
    ("bench: lines=50 size=1024", 6, 6),
    ("bench: lines=50 size=1024 burst=10 batch=10", 6, 6),
    ("bench: giant=300000", 6, 6),
    ("permissions", 6, 6),
    ("failures", 0, 6),
    ("resumes", 18, 18),
])
def test_every_worker_is_delivered_once(tmp_path, mix, completed, turns):
    figures = figures_of(driver(tmp_path, "--at-once", "3", "fleet", "--workers", "6", "--mix", mix))
    assert (figures["completed"], figures["delivered"], figures["turns"]) == (completed, turns, turns)
    assert (figures["lost"], figures["twice"]) == (0, 0)
    assert figures["cpu_s"] > 0
    assert list(tmp_path.iterdir()) == []


def test_workers_that_are_there_together(tmp_path):
    figures = figures_of(driver(tmp_path, "--at-once", "20", "fleet", "--workers", "20", "--hold"))
    assert (figures["held"], figures["completed"], figures["lost"]) == (20, 20, 0)


def test_with_few_descriptors_nothing_is_lost_and_what_fails_says_why(tmp_path):
    limits = ("--soft-descriptors", "64", "--hard-descriptors", "80")
    figures = figures_of(driver(tmp_path, *limits, "--at-once", "40", "fleet", "--workers", "40"))
    assert figures["completed"] + figures["failed"] + figures["refused"] == 40
    assert (figures["lost"], figures["twice"]) == (0, 0)
    assert bool(figures["error"]) == (figures["completed"] < 40)


def test_the_floor_and_the_manager_alone_deliver_the_same(tmp_path):
    alone = figures_of(driver(tmp_path, "fleet", "--workers", "6", "--in-process"))
    floor = figures_of([str(BIN / "fleet_floor"), "--workers", "6", "--prompt", "bench: quiet", str(BIN / "bench_worker")])
    assert (alone["delivered"], floor["delivered"]) == (6, 6)


def test_latencies_and_memory_have_all_their_figures(tmp_path):
    latency = figures_of(driver(tmp_path, "latency", "--samples", "3", "--beside", "2"))
    for what in ("result_us", "permission_us", "approval_us"):
        assert latency[what]["samples"] == 3
        assert 0 < latency[what]["p50"] <= latency[what]["p99"] <= latency[what]["max"]
    memory = figures_of(driver(tmp_path, "memory", "--workers", "3", "--lines", "10"))
    for stage in ("short", "long"):
        assert memory[stage]["running"] == 3
        assert memory[stage]["with_running"]["pss"] > 0


def test_the_one_command_writes_complete_figures_and_a_table(tmp_path):
    out = tmp_path / "figures.json"
    command = [sys.executable, str(ROOT / "bench" / "fleet" / "run.py"), "--quick", "--no-peers", "--bin", str(BIN)]
    done = subprocess.run([*command, "--only", "limits", "--json", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text())
    assert result["failures"] == []
    assert result["machine"]["cores"] > 0
    (rounds,) = [subjects["server"] for subjects in result["scenarios"].values()]
    assert rounds[0]["lost"] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_everything(tmp_path, number):
    arrivals, gate = tmp_path / "arrivals", tmp_path / "gate"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    os.mkfifo(arrivals)
    os.mkfifo(gate)
    keeps_it_shut = os.open(gate, os.O_RDWR)
    prompt = f"bench: arrive={arrivals} gate={gate}"
    bench = subprocess.Popen(driver(scratch, "--at-once", "4", "fleet", "--workers", "4", "--mix", prompt),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    here = os.open(arrivals, os.O_RDWR)
    for _ in range(4):
        os.read(here, 1)
    assert len(processes_with(str(scratch))) >= 5  # the server and its workers
    bench.send_signal(number)
    assert bench.wait() == 130
    while processes_with(str(scratch)):  # ctest's time limit ends a test whose processes do not go
        pass
    assert list(scratch.iterdir()) == []
    os.close(here)
    os.close(keeps_it_shut)
