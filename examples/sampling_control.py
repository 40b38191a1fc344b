"""Sampling control: top_p, top_k and max_tokens, and what the server does when a model does not take them.

No option is dropped without a word: each reaches the model, or a warning says why not, or the call is refused.

    spawn_worker {"description": "likeliest words", "prompt": "…", "options": {"top_k": 5, "max_tokens": 2000}}
    spawn_worker {"description": "both at once", "prompt": "…", "options": {"temperature": 0.7, "top_p": 0.9}}
    spawn_worker {"description": "a model that takes none", "prompt": "…", "options": {"model": "opus", "top_p": 0.9}}
    spawn_worker {"description": "a slip", "prompt": "…", "options": {"temprature": 0.7}}  refused, with the right name
    wait {}
"""

from fleet import Fleet, Problem, run, show

WANTED = {
    "likeliest words": {"top_k": 5, "max_tokens": 2000},
    "both at once": {"temperature": 0.7, "top_p": 0.9},
    "a model that takes none": {"model": "opus", "top_p": 0.9},
}


def sampling_control(fleet: Fleet) -> None:
    prompt = fleet.task("Name a colour that few people know, in one word.", mock="say Gamboge")
    for description, options in WANTED.items():
        print(options)
        fleet.spawn(description, prompt, options=options)
    print({"temprature": 0.7})
    try:
        fleet.spawn("a slip", prompt, options={"temprature": 0.7})
    except Problem as refusal:
        print(f"  refused: {refusal}")
    else:
        raise Problem("an unknown option was taken")
    print()
    for worker in fleet.finish():
        show(worker)


if __name__ == "__main__":
    run(sampling_control, __doc__)
