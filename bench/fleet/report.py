#!/usr/bin/env python3
"""Turns the figures of bench/fleet/run.py into a table, plots and documents.

    python3 bench/fleet/report.py [FIGURES.json]     # default: docs/fleet/figures.json, what the documents were made from

Plots go to docs/fleet/*.svg (gnuplot); the parts of docs/performance.md and README.md between `<!-- fleet: NAME -->` and
`<!-- fleet: end -->` are written anew. Figures are medians over the rounds; a ratio is the median of the rounds' ratios.
"""

import json
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs" / "fleet"
KEPT = DOCS / "figures.json"

# The prompts of fleet_bench's mixes, for the floors and peers, which take no names.
PROMPTS = {
    "quiet": "bench: quiet",
    "chatty": "bench: lines=1000 size=1024",
    "bursts": "bench: lines=1000 size=1024 burst=100 batch=100",
    "giant": "bench: giant=4194304",
    "chatter": "bench: lines=1000000000 size=1024 rate=20",  # as `fleet_bench latency` has it
}
CHATTY_BYTES = 1000 * 1024
GIANT_BYTES = 4194304
MIB = 1 << 20
KIB = 1 << 10


class Figures:
    def __init__(self, result: dict):
        self.scenarios = result["scenarios"]

    def rounds(self, scenario: str, subject: str = "server") -> list:
        return self.scenarios.get(scenario, {}).get(subject, [])

    def has(self, scenario: str, subject: str = "server") -> bool:
        return bool(self.rounds(scenario, subject))

    def names(self, beginning: str) -> list:
        return [name for name in self.scenarios if name.startswith(beginning)]

    def median(self, scenario: str, subject: str, value) -> float:
        return statistics.median(value(one) for one in self.rounds(scenario, subject))

    def ratio(self, scenario: str, one: str, other: str, value) -> float:
        pairs = zip(self.rounds(scenario, one), self.rounds(scenario, other))
        return statistics.median(value(a) / value(b) for a, b in pairs)


def cpu_us_per(workers: int):
    return lambda figures: 1e6 * figures["cpu_s"] / workers


def count_in(scenario: str) -> int:
    return int(scenario.split()[-1])


@dataclass
class Row:
    what: str
    measured: str
    goal: str
    met: bool | None  # None: there is no goal


def quiet_rows(figures: Figures) -> list:
    if not figures.has("quiet"):
        return []
    workers = figures.rounds("quiet")[0]["workers"]
    cost = cpu_us_per(workers)
    own = figures.median("quiet", "server", cost)
    what = "manager CPU a quiet worker, spawn to collected"
    rows = []
    if figures.has("quiet", "floor"):
        times = figures.ratio("quiet", "server", "floor", cost)
        rows.append(Row(f"{what}: against the floor loop",
                        f"{own:.0f} µs; {times:.2f} × the floor's {figures.median('quiet', 'floor', cost):.0f} µs",
                        "≤ 1.5 ×", times <= 1.5))
    for peer, goal in (("Agent SDK", 8), ("asyncio", 3), ("FastMCP", None)):
        if figures.has("quiet", peer):
            times = figures.ratio("quiet", peer, "server", cost)
            rows.append(Row(f"{what}: against {peer}",
                            f"{times:.1f} × less than {figures.median('quiet', peer, cost):.0f} µs",
                            f"≥ {goal} × less" if goal else "", times >= goal if goal else None))
    if figures.has("quiet", "in process"):
        rows.append(Row("the same without the server: the manager in the client's process",
                        f"{figures.median('quiet', 'in process', cost):.0f} µs", "", None))
    return rows


def ingest_rows(figures: Figures) -> list:
    rows = []
    for name in figures.names("chatty "):
        if not figures.has(name) or not figures.has(name, "copying floor"):
            continue
        workers = count_in(name)
        rate = lambda one: workers * CHATTY_BYTES / MIB / one["cpu_s"]
        wall = lambda one: workers * CHATTY_BYTES / MIB / one["wall_s"]
        share = figures.ratio(name, "server", "copying floor", rate)
        rows.append(Row(f"ingest of {workers} chatty workers, MiB for a second of CPU",
                        f"{figures.median(name, 'server', rate):.0f}; {share:.2f} × the copying floor's "
                        f"{figures.median(name, 'copying floor', rate):.0f} (by the clock "
                        f"{figures.median(name, 'server', wall):.0f} against "
                        f"{figures.median(name, 'copying floor', wall):.0f})",
                        "≥ 0.6 ×", share >= 0.6))
        for peer, goal in (("Agent SDK", 10), ("asyncio", None)):
            if figures.has(name, peer):
                times = figures.ratio(name, "server", peer, rate)
                rows.append(Row(f"ingest of {workers} chatty workers: against {peer}",
                                f"{times:.1f} × its {figures.median(name, peer, rate):.0f} MiB",
                                f"≥ {goal} ×" if goal else "", times >= goal if goal else None))
    return rows


def latency_rows(figures: Figures) -> list:
    rows = []
    names = (("result_us", "result written → `wait` response"), ("permission_us", "permission asked → `wait` response"),
             ("approval_us", "approval sent → line at the worker"))
    for scenario in figures.names("latency beside "):
        if not figures.has(scenario):
            continue
        beside = count_in(scenario)
        company = f"beside {beside} chatty workers" if beside else "alone"
        if figures.has(scenario, "floor"):
            p50, p99 = (figures.median(scenario, "floor", lambda one, part=part: one[part]) for part in ("p50", "p99"))
            rows.append(Row(f"floor: a line that goes through a third process, {company}", f"p50 {p50:.0f} µs, p99 {p99:.0f} µs", "", None))
        for key, what in names:
            p50 = figures.median(scenario, "server", lambda one: one[key]["p50"])
            p99 = figures.median(scenario, "server", lambda one: one[key]["p99"])
            rows.append(Row(f"{what}, {company}",
                            f"p50 {p50:.0f} µs, p99 {p99:.0f} µs", "p50 ≤ 150 µs, p99 ≤ 2 ms", p50 <= 150 and p99 <= 2000))
    return rows


def scale_points(figures: Figures) -> list:
    """(workers, server µs a worker, floor µs a worker, ratio)"""
    points = []
    for name in figures.names("scale "):
        if figures.has(name) and figures.has(name, "floor"):
            cost = cpu_us_per(count_in(name))
            points.append((count_in(name), figures.median(name, "server", cost), figures.median(name, "floor", cost),
                           figures.ratio(name, "server", "floor", cost)))
    return sorted(points)


def scale_rows(figures: Figures) -> list:
    points = scale_points(figures)
    if len(points) < 2:
        return []
    growth = points[-1][1] / points[0][1] - 1
    told = ", ".join(f"{count}: {server:.0f}" for count, server, _, _ in points)
    rows = [Row("CPU a worker with so many at once, µs", f"{told}; {growth:+.0%} from first to last", "flat within 25 %",
                abs(growth) <= 0.25)]
    for name in figures.names("limits "):
        if not figures.has(name):
            continue
        _, soft, hard = name.split()
        one = figures.rounds(name)[0]
        all_told = one["lost"] == 0 and one["twice"] == 0 and (one["failed"] + one["refused"] == 0 or bool(one["error"]))
        rows.append(Row(f"{one['workers']} workers at once with {soft} descriptors, at most {hard}",
                        f"{one['held']} at once, {one['completed']} completed, {one['failed']} failed, {one['refused']} refused, "
                        f"{one['lost']} lost"
                        + (f"; “{one['error'].strip()}”" if one["error"] else ""),
                        "nothing lost, a clear error", all_told))
    return rows


def memory_rows(figures: Figures) -> list:
    if not figures.has("memory"):
        return []
    one = figures.rounds("memory")[0]
    workers = one["workers"]

    def each(stage: str, moment: str) -> float:
        return (one[stage][moment]["pss"] - one[stage]["base"]["pss"]) / workers / KIB

    base = one["short"]["base"]
    rows = [Row("memory of the server, no workers", f"PSS {base['pss'] / MIB:.1f} MiB, RSS {base['rss'] / MIB:.1f} MiB", "≤ 8 MB",
                base["rss"] <= 8e6)]
    for moment, what, goal in (("with_idle", "idle (kept warm)", 16), ("with_running", "running", 32)):
        short, long = each("short", moment), each("long", moment)
        rows.append(Row(f"memory a worker, {what}", f"{short:.1f} KiB with 1 line, {long:.1f} KiB with {one['lines']} lines",
                        f"≤ {goal} KB", max(short, long) * 1.024 <= goal))
    return rows


def other_rows(figures: Figures) -> list:
    rows = []
    if figures.has("start"):
        start = figures.rounds("start")[0]["start_ms"]
        cpu = figures.rounds("start")[0]["start_cpu_ms"]
        rows.append(Row("start of the server to its first reply", f"p50 {start['p50']:.1f} ms, {cpu['p50']:.1f} ms of CPU", "≤ 10 ms", start["p50"] <= 10))
    if figures.has("context"):
        one = figures.rounds("context")[0]
        less = 1 - one["wait_bytes"] / one["output_bytes"]
        rows.append(Row("bytes of `wait` answers for 20 results of 8 KiB", f"{one['wait_bytes']} of {one['output_bytes']}, "
                        f"{less:.1%} less", "≥ 98 % less", less >= 0.98))
    return rows


def real_rows(figures: Figures) -> list:
    rows = []
    for name in figures.names("real CLI "):
        for what, slow, fast in (("follow-up", "--resume", "warm"), ("first prompt", "fresh start", "spare")):
            if figures.has(name):
                one = figures.rounds(name)[0][what]
                middle = one["medians_ms"]
                rows.append(Row(f"{name}: {what} to the API request", f"{fast} {middle[fast]:.0f} ms; {one['ratio']:.1f} × sooner than "
                                f"{slow} ({middle[slow]:.0f} ms)", "≥ 5 × sooner", one["ratio"] >= 5))
    return rows


def mix_rows(figures: Figures) -> list:
    rows = []
    for mix in ("bursts", "giant", "permissions", "failures", "resumes"):
        if not figures.has(mix):
            continue
        one = figures.rounds(mix)[0]
        cost = cpu_us_per(one["turns"])
        measured = f"{figures.median(mix, 'server', cost):.0f} µs a turn"
        if mix == "permissions":
            measured += f", {one['answered']} questions answered"
        if figures.has(mix, "floor"):
            measured += f", {figures.ratio(mix, 'server', 'floor', cost):.2f} × the reading floor"
        delivered = all(round_["lost"] == 0 and round_["twice"] == 0 for round_ in figures.rounds(mix))
        rows.append(Row(f"{mix}, {one['workers']} workers", measured, "each delivered once", delivered))
    return rows


def rows_of(result: dict) -> list:
    figures = Figures(result)
    return [row for part in (quiet_rows, ingest_rows, latency_rows, scale_rows, memory_rows, other_rows, real_rows, mix_rows)
            for row in part(figures)]


def verdict(row: Row) -> str:
    return "" if row.met is None else "met" if row.met else "**missed**"


def text_table(result: dict) -> str:
    lines = []
    for row in rows_of(result):
        mark = {True: "ok  ", False: "MISS", None: "    "}[row.met]
        lines.append(f"{mark} {row.what}\n       {row.measured}" + (f"   (goal: {row.goal})" if row.goal else ""))
    lines += [f"skip {peer}: {why}" for peer, why in result["skipped"].items()]
    lines += [f"FAIL {failure}" for failure in result["failures"]]
    return "\n".join(lines)


def markdown_table(rows: list) -> str:
    lines = ["| what | measured | goal | |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {row.measured} | {row.goal} | {verdict(row)} |" for row in rows]
    return "\n".join(lines)


def about(result: dict) -> str:
    machine = result["machine"]
    skipped = "".join(f" Skipped: {peer} ({why})." for peer, why in result["skipped"].items())
    return (f"{result['date']}, commit {result['commit']}: {machine['cores']} × {machine['cpu']}, {machine['memory_gib']} GiB, "
            f"{machine['system']}, Linux {machine['kernel']}, {machine['compiler']}, Python {machine['python']}; files on {machine['files']}, "
            f"at most {machine['descriptors']} descriptors; load before: {machine['load_before']:.2f}.{skipped}")


def plot(name: str, commands: str) -> None:
    header = f"""set terminal svg size 760,380 dynamic background rgb 'white' font 'sans-serif,13'
set output '{DOCS / name}.svg'
set border 3 lc rgb '#888888'
set tics nomirror
set grid ytics lc rgb '#dddddd' lt 1
"""
    subprocess.run(["gnuplot"], input=header + commands, text=True, check=True)


def bars(name: str, title: str, bars_: list) -> None:
    """One bar each of (label, value), on a logarithmic scale."""
    data = "\n".join(f'"{label}" {value:.4g}' for label, value in bars_)
    plot(name, f"""$data << END
{data}
END
set title "{title}"
set style fill solid 0.8 noborder
set boxwidth 0.6
set logscale y
set yrange [{min(value for _, value in bars_) / 3}:*]
unset key
plot $data using 0:2:xtic(1) with boxes lc rgb '#3b6ea5', $data using 0:2:(sprintf('%.0f', $2)) with labels offset 0,0.7
""")


def draw(result: dict) -> None:
    figures = Figures(result)
    if not shutil.which("gnuplot"):
        print("report: no gnuplot, so no plots (apt-get install gnuplot-nox)", file=sys.stderr)
        return
    order = [("floor", "floor loop"), ("server", "this server"), ("asyncio", "asyncio"), ("FastMCP", "FastMCP server"),
             ("Agent SDK", "Agent SDK")]
    if figures.has("quiet"):
        cost = cpu_us_per(figures.rounds("quiet")[0]["workers"])
        bars("cpu", "CPU of the managing process for one worker, µs (logarithmic)",
             [(label, figures.median("quiet", name, cost)) for name, label in order if figures.has("quiet", name)])
    chatty = figures.names("chatty ")
    if chatty:
        name = chatty[0]
        rate = lambda one: count_in(name) * CHATTY_BYTES / MIB / one["cpu_s"]
        bars("ingest", f"What is read from {count_in(name)} chatty workers, MiB for a second of CPU (logarithmic)",
             [(label, figures.median(name, subject, rate)) for subject, label in
              [("floor", "only reading"), ("copying floor", "copying floor")] + order[1:] if figures.has(name, subject)])
    points = scale_points(figures)
    if points:
        data = "\n".join(f"{count} {server:.4g} {floor:.4g}" for count, server, floor, _ in points)
        plot("scale", f"""$data << END
{data}
END
set title "CPU of the managing process for one worker, with so many at once, µs"
set xlabel "workers at once"
set logscale x
set xtics ({", ".join(str(count) for count, *_ in points)})
set xrange [{points[0][0] * 0.8}:{points[-1][0] * 1.2}]
set yrange [0:*]
set key right center
plot $data using 1:2 with linespoints lw 2 pt 7 lc rgb '#3b6ea5' title 'this server', \\
     $data using 1:3 with linespoints lw 2 pt 7 lc rgb '#999999' title 'floor loop'
""")


def replace_part(path: Path, name: str, text: str) -> None:
    begin, end = f"<!-- fleet: {name} -->", "<!-- fleet: end -->"
    content = path.read_text()
    if begin not in content:
        return
    before, rest = content.split(begin, 1)
    path.write_text(before + begin + "\n" + text + "\n" + end + rest.split(end, 1)[1])


def readme_table(result: dict) -> str:
    figures = Figures(result)
    shown = [row for row in (*quiet_rows(figures), *ingest_rows(figures)) if row.goal]
    shown += [row for row in latency_rows(figures) if "chatty" in row.what]
    shown += [row for row in (*scale_rows(figures)[:1], *memory_rows(figures), *other_rows(figures),
              *real_rows(figures))]
    return markdown_table(shown) + "\n\n![CPU of the managing process for one worker](docs/fleet/cpu.svg)"


def write_documents(result: dict) -> None:
    DOCS.mkdir(parents=True, exist_ok=True)
    KEPT.write_text(json.dumps(result, indent=1) + "\n")
    draw(result)
    performance = ROOT / "docs" / "performance.md"
    replace_part(performance, "machine", about(result))
    replace_part(performance, "table", markdown_table(rows_of(result)))
    replace_part(ROOT / "README.md", "table", readme_table(result))


if __name__ == "__main__":
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else KEPT
    figures_ = json.loads(source.read_text())
    print(text_table(figures_))
    write_documents(figures_)
