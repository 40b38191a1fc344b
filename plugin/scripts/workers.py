#!/usr/bin/env python3
"""Says in one line which workers are at work, from the status file that the server keeps in its log folder.

    workers.py          the line, or nothing: for a status line
    workers.py --hook   as the answer of a hook, shown to the user
    workers.py --all    every worker, one a line
"""
import json
import os
import sys
from pathlib import Path

AT_WORK = ("queued", "starting", "running", "awaiting_permission", "background")
SHOWN = 3


def status():
    """What the status file says; nothing when there is none, or when it is not one."""
    project = os.environ.get("CLAUDE_PROJECT_DIR") or "."
    folder = Path(project) / (os.environ.get("AWM_LOG_DIR") or "logs")
    try:
        said = json.loads((folder / "current-session.json").read_text())
        return said if isinstance(said.get("agents"), list) else {"agents": []}
    except (OSError, ValueError, AttributeError):
        return {"agents": []}


def describe(agent):
    words = agent.get("description", "?")
    if agent.get("status") == "awaiting_permission" or agent.get("pending_requests"):
        return f"{words} asks for a permission"
    doing = agent.get("activity") if agent.get("status") == "running" else agent.get("held_by") or agent.get("status")
    return f"{words} ({doing})" if doing else words


def line(said):
    working = [agent for agent in said["agents"] if agent.get("status") in AT_WORK]
    if not working:
        return ""
    names = ", ".join(describe(agent) for agent in working[:SHOWN])
    more = f" and {len(working) - SHOWN} more" if len(working) > SHOWN else ""
    count = "1 worker" if len(working) == 1 else f"{len(working)} workers"
    return one_line(f"{count} at work: {names}{more}; ${said.get('cost_usd', 0):.2f} so far")


def one_line(text):
    """Without what could move a terminal's cursor: descriptions come from models."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def main(arguments):
    said = status()
    if "--all" in arguments:
        for agent in said["agents"]:
            print(one_line(f"{agent.get('id', '?')}  {agent.get('status', '?')}  ${agent.get('cost_usd', 0):.2f}  "
                           f"{describe(agent)}"))
        return
    text = line(said)
    if text:
        print(json.dumps({"systemMessage": text}) if "--hook" in arguments else text)


if __name__ == "__main__":
    main(sys.argv[1:])
