"""Model racing: several models get the same question; the first answer counts, and the others are ended.

A worker that is cancelled costs nothing more. Its transcript stays, and resume_worker would let it go on.

    spawn_worker {"description": "haiku", "prompt": "…", "options": {"model": "haiku"}}
    spawn_worker {"description": "sonnet", "prompt": "…", "options": {"model": "sonnet"}}
    spawn_worker {"description": "opus", "prompt": "…", "options": {"model": "opus"}}
    wait {"mode": "any"}
    cancel_worker {"worker_id": "all", "reason": "the race is over"}
    wait {}
"""

from fleet import Fleet, Problem, run, show


def model_racing(fleet: Fleet) -> None:
    racers = {}
    for model in ("haiku", "sonnet", "opus"):
        mock = 'say "Because blue light is scattered most."' if model == "haiku" else "hang"
        prompt = fleet.task("Why is the sky blue? Two sentences.", mock)
        racers[fleet.spawn(model, prompt, options={"model": model})] = model
    first = fleet.call("wait", mode="any")
    if not first["completed"]:
        raise Problem(f"nobody answered: {first['failed'] or first['pending_permissions']}")
    print("\nThe winner:")
    show(first["completed"][0])
    # Two may have come in at the same time; whoever is not in this answer is ended, and told by the next wait.
    told = {worker["worker_id"] for outcome in ("completed", "failed") for worker in first[outcome]}
    losers = [worker for worker in racers if worker not in told]
    if losers:
        fleet.call("cancel_worker", worker_id="all", reason="the race is over")
        rest = fleet.call("wait", worker_ids=losers)
        for worker in rest["cancelled"]:
            print(f"  {worker['description']}: cancelled")
        for worker in rest["completed"]:
            print(f"  {worker['description']}: finished just behind")


if __name__ == "__main__":
    run(model_racing, __doc__)
