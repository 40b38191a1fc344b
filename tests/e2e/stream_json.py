"""The real CLI in stream-json mode without a server in front of it: lines in, lines out."""
import json
import os
import subprocess
import threading

from world import CLI_TIMEOUT_S

OPTIONS = ["-p", "--model", "sonnet", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose",
           "--permission-prompt-tool", "stdio", "--allowedTools", "Bash"]


class Cli:
    """One process. Every line read is kept in `lines`. A CLI that hangs is killed, and the read that waits fails."""

    def __init__(self, world, *flags, **environment):
        self.lines = []
        self.process = subprocess.Popen([world.claude, *OPTIONS, *flags], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        cwd=world.project, env={**world.environment, **environment})
        self.guard = threading.Timer(CLI_TIMEOUT_S, self.process.kill)

    def __enter__(self):
        self.guard.start()
        return self

    def __exit__(self, *_):
        self.guard.cancel()
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def send(self, message):
        os.write(self.process.stdin.fileno(), json.dumps(message).encode() + b"\n")

    def prompt(self, text, **members):
        self.send({"type": "user", "message": {"role": "user", "content": text}, **members})

    def request(self, subtype, **members):
        """Sends a control request and returns its reply."""
        name = f"{subtype}-{len(self.lines)}"
        self.send({"type": "control_request", "request_id": name, "request": {"subtype": subtype, **members}})
        return self.until(lambda m: m["type"] == "control_response" and m["response"]["request_id"] == name)["response"]

    def until(self, wanted):
        for line in self.process.stdout:
            self.lines.append(json.loads(line))
            if wanted(self.lines[-1]):
                return self.lines[-1]
        raise AssertionError(f"the CLI ended before that, after {[m['type'] for m in self.lines]}")

    def result(self):
        return self.until(lambda m: m["type"] == "result")

    def tool_use(self):
        return self.until(lambda m: m["type"] == "assistant" and m["message"]["content"][0]["type"] == "tool_use")

    def end(self):
        """Ends stdin and returns what still comes."""
        self.process.stdin.close()
        rest = [json.loads(line) for line in self.process.stdout]
        self.lines += rest
        self.process.wait()
        return rest
