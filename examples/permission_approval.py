"""Permission approval with the user: the server asks the person itself, or the model answers for all workers at once.

`ask: "human"` (and "auto", the default, in a client that can show forms): the question goes to the user as a form, by
MCP elicitation, while `wait` goes on. `ask: "model"`: `wait` returns with the question and the model answers it;
`scope: "all"` answers the same request of every worker, also of those that have yet to ask.

    spawn_worker {"description": "ask the user", "prompt": "…", "options": {"ask": "human"}}
    wait {}                                            the user sees a form; the model sees the result
    spawn_worker {"description": "first of two", "prompt": "…", "options": {"ask": "model"}}
    spawn_worker {"description": "second of two", "prompt": "…", "options": {"ask": "model"}}
    wait {}                                            {"pending_permissions": [{"request_id": "…", "tool": "Bash", …}]}
    approve_permission {"request_id": "…", "allow": true, "scope": "all"}
    wait {}
"""

import argparse
import json

from fleet import Fleet, line, run, show


def flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--answer", choices=["yes", "no"], help="what the user says; without this the terminal asks")


def ask_user(form: dict, settings: argparse.Namespace) -> dict:
    """Answers the server's form. Its field `decision` takes one of the choices that the schema lists."""
    print("\n  " + form["message"].replace("\n", "\n  "))
    if settings.answer:
        print(f"  Allow this? [yes/no] {settings.answer}")
        said = settings.answer
    else:
        try:
            said = input("  Allow this? [yes/no] ")
        except EOFError:
            return {"action": "cancel"}  # nobody is there: the server asks the model from now on
    once, *_, deny = form["requestedSchema"]["properties"]["decision"]["enum"]
    if said.strip().lower() in ("y", "yes"):
        return {"action": "accept", "content": {"decision": once}}
    return {"action": "accept", "content": {"decision": deny, "reason": "Not now."}}


def bash_task(fleet: Fleet, command: str) -> str:
    text = f"Use the Bash tool to run exactly this command, once, and report what it printed: {command}"
    return fleet.task(text, mock="permission Bash " + json.dumps({"command": command}))


def approve_for_all(question: dict) -> dict:
    wanted = f"{question['tool']} {json.dumps(question['input'])}"
    print(f"  {question['description']} asks for {wanted}: allowed, for all workers")
    return {"allow": True, "scope": "all"}


def permission_approval(fleet: Fleet) -> None:
    print("The user decides:")
    fleet.spawn("ask the user", bash_task(fleet, "touch from-the-user && echo allowed"), options={"ask": "human"})
    for worker in fleet.finish(answer=approve_for_all):
        show(worker)
        for tool in worker.get("denied_tools", []):
            print(f"    denied: {tool}")

    print("\nThe model decides, once for both:")
    command = bash_task(fleet, "touch from-the-model && echo allowed")
    fleet.spawn("first of two", command, options={"ask": "model"})
    fleet.spawn("second of two", command, options={"ask": "model"})
    for worker in fleet.finish(answer=approve_for_all):
        show(worker)

    print("\nWho decided what (permissions.ndjson):")
    for entry in map(json.loads, (fleet.logs / "permissions.ndjson").read_text().splitlines()):
        print(f"  {entry['decision']} by {entry['by']}: {entry['description']}, {line(json.dumps(entry['input']))}")


if __name__ == "__main__":
    run(permission_approval, __doc__, flags, ask_user)
