"""Pipeline: workers that start when others have completed, without a word from the lead in between.

`after` names the predecessors; the worker's prompt gets their descriptions and transcripts. Here an outline goes to two
writers, and both texts to an editor: a fan-out and a fan-in. A predecessor that fails fails its successors too, unless
they say `"after_policy": "always"`.

    spawn_worker {"description": "outline", "prompt": "…"}                                            → A
    spawn_worker {"description": "write part one", "prompt": "…", "after": ["A"]}                     → B
    spawn_worker {"description": "write part two", "prompt": "…", "after": ["A"]}                     → C
    spawn_worker {"description": "edit", "prompt": "…", "after": ["B", "C"]}
    wait {}
"""

from fleet import Fleet, Problem, line, run, show


def pipeline(fleet: Fleet) -> None:
    # Who comes after others reads their transcripts, which lie in the log folder.
    options = {"add_dirs": [str(fleet.logs)], "allowed_tools": ["Read", "Bash(jq *)"]}

    def step(description: str, text: str, mock: str, after: list[str] | None = None) -> str:
        more = {"after": after} if after else {}
        return fleet.spawn(description, fleet.task(text, f"say {mock}"), options=options if after else {}, **more)

    outline = step("outline", "Outline a story of two sentences about a lighthouse.", "1. Storm 2. Calm")
    begin = step("write part one", "Write the first sentence of that story.", "The storm came.", [outline])
    end = step("write part two", "Write the second sentence of that story.", "Then it was calm.", [outline])
    step("edit", "Join the two sentences and polish them.", "The storm came; then all was calm.", [begin, end])

    workers = fleet.finish()
    print("\nIn the order in which they finished:")
    for worker in workers:
        show(worker)
    editor = workers[-1]
    prompt = fleet.transcript(editor)["messages"][0]["content"]
    told = prompt if isinstance(prompt, str) else prompt[0]["text"]
    print("\nWhat the editor was told of the others:")
    for reference in (text for text in told.splitlines() if "transcript" in text and text.startswith("- ")):
        print("  " + line(reference, 60))
    if editor["description"] != "edit":
        raise Problem("the editor did not come last")


if __name__ == "__main__":
    run(pipeline, __doc__)
