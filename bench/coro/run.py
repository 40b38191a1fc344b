#!/usr/bin/env python3
"""What the coroutine library costs, beside Asio's own means and beside a floor without Asio.

    AWM_TARGETS=coro_bench scripts/build release && bench/coro/run.py            prints the table
    bench/coro/run.py --page                                                    and writes docs/coro/speed.md
    bench/coro/run.py --from FILE [--page]                                      the same from figures measured before
    bench/coro/run.py --check                                                   whether every row runs; the figures mean nothing

The program runs pinned to one core, all rows once a round; a figure is the median over the rounds, and a ratio is the median of
the rounds' ratios, so that what disturbs the machine disturbs both sides. Times are CPU time for one operation. All figures go to
a JSON file. In the page, what stands between `<!-- limits -->` and `<!-- /limits -->` is written by hand and kept.
"""
import argparse
import dataclasses
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = REPOSITORY / "build/release/bin/coro_bench"
FIGURES = REPOSITORY / "build/release/coro_bench.json"
PAGE = REPOSITORY / "docs/coro/speed.md"
LIMITS = re.compile(r"<!-- limits -->\n.*?<!-- /limits -->\n", re.S)


@dataclasses.dataclass
class Row:
    name: str
    reach: float = None   # ns, as set when the library was planned
    asio_then: float = None  # ns, what `reference` cost on the machine where that was set
    reference: str = None  # Asio's means that `asio_then` and `factor` are about; without one, its fastest
    factor: float = 1     # how many times faster than the reference it is to be


ROWS = [
    Row("join 100, ready", 320, 303, "spawn and count"),
    Row("join 100, suspend once", 420, 445, "spawn and count"),
    Row("join 10, ready", 320, 440, "parallel_group"),
    Row("join 10, suspend once", 420),
    Row("first of 100, as value", 700, 8690, "signals and count", 5),
    Row("first of 100, thrown"),
    Row("first of 10, as value", 700, 8690, "|| (of 4)", 5),
    Row("first of 10, thrown"),
    Row("event", 220, 1814, "timer", 5),
    Row("auto_reset_event", 220, 1814, "timer", 5),
    Row("mutex, free", 35, 158, "channel(1)", 5),
    Row("mutex, free, try first", 35),
    Row("mutex, contended", None, None, "channel(1)"),
    Row("semaphore, free", 35, 158, "channel(1)"),
    Row("channel, 64 buffered", 100, 197, "channel"),
    Row("channel, rendezvous", 100, 345, "channel"),
    Row("channel, unbounded", 100, 197, "channel"),
    Row("channel, unbounded, try"),
    Row("deadline, not the earliest", 300, 1543, "steady_timer"),
    Row("deadline, the only one", 300, 1543, "steady_timer"),
    Row("deadline, the only one, and a turn", 300, 1543, "steady_timer"),
    Row("operation under a deadline", None, 7300, "|| timer"),
    Row("sleep of zero"),
    Row("async_generator, per value"),
    Row("retry, no failure"),
]


def measure(program, rounds, seconds, core, pattern):
    """{name: {"ns": [one a round], "allocations": n}}, and what the program says of the machine."""
    figures, context = {}, {}
    for number in range(rounds):
        print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
        done = subprocess.run(["taskset", "-c", str(core), program, "--benchmark_format=json", f"--benchmark_filter={pattern}",
                               f"--benchmark_min_time={seconds}"], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        printed = json.loads(done.stdout)
        context = printed["context"]
        for each in printed["benchmarks"]:
            one = figures.setdefault(each["name"], {"ns": [], "allocations": []})
            one["ns"].append(each["cpu_time"] / each["operations"])
            one["allocations"].append(each["allocations"])
    print(file=sys.stderr)
    for one in figures.values():
        one["allocations"] = statistics.median(one["allocations"])
    return figures, context


def machine():
    """What the figures hold for."""
    model = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    virtual = " (virtual)" if "hypervisor" in pathlib.Path("/proc/cpuinfo").read_text() else ""
    compiler = re.search(r"CMAKE_CXX_COMPILER:\w+=(.*)", (REPOSITORY / "build/release/CMakeCache.txt").read_text())
    version = subprocess.run([compiler[1] if compiler else "c++", "--version"], check=True, stdout=subprocess.PIPE, text=True)
    return {"processor": (model[1].strip() if model else platform.processor()) + virtual,
            "kernel": platform.release(), "compiler": version.stdout.splitlines()[0]}


def ratio(figures, above, below):
    return statistics.median(a / b for a, b in zip(figures[above]["ns"], figures[below]["ns"]))


def table(figures):
    """A dictionary for each of our ways to do a row's work."""
    made = []
    known = {row.name for row in ROWS}
    unknown = sorted({name.split("/")[0] for name in figures} - known)
    if unknown:
        raise SystemExit(f"rows that this script does not know: {', '.join(unknown)}")
    median = {name: statistics.median(one["ns"]) for name, one in figures.items()}
    for row in ROWS:
        ours = [name for name in figures if name.startswith(f"{row.name}/awm: ")]
        asio = [name for name in figures if name.startswith(f"{row.name}/asio: ")]
        if not ours or not asio:
            continue
        fastest = min(asio, key=median.get)
        reference = f"{row.name}/asio: {row.reference}" if row.reference else fastest
        floor = median.get(f"{row.name}/floor")
        for name in ours:
            to_fastest, to_reference = ratio(figures, name, fastest), ratio(figures, name, reference)
            line = {"row": row.name, "ours": name.split(": ", 1)[1], "ns": median[name], "floor": floor,
                    "asio": {one.split(": ", 1)[1]: median[one] for one in asio}, "fastest": fastest.split(": ", 1)[1],
                    "ratio": to_fastest, "allocations": figures[name]["allocations"],
                    "asio_allocations": figures[fastest]["allocations"], "goals": {}}
            line["goals"]["ahead of Asio"] = to_fastest < 1
            if row.factor > 1:
                line["goals"][f"{row.factor:g} × {row.reference}"] = 1 / to_reference >= row.factor
                line["times_reference"] = 1 / to_reference
            if row.reach:
                line["goals"][f"≤ {row.reach:g} ns"] = median[name] <= row.reach
            if row.reach and row.asio_then:
                line["goals"][f"≤ {row.reach / row.asio_then:.2f} of {row.reference}"] = to_reference <= row.reach / row.asio_then
            made.append(line)
    return made


def number(value):
    return "" if value is None else f"{value:.1f}" if value < 10 else f"{value:,.0f}".replace(",", " ")


def cells(line):
    asio = ", ".join(f"{number(ns)} ({how})" for how, ns in sorted(line["asio"].items(), key=lambda each: each[1]))
    goals = ", ".join(("" if met else "not ") + goal for goal, met in line["goals"].items())
    if "times_reference" in line:
        goals += f" ({line['times_reference']:.1f} ×)"
    return [line["row"], line["ours"], number(line["ns"]), asio, number(line["floor"]), f"{line['ratio']:.2f}",
            f"{line['allocations']:.2f}", f"{line['asio_allocations']:.2f}", goals]


HEAD = ["operation", "with", "ns", "Asio's own, ns", "floor, ns", "ratio", "allocations", "Asio's", "goals"]


def page(lines, given):
    """docs/coro/speed.md."""
    kept = LIMITS.search(PAGE.read_text()) if PAGE.exists() else None
    limits = kept[0] if kept else "<!-- limits -->\n<!-- /limits -->\n"

    def row(entries):
        return "| " + " | ".join(entry.replace("|", "\\|") for entry in entries) + " |\n"

    return f"""<!-- Written by bench/coro/run.py --page, but for what stands between the markers of the last section. -->
# What it costs

Each operation beside the same work with Asio's own means, and beside a floor: bare coroutines with a task type and a run queue of
their own, without Asio, executors or (but where it is the point) cancellation (`bench/coro/floor.hpp`). Nanoseconds of CPU time for one
operation, medians of {given["rounds"]} rounds in which all rows ran in turn on one core; "ratio" is that to Asio's fastest way, the median of
the rounds' ratios: below 1 the library is ahead. Both sides have an event loop for one thread (`ASIO_CONCURRENCY_HINT_UNSAFE`), get
errors as values where the row does not say "thrown", and run the same loop; a join's figures, and those of the first of several, are for
one child.

Measured on: {given["processor"]}, Linux {given["kernel"]}, {given["compiler"]}, Asio {given["asio"]}; load {given["load"]} of other programs on
{given["cores"]} cores. Figures of another machine are others; ratios hold better. A goal in ns was set on a quiet machine, and stands beside the
ratio to Asio that it meant there.

{row(HEAD)}{row(["---"] * 3 + ["---"] + ["---"] * 5)}{"".join(row(cells(line)) for line in lines)}
To measure it: `AWM_TARGETS=coro_bench scripts/build release`, then `bench/coro/run.py`.

## What limits each

{limits}"""


def asio_version():
    for folder in ("/usr/include", "/usr/local/include"):
        header = pathlib.Path(folder, "asio/version.hpp")
        if header.exists():
            found = int(re.search(r"#define ASIO_VERSION (\d+)", header.read_text())[1])
            return f"{found // 100000}.{found // 100 % 1000}.{found % 100}"
    return "of unknown version"


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--program", type=pathlib.Path, default=PROGRAM)
    arguments.add_argument("--rounds", type=int, default=15)
    arguments.add_argument("--seconds", type=float, default=0.02, help="CPU time that a row takes in a round, at least")
    arguments.add_argument("--core", type=int, default=1, help="the one that all runs on")
    arguments.add_argument("--filter", default=".", help="rows, as a regular expression")
    arguments.add_argument("--json", type=pathlib.Path, default=FIGURES)
    arguments.add_argument("--from", dest="measured", type=pathlib.Path, metavar="FILE")
    arguments.add_argument("--page", action="store_true")
    arguments.add_argument("--check", action="store_true")
    given = arguments.parse_args()

    if given.check:
        figures, _ = measure(given.program, 1, 0.0001, min(os.sched_getaffinity(0)), ".")
        missing = {row.name for row in ROWS} - {line["row"] for line in table(figures)}
        return f"rows without one of ours or one of Asio's: {', '.join(sorted(missing))}" if missing else 0
    if given.measured:
        kept = json.loads(given.measured.read_text())
    else:
        figures, context = measure(given.program, given.rounds, given.seconds, given.core, given.filter)
        about = machine() | {"asio": asio_version(), "rounds": given.rounds, "cores": context["num_cpus"],
                             "load": f"{context['load_avg'][0]:.0f}"}
        kept = {"about": about, "figures": figures}
    lines = table(kept["figures"])
    if not given.measured:
        given.json.write_text(json.dumps(kept | {"table": lines}, indent=1) + "\n")
    rows = [HEAD] + [cells(line) for line in lines]
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEAD))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    if given.page:
        PAGE.write_text(page(lines, kept["about"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
