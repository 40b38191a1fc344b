"""Thinking comparison: one problem without thinking, with a small budget for it, and with a large one.

Newer models decide themselves how much they think: a budget is then dropped with a warning, and `effort` is the option
that counts. This one takes a budget.

    spawn_worker {"description": "no thinking", "prompt": "…",
                  "options": {"model": "claude-sonnet-4-5", "thinking": false}}
    spawn_worker {"description": "up to 2000 tokens", "prompt": "…",
                  "options": {"model": "claude-sonnet-4-5", "thinking": 2000}}
    spawn_worker {"description": "up to 16000 tokens", "prompt": "…",
                  "options": {"model": "claude-sonnet-4-5", "thinking": 16000}}
    wait {}
"""

from fleet import Fleet, line, run, show

PROBLEM = (
    "A bat and a ball cost 1.10 together. The bat costs 1.00 more than the ball. What does the ball cost? "
    "Answer with the amount only."
)
WAYS = {"no thinking": False, "up to 2000 tokens": 2000, "up to 16000 tokens": 16000}


def thoughts(transcript: dict) -> str:
    """What the model thought, as far as it shows it."""
    blocks = [block for message in transcript["messages"] for block in message["content"] if isinstance(block, dict)]
    return " ".join(block["thinking"] for block in blocks if block.get("type") == "thinking")


def thinking_comparison(fleet: Fleet) -> None:
    for description, thinking in WAYS.items():
        mock = "say 0.10" if thinking is False else 'think "The ball is x, the bat x + 1, so 2x + 1 = 1.10."\nsay 0.05'
        options = {"model": "claude-sonnet-4-5", "thinking": thinking}
        fleet.spawn(description, fleet.task(PROBLEM, mock), options=options)
    workers = sorted(fleet.finish(), key=lambda worker: list(WAYS).index(worker["description"]))
    print()
    for worker in workers:
        show(worker)
        if thought := thoughts(fleet.transcript(worker)):
            print(f"    it thought: {line(thought, 80)}")


if __name__ == "__main__":
    run(thinking_comparison, __doc__)
