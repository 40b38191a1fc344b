"""The four tools as most servers of this kind make them: one `claude -p` a worker, `communicate()`, and a `wait` that
looks every five seconds. Written for the comparison; bench_worker is its claude.
"""
import asyncio
import json
import os
import uuid

from fastmcp import FastMCP

POLL_S = 5
CLAUDE = os.environ["BENCH_WORKER"]

mcp = FastMCP("workers")
tasks: dict[str, asyncio.Task] = {}
sessions: dict[str, str] = {}
delivered: set[str] = set()


async def run(worker_id: str, prompt: str) -> dict:
    arguments = ["--resume", sessions[worker_id]] if worker_id in sessions else []
    process = await asyncio.create_subprocess_exec(
        CLAUDE, "-p", *arguments, "--output-format", "json", prompt,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    output, errors = await process.communicate()
    if process.returncode != 0:
        return {"is_error": True, "result": errors.decode()}
    result = json.loads(output)
    sessions[worker_id] = result["session_id"]
    return result


@mcp.tool
async def spawn_worker(description: str, prompt: str) -> dict:
    """Starts a worker."""
    worker_id = str(uuid.uuid4())
    tasks[worker_id] = asyncio.create_task(run(worker_id, prompt))
    return {"worker_id": worker_id, "state": "running"}


@mcp.tool
async def resume_worker(worker_id: str, prompt: str) -> dict:
    """Gives an ended worker another prompt."""
    delivered.discard(worker_id)
    tasks[worker_id] = asyncio.create_task(run(worker_id, prompt))
    return {"worker_id": worker_id, "state": "running"}


@mcp.tool
async def approve_permission(request_id: str, allow: bool) -> dict:
    """Answers what a worker asks; a worker without stdin never asks."""
    return {"answered": []}


@mcp.tool
async def wait() -> dict:
    """Waits for all workers."""
    while any(not task.done() for task in tasks.values()):
        await asyncio.sleep(POLL_S)
    found: dict[str, list] = {"completed": [], "failed": []}
    for worker_id, task in tasks.items():
        if worker_id in delivered:
            continue
        delivered.add(worker_id)
        result = task.result()
        found["failed" if result["is_error"] else "completed"].append({"worker_id": worker_id, "result": result["result"]})
    return found


if __name__ == "__main__":
    mcp.run(show_banner=False)
