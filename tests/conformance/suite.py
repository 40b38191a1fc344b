"""The official conformance suite, run against a URL: its checks, and what they came to.

Two releases are run. The newest knows both revisions of the protocol and checks each message against their JSON
schemas; the older is the last that is no alpha, with the scenarios of 2025-11-25 as they were then.
"""
import asyncio
import json
import re
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

import npm  # noqa: E402

# A scenario that hangs must not hold up the others for ever; none takes more than 10 s of waiting.
SCENARIO_TIMEOUT_MS = 120_000
SEVERITY = {"INFO": 0, "SKIPPED": 0, "SUCCESS": 1, "WARNING": 2, "FAILURE": 3}


@dataclass(frozen=True)
class Run:
    """One release of the suite, asked for what a revision of the protocol requires, or for all it has."""

    name: str
    package: str
    revision: str | None

    def everything(self):
        return ("--requirements", self.revision) if self.revision else ("--suite", "all")

    def one(self, scenario):
        # --force, since extensions belong to no revision.
        version = ("--spec-version", self.revision, "--force") if self.revision else ()
        return ("--scenario", scenario, *version)


RUNS = (
    Run("2025-11-25", "conformance", "2025-11-25"),
    Run("2026-07-28", "conformance", "2026-07-28"),
    Run("0.1.16", "conformance-0.1.16", None),
)


@dataclass
class Check:
    """The worst that a check id came to in a scenario; ids repeat."""

    status: str
    message: str = ""


@dataclass
class Scenario:
    checks: dict = field(default_factory=dict)

    def add(self, check):
        known = self.checks.get(check["id"])
        if not known or SEVERITY[check["status"]] > SEVERITY[known.status]:
            self.checks[check["id"]] = Check(check["status"], check.get("errorMessage") or check["description"])

    def failing(self):
        """A warning is a SHOULD that was not done: it counts."""
        return {id for id, check in self.checks.items() if check.status in ("FAILURE", "WARNING")}




# A scenario that throws leaves a folder without checks.
THROWN = {"id": "scenario", "status": "FAILURE", "description": "it broke off: an answer that it needs is missing"}


class Suite:
    """The installed suite. Raises `npm.Unavailable` where it cannot be had."""

    def __init__(self):
        self._node = npm.node(at_least=(22, 0))
        self._modules = npm.project(HERE) / "node_modules"

    def required(self, run):
        if not run.revision:
            return []
        text = (self._modules / run.package / "requirements" / f"{run.revision}.yaml").read_text()
        return re.findall(r"  - (\S+)\n", re.search(r"^server:\n((?:  - \S+\n)+)", text, re.M).group(1))

    async def all(self, run, url):
        """Every scenario of `run`, by name."""
        return await self._call(run, url, run.everything())

    async def again(self, run, url, scenario):
        """One scenario alone."""
        return (await self._call(run, url, run.one(scenario))).get(scenario, Scenario())

    async def _call(self, run, url, arguments):
        timeout = ("--timeout", str(SCENARIO_TIMEOUT_MS)) if run.revision else ()
        with tempfile.TemporaryDirectory(prefix="conformance-") as results, open(f"{results}/output", "wb") as output:
            program = self._modules / run.package / "dist" / "index.js"
            process = await asyncio.create_subprocess_exec(
                self._node, program, "server", "--url", url, "-o", results, *timeout, *arguments,
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output)
            try:
                await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            scenarios = _read(Path(results))
            if not scenarios:
                raise RuntimeError(f"the suite reported nothing: {Path(output.name).read_text()[-2000:]}")
            return scenarios


def _read(results):
    scenarios = {}
    for folder in sorted(results.glob("server-*")):
        # server-<scenario>-2026-11-21T15-42-33-123Z
        name = re.fullmatch(r"server-(.*)-\d{4}-\d\d-\d\dT[\d-]+Z", folder.name).group(1)
        scenario = scenarios.setdefault(name, Scenario())
        checks = folder / "checks.json"
        for check in json.loads(checks.read_text()) if checks.exists() else [THROWN]:
            scenario.add(check)
    return scenarios
