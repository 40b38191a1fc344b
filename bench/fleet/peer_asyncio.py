"""The same workers from bare asyncio: what a small script of one's own would be.

    peer_asyncio.py WORKERS AT_ONCE PROMPT WORKER_PROGRAM

Prints its figures as JSON: CPU is this process's own, user and system, from the first worker to the last.
"""
import asyncio
import json
import sys
import time

LONGEST_LINE = 1 << 26


async def run_worker(program: str, prompt: str, places: asyncio.Semaphore) -> tuple[bool, int]:
    async with places:
        process = await asyncio.create_subprocess_exec(
            program, "-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            limit=LONGEST_LINE)
        told = [{"type": "control_request", "request_id": "1", "request": {"subtype": "initialize", "hooks": None}},
                {"type": "user", "message": {"role": "user", "content": prompt}}]
        process.stdin.write("".join(json.dumps(message, separators=(",", ":")) + "\n" for message in told).encode())
        await process.stdin.drain()
        size, result = 0, None
        async for line in process.stdout:
            size += len(line)
            message = json.loads(line)
            if message["type"] == "result":
                result = message
                process.stdin.close()
        await process.wait()
        return result is not None and not result["is_error"], size


async def main(workers: int, at_once: int, prompt: str, program: str) -> dict:
    places = asyncio.Semaphore(at_once)
    cpu, begin = time.process_time(), time.perf_counter()
    done = await asyncio.gather(*(run_worker(program, prompt, places) for _ in range(workers)))
    return {"workers": workers, "delivered": sum(ok for ok, _ in done), "bytes": sum(size for _, size in done),
            "cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - begin}


if __name__ == "__main__":
    count, places, words, path = sys.argv[1:]
    print(json.dumps(asyncio.run(main(int(count), int(places), words, path))))
