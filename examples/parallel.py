"""Parallel execution: independent questions go to workers that run side by side; one wait collects all answers.

In Claude Code the model makes the spawn calls in one reply, and then waits once:

    spawn_worker {"description": "explain mutexes", "prompt": "Explain in one sentence what a mutex is."}
    spawn_worker {"description": "explain semaphores", "prompt": "Explain in one sentence what a semaphore is."}
    spawn_worker {"description": "explain barriers", "prompt": "Explain in one sentence what a barrier is."}
    wait {}
"""

from fleet import Fleet, run, show

THINGS = {
    "mutex": "Lets one thread at a time into a piece of code.",
    "semaphore": "Lets so many threads into a piece of code as it has permits.",
    "barrier": "Holds threads until all of them have come.",
}


def parallel(fleet: Fleet) -> None:
    for thing, known in THINGS.items():
        prompt = fleet.task(f"Explain in one sentence what a {thing} is, for threads.", mock=f"say {known}")
        fleet.spawn(f"explain {thing}", prompt)
    workers = fleet.finish()
    print(f"\n{len(workers)} answers:")
    for worker in workers:
        show(worker)
    print(f"Together: ${sum(worker['cost_usd'] for worker in workers):.4f}")


if __name__ == "__main__":
    run(parallel, __doc__)
