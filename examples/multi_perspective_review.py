"""Multi-perspective review: several roles read one file; each gives its findings in a form that a program can read.

`agent_type` is a role in free text here; the name of an agent file works as well. `json_schema` makes a worker that
gives no such result fail.

    spawn_worker {"description": "security review", "agent_type": "You review code for security and nothing else.",
                  "prompt": "Review /…/login.py.",
                  "options": {"allowed_tools": ["Read"], "json_schema": {"type": "object", "properties": {…}}}}
    … the same for performance and readability …
    wait {}
"""

import json

from fleet import Fleet, run

CODE = '''def find_user(db, name):
    rows = db.execute("SELECT * FROM users WHERE name = '" + name + "'")
    for x in list(rows):
        if x[1] == name:
            return x
'''
FINDINGS = {
    "type": "object",
    "properties": {
        "findings": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"line": {"type": "integer"}, "problem": {"type": "string"}},
                "required": ["line", "problem"],
            },
        }
    },
    "required": ["findings"],
}
KNOWN = {
    "security": {"line": 2, "problem": "The name is put into the SQL text: injection."},
    "performance": {"line": 3, "problem": "All rows are copied before the first is looked at."},
    "readability": {"line": 3, "problem": "x says nothing about what it is."},
}


def multi_perspective_review(fleet: Fleet) -> None:
    file = fleet.work / "login.py"
    file.write_text(CODE)
    for view, finding in KNOWN.items():
        prompt = fleet.task(f"Review {file}.", mock="structured " + json.dumps({"findings": [finding]}))
        role = f"You review code for {view} and nothing else. Report few findings, the worst first."
        options = {"allowed_tools": ["Read"], "json_schema": FINDINGS}
        fleet.spawn(f"{view} review", prompt, agent_type=role, options=options)
    reviews = {worker["description"]: worker for worker in fleet.finish()}
    print()
    for view in KNOWN:
        review = reviews[f"{view} review"]
        # `wait` shows a structured result, too, unless it is long; the transcript always has it.
        for finding in fleet.transcript(review)["structured_output"]["findings"]:
            print(f"  login.py:{finding['line']}: [{view}] {finding['problem']}")


if __name__ == "__main__":
    run(multi_perspective_review, __doc__)
