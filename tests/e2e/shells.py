"""Shells that workers run as their tools, and that a test awaits and ends by named pipes instead of by time."""
import asyncio
import json
import os
import select

# Only bounds how long a broken test hangs.
START_TIMEOUT_S = 90


class Started:
    """A named pipe into which a worker's tool writes its pid: the event that it runs, and who it is."""

    def __init__(self, path):
        os.mkfifo(path)
        # Open for writing too: the end of a writer must not read as the end of the file.
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    async def tools(self, count):
        seen = b""
        while seen.count(b"\n") < count:
            readable = await asyncio.to_thread(select.select, [self._descriptor], [], [], START_TIMEOUT_S)
            assert readable[0], f"only {seen.count(10)} of {count} tools started"
            seen += os.read(self._descriptor, 4096)
        os.close(self._descriptor)
        return {int(pid) for pid in seen.split()}


class Shell:
    """A Bash call of a worker, which tells its pid as soon as it runs.

    It `waits` until the test opens its gate, and then prints "open"; or it `stays` until somebody ends it. Of a `cat`
    the CLI would open the pipe itself, and 2.1.329 refuses a plain sleep. What a model calls again and again until
    something comes `pauses`, for the machine's sake: no test depends on how long.
    """

    def __init__(self, folder, name="shell"):
        gate, pace = folder / f"{name}.gate", folder / f"{name}.pace"
        os.mkfifo(gate)
        os.mkfifo(pace)
        # Open for reading too: so nothing blocks on a shell that never came, and what was written stays for it.
        self._gate = os.open(gate, os.O_RDWR)
        self._started = Started(folder / f"{name}.started")
        tells = f"echo $$ > {folder / name}.started; "
        self.waits = f"{tells}read _ < {gate}; echo open"
        self.stays = f"{tells}tail -f /dev/null"
        self.pauses = f"read -t 0.3 _ <> {pace}; echo again"

    @staticmethod
    def directive(command, **more):
        return "TOOL Bash " + json.dumps({"command": command, **more})

    async def pid(self):
        """Waits until the shell runs."""
        pid, = await self._started.tools(1)
        return pid

    def open(self):
        """Lets the shell that `waits` end, now or when it comes."""
        os.write(self._gate, b"\n")


async def ended(pid):
    """Waits for the end of a process; fails when it does not come."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        readable = await asyncio.to_thread(select.select, [descriptor], [], [], START_TIMEOUT_S)
        assert readable[0], f"the process {pid} still runs"
    finally:
        os.close(descriptor)
