"""Runs the official conformance suite against a stdio MCP server, and compares what fails with baseline.toml.

    run.py SERVER [ARGUMENT...]

Fails when a check fails that the baseline does not name, when one passes that it names, and when a required scenario is
missing. Where the suite cannot be had, it says why and ends with 77, which ctest shows as "Skipped".
"""
import asyncio
import sys
import tomllib
from pathlib import Path

import bridge
from suite import RUNS, Scenario, Suite, npm

BASELINE = Path(__file__).with_name("baseline.toml")
KINDS = {"bridge", "suite's fault", "unscored"}
SKIPPED = 77


class Baseline:
    """The exceptions: checks that may fail, and must."""

    def __init__(self, path):
        self._entries = tomllib.loads(path.read_text()).get("exception", [])
        for entry in self._entries:
            missing = {"run", "scenario", "kind", "reason"} - entry.keys()
            if missing or entry["kind"] not in KINDS or entry["run"] not in [run.name for run in RUNS]:
                kinds = ", ".join(sorted(KINDS))
                raise ValueError(f"{path.name}: an exception has a run, scenario, kind ({kinds}) and reason: {entry}")

    def excused(self, run, name, failing):
        """The failing checks that an entry names; an entry without checks names all of its scenario."""
        named = [entry.get("checks", failing) for entry in self._of(run, name)]
        return failing & {check for checks in named for check in checks}

    def stale(self, run, scenarios):
        """What entries name and does not fail."""
        for entry in self._of(run):
            failing = scenarios.get(entry["scenario"], Scenario()).failing()
            stale = sorted(set(entry.get("checks", [])) - failing) or ([] if failing else ["every check"])
            yield from (f"{run.name} {entry['scenario']}: {check}" for check in stale)

    def _of(self, run, name=None):
        return [entry for entry in self._entries if entry["run"] == run.name and name in (None, entry["scenario"])]


class Outcome:
    """A run's scenarios by name, and which of them needed a second try."""

    def __init__(self, run, scenarios):
        self.run, self.scenarios = run, scenarios
        self.retried = set()

    async def try_again(self, suite, baseline, url):
        """The suite gives some answers half a second, which a busy machine misses: what failed runs again, alone."""
        for name, scenario in sorted(self.scenarios.items()):
            if scenario.failing() - baseline.excused(self.run, name, scenario.failing()):
                self.scenarios[name] = await suite.again(self.run, url, name)
                self.retried.add(name)


async def outcomes(suite, baseline, command):
    async with bridge.Bridge(command) as served:
        results = await asyncio.gather(*(suite.all(run, served.url) for run in RUNS))
        outcomes = [Outcome(run, scenarios) for run, scenarios in zip(RUNS, results)]
        for outcome in outcomes:
            await outcome.try_again(suite, baseline, served.url)
    return outcomes


def complaints(suite, baseline, run, scenarios):
    for name, scenario in scenarios.items():
        failing = scenario.failing()
        for check in sorted(failing - baseline.excused(run, name, failing)):
            yield f"{run.name} {name}: {check} failed: {scenario.checks[check].message}"
    for name in suite.required(run):
        if name not in scenarios:
            yield f"{run.name} {name}: it is required and did not run"
    for passing in baseline.stale(run, scenarios):
        yield f"{passing} does not fail, and {BASELINE.name} says that it does: take it out"


def table(suite, baseline, outcome):
    run, required = outcome.run, suite.required(outcome.run)
    for name, scenario in outcome.scenarios.items():
        failing = scenario.failing()
        result = "ok" if not failing else "FAILED" if failing - baseline.excused(run, name, failing) else "excused"
        statuses = [check.status for check in scenario.checks.values()]
        notes = ["not scored"] if required and name not in required else []
        notes += ["second try"] if name in outcome.retried else []
        passed = f"{statuses.count('SUCCESS')}/{len(statuses)}"
        yield f"{run.name:<11} {result:<8} {passed:<6} {name}  {', '.join(notes)}".rstrip()
    passed = sum(not scenario.failing() for scenario in outcome.scenarios.values())
    yield f"{run.name:<11} {passed} of {len(outcome.scenarios)} scenarios pass whole\n"


async def main(command):
    try:
        suite, baseline = Suite(), Baseline(BASELINE)
    except npm.Unavailable as reason:
        print(f"NOT TESTED: {reason}")
        return SKIPPED
    wrong = []
    for outcome in await outcomes(suite, baseline, command):
        print(*table(suite, baseline, outcome), sep="\n")
        wrong += complaints(suite, baseline, outcome.run, outcome.scenarios)
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(asyncio.run(main(sys.argv[1:])))
