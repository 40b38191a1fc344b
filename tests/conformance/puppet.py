"""A stdio server for the bridge's tests: it does what a message tells it to.

For each it first writes params.messages, in which "$id" stands for the id of the request as the server saw it. Then it
answers a request with its process id, but

hold      when `release` comes
ask       with the result of the answer to the server's own request, which is one of its messages
heard     with all messages so far
fail      with params.error
die       never: the server ends
"""
import json
import os
import sys

heard, held = [], []


def write(message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def filled(value, id):
    if isinstance(value, dict):
        return {key: filled(item, id) for key, item in value.items()}
    return id if value == "$id" else value


def answer(id, method, params):
    if method in ("hold", "ask"):
        held.append(id)
    elif method == "fail":
        write({"id": id, "error": params["error"]})
    else:
        write({"id": id, "result": {"pid": os.getpid(), **({"heard": heard} if method == "heard" else {})}})
    while method == "release" and held:
        write({"id": held.pop(), "result": {}})


for line in sys.stdin:
    message = json.loads(line)
    heard.append(message)
    method, params = message.get("method"), message.get("params", {})
    if method == "die":
        break
    for said in params.get("messages", []):
        write(filled(said, message.get("id")))
    if not method:
        write({"id": held.pop(), "result": message["result"]})
    elif "id" in message:
        answer(message["id"], method, params)
