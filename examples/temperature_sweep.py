"""Temperature sweep: one prompt at several temperatures, to see how far the answers go apart.

Newer models take no temperature. Where no model is named, the server chooses one that does and switches thinking off;
the `warnings` of spawn_worker say so.

    spawn_worker {"description": "slogan at 0.0", "prompt": "Write a slogan …", "options": {"temperature": 0.0}}
    spawn_worker {"description": "slogan at 0.5", "prompt": "Write a slogan …", "options": {"temperature": 0.5}}
    spawn_worker {"description": "slogan at 1.0", "prompt": "Write a slogan …", "options": {"temperature": 1.0}}
    wait {}
"""

from fleet import Fleet, run

SLOGANS = {0.0: "Fresh bread, every day.", 0.5: "Bread worth waking up for.", 1.0: "Crumbs of yesterday's moonlight."}


def temperature_sweep(fleet: Fleet) -> None:
    temperatures = {}
    for temperature, slogan in SLOGANS.items():
        prompt = fleet.task("Write a slogan for a bakery. Answer with the slogan only.", mock=f"say {slogan}")
        worker = fleet.spawn(f"slogan at {temperature}", prompt, options={"temperature": temperature})
        temperatures[worker] = temperature
    workers = sorted(fleet.finish(), key=lambda worker: temperatures[worker["worker_id"]])
    print()
    for worker in workers:
        print(f"  {temperatures[worker['worker_id']]}: {fleet.result(worker)}   ({fleet.transcript(worker)['model']})")


if __name__ == "__main__":
    run(temperature_sweep, __doc__)
