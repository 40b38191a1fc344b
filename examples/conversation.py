"""Multi-turn conversation: a worker keeps its memory; resume_worker gives it another prompt, now or after days.

    spawn_worker {"description": "name a ship", "prompt": "Think of a name for a research ship. …"}
    wait {}
    resume_worker {"worker_id": "…", "prompt": "Another one, in Latin. …"}
    wait {}
    resume_worker {"worker_id": "…", "prompt": "Which names have you given so far?"}
    wait {}
"""

from fleet import Fleet, Problem, line, run

TURNS = [
    ("Think of a name for a research ship. Answer with the name only.", "say Meridian"),
    ("Another one, in Latin. Answer with the name only.", "say Stella Maris"),
    ("Which names have you given so far?", "say Meridian and Stella Maris."),
]


def conversation(fleet: Fleet) -> None:
    worker = None
    for text, mock in TURNS:
        if worker is None:
            fleet.spawn("name a ship", fleet.task(text, mock))
        else:
            fleet.call("resume_worker", worker_id=worker["worker_id"], prompt=fleet.task(text, mock))
        session = worker and worker["claude_session_id"]
        (worker,) = fleet.finish()
        if session not in (None, worker["claude_session_id"]):
            raise Problem("the worker lost its session")
        print(f"\n  you:    {text}\n  worker: {line(fleet.result(worker))}")
    turns = fleet.transcript(worker)["turns"]
    print(f"\nOne worker, one session, {len(turns)} turns, ${worker['total_cost_usd']:.4f} together.")


if __name__ == "__main__":
    run(conversation, __doc__)
