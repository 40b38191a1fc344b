#!/usr/bin/env python3
"""Counts the instructions that the server takes for fixed scenarios, and how they changed.

    python3 bench/fleet/instructions.py            # measures, and prints the change against instructions.tsv
    python3 bench/fleet/instructions.py --write    # measures, and makes that the new table

Instructions hardly depend on what else the machine does, so a change of a few percent shows that no clock would show. They
are those of the server in user space, counted by callgrind; workers run outside of it. `spread` in the table is how far
two runs were apart when it was written: a change below it says nothing.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("instructions.tsv")
BIN = ROOT / "build" / "release" / "bin"
# One worker at a time, so that what happens comes in one order.
SCENARIOS = {
    "start and end": ("0", "bench: quiet"),
    "100 quiet workers": ("100", "bench: quiet"),
    "20 chatty workers": ("20", "bench: lines=1000 size=1024 batch=50"),
    "20 workers, 20 questions each": ("20", "bench: ask=20"),
}


def count(workers: str, prompt: str, scratch: str) -> int:
    out = Path(scratch) / "callgrind.out"
    server = ["/usr/bin/env", "valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}",
              str(BIN / "async-worker-manager"), "--claude", str(BIN / "bench_worker"), "--max-workers", "1",
              "--log-level", "error"]
    # With more descriptors the server would start children in a way that valgrind does not know.
    command = [BIN / "fleet_bench", "--bin", BIN, "--scratch", scratch, "--hard-descriptors", "1024"]
    command += [word for part in server for word in ("--server", part)]
    command += ["fleet", "--workers", workers, "--mix", prompt]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"instructions: {done.stderr.strip()}")
    for line in out.read_text().splitlines():
        if line.startswith("totals:"):
            return int(line.split()[1])
    raise SystemExit(f"instructions: {out} has no totals")


def read_table() -> dict:
    if not TABLE.exists():
        return {}
    rows = [line.split("\t") for line in TABLE.read_text().splitlines() if line and not line.startswith("#")]
    return {name: (int(instructions), float(spread)) for name, instructions, spread in rows}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--write", action="store_true", help="make what is measured the table")
    options = parser.parse_args()
    before = read_table()
    lines = ["# scenario\tinstructions\tspread: written by bench/fleet/instructions.py --write"]
    with tempfile.TemporaryDirectory(prefix="awm-instructions-") as scratch:
        for name, (workers, prompt) in SCENARIOS.items():
            counts = [count(workers, prompt, scratch) for _ in range(2 if options.write else 1)]
            spread = (max(counts) - min(counts)) / min(counts)
            lines.append(f"{name}\t{min(counts)}\t{spread:.4f}")
            told = f"{name:32} {min(counts):>14,}"
            if name in before:
                told += f"  {min(counts) / before[name][0] - 1:+.2%} (spread {before[name][1]:.2%})"
            print(told, flush=True)
    if options.write:
        TABLE.write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
