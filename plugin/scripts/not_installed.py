#!/usr/bin/env python3
"""Stands in for a server that is not installed: an MCP server whose one tool says how to install it.

It speaks the versions that begin with `initialize`; a client that asks for a newer one first falls back to these.
"""
import json
import sys

HOW = """How to install it, on Linux:
1. Clone the async-worker-manager repository (where this plugin is from) and run there: scripts/build release
2. Make it known, in one of these ways:
   - install -D build/release/bin/async-worker-manager ~/.local/bin/async-worker-manager
   - sudo install build/release/bin/async-worker-manager /usr/local/bin/
   - set AWM_BINARY to its absolute path, in the environment or under "env" in ~/.claude/settings.json
3. Type /mcp in Claude Code and reconnect the server "workers", or start Claude Code anew."""
VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
TOOL = {
    "name": "how_to_install",
    "title": "How to install async-worker-manager",
    "description": "Workers are not available: their program is not installed. Says why, and how to install it.",
    "inputSchema": {"type": "object", "properties": {}, "additionalProperties": False},
    "annotations": {"readOnlyHint": True, "openWorldHint": False},
    "_meta": {"anthropic/alwaysLoad": True},
}


def answer(request, problem):
    """The members of the response, or None where there is none."""
    method, text = request.get("method"), f"{problem}\n\n{HOW}"
    params = request.get("params") or {}
    if method == "initialize":
        asked = params.get("protocolVersion")
        return {"result": {
            "protocolVersion": asked if asked in VERSIONS else VERSIONS[0], "capabilities": {"tools": {}},
            "serverInfo": {"name": "async-worker-manager", "version": "not installed"}, "instructions": text}}
    if method == "tools/list":
        return {"result": {"tools": [TOOL]}}
    if method == "tools/call" and params.get("name") == TOOL["name"]:
        return {"result": {"content": [{"type": "text", "text": text}]}}
    if method == "tools/call":
        return {"result": {"content": [{"type": "text", "text": text}], "isError": True}}
    if method == "ping":
        return {"result": {}}
    return {"error": {"code": -32601, "message": f"{method}: {problem}"}}


def main():
    problem = sys.argv[1] if len(sys.argv) > 1 else "The program async-worker-manager is not installed."
    print(HOW, file=sys.stderr)
    for line in sys.stdin:
        try:
            request = json.loads(line)
        except ValueError:
            continue
        if not isinstance(request, dict) or "id" not in request or "method" not in request:
            continue  # a notification, which has no answer
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], **answer(request, problem)}), flush=True)


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, BrokenPipeError):
        pass  # the client has gone
