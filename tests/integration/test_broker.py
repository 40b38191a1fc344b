"""Who answers what workers ask: rules, then the human, then the model; and the record of it."""

import asyncio
import json

from harness import Arena, approve, async_test, resume, spawn, transcript


def asks(*commands: str) -> str:
    return "\n".join(f"MOCK permission Bash {json.dumps({'command': command})}" for command in commands)


def decisions(arena: Arena) -> list[dict]:
    return [json.loads(line) for line in (arena.logs / "permissions.ndjson").read_text().splitlines()]


def said(arena: Arena) -> list[tuple[str, str]]:
    return [(one["decision"], one["by"]) for one in decisions(arena)]


class Person:
    """Answers elicitation: with what is given, one after the other; without an answer it thinks until it is let go."""

    def __init__(self, *answers: dict | None):
        self.answers = list(answers)
        self.asked: list[dict] = []
        self.news = asyncio.Condition()
        self.let_go = asyncio.Event()

    async def __call__(self, params: dict) -> dict:
        async with self.news:
            self.asked.append(params)
            self.news.notify_all()
        answer = self.answers.pop(0) if self.answers else None
        if answer is None:
            await self.let_go.wait()
            return accept("Allow once")
        return answer

    async def was_asked(self, times: int = 1) -> None:
        async with self.news:
            await self.news.wait_for(lambda: len(self.asked) >= times)


def accept(decision: str, reason: str | None = None) -> dict:
    content = {"decision": decision, **({"reason": reason} if reason is not None else {})}
    return {"action": "accept", "content": content}


CANCEL = {"action": "cancel"}


class with_person:
    """A session with a client that has a person in front of it."""

    def __init__(self, arena: Arena, person: Person, *flags: str):
        self.server = arena.server(*flags)
        self.person = person

    async def __aenter__(self):
        await self.server.start()
        self.server.on_request["elicitation/create"] = self.person
        await self.server.initialize(capabilities={"elicitation": {}})
        return self.server

    async def __aexit__(self, kind, *_):
        if kind is None:
            assert await self.server.close() == 0
            assert self.server.noise == []
        await self.server.kill()


async def results(server) -> dict[str, str]:
    done = await server.call("wait")
    assert done["failed"] == [] and done["pending_permissions"] == [], done
    return {entry["worker_id"]: transcript(entry)["result"] for entry in done["completed"]}


async def result(server) -> str:
    (only,) = (await results(server)).values()
    return only


# ---- rules ----


@async_test
async def test_rules_of_the_worker_answer_before_anybody_is_asked(arena):
    rules = {"allow": ["Bash(echo a*)"], "deny": ["Bash(echo b*)"]}
    async with arena.session() as server:
        await spawn(server, asks("echo apple", "echo banana"), permissions=rules)
        told = await result(server)
        assert told.startswith("tool said: apple | ") and "Bash(echo b*)" in told
        assert said(arena) == [("allow", "rule"), ("deny", "rule")]
        assert [one["rule"] for one in decisions(arena)] == ["Bash(echo a*)", "Bash(echo b*)"]


@async_test
async def test_rules_of_the_config_count_for_every_worker_and_deny_counts_first(arena):
    config = arena.root / "config.toml"
    config.write_text('[permissions]\nallow = ["Bash(echo *)"]\ndeny = ["Bash(echo secret*)"]\n')
    async with arena.session("--config", str(config)) as server:
        await spawn(server, asks("echo fine", "echo secrets"), permissions={"allow": ["Bash(echo secrets)"]})
        told = await result(server)
        assert told.startswith("tool said: fine | ") and "secret" in told
        assert said(arena) == [("allow", "rule"), ("deny", "rule")]


@async_test
async def test_a_rule_to_ask_beats_one_that_allows(arena):
    async with arena.session() as server:
        await spawn(server, asks("echo a"), permissions={"allow": ["Bash"], "ask": ["Bash(echo a)"]})
        question = (await server.call("wait"))["pending_permissions"][0]
        await approve(server, question["request_id"])
        assert await result(server) == "tool said: a"
        assert said(arena) == [("allow", "model")]


@async_test
async def test_rules_stay_with_the_worker_when_it_is_resumed(arena):
    async with arena.session() as server:
        one = (await spawn(server, asks("echo a"), permissions={"allow": ["Bash(echo *)"]}))["worker_id"]
        await result(server)
        await resume(server, one, asks("echo b"))
        assert await result(server) == "tool said: b"


# ---- the model ----


@async_test
async def test_a_list_of_requests_is_answered_alike(arena):
    async with arena.session() as server:
        for n in range(3):
            await spawn(server, asks(f"echo {n}"))
        pending: list = []
        while len(pending) < 3:
            pending = (await server.call("wait"))["pending_permissions"]
        ids = [one["request_id"] for one in pending]
        bad = {"request_id": [*ids, "nobody"], "allow": True}
        assert "nobody" in await server.call_error("approve_permission", bad)
        assert len((await server.call("wait"))["pending_permissions"]) == 3, "all or none"
        answer = await approve(server, ids, allow=False, reason="not now")
        assert answer["decision"] == "deny" and {one["request_id"] for one in answer["answered"]} == set(ids)
        assert set((await results(server)).values()) == {"tool said: not now"}


@async_test
async def test_an_answer_for_the_worker_is_remembered_for_it_alone(arena):
    gate = arena.gate()
    async with arena.session() as server:
        one = (await spawn(server, asks("echo a", "echo a")))["worker_id"]
        question = (await server.call("wait"))["pending_permissions"][0]
        await approve(server, question["request_id"], scope="worker")
        assert await result(server) == "tool said: a | a"
        other = (await spawn(server, f"{gate}\n{asks('echo a')}"))["worker_id"]
        gate.open()
        question = (await server.call("wait"))["pending_permissions"][0]
        assert question["worker_id"] == other
        await approve(server, question["request_id"])
        await result(server)
        # The CLI may have remembered it by itself, in which case nobody was asked.
        assert {(d["worker_id"], d["decision"]) for d in decisions(arena)} == {(one, "allow"), (other, "allow")}
        assert decisions(arena)[0]["scope"] == "worker"


@async_test
async def test_an_answer_for_all_reaches_those_that_ask_the_same_now_and_later(arena):
    async with arena.session() as server:
        for _ in range(3):
            await spawn(server, asks("echo same"))
        different = (await spawn(server, asks("echo different")))["worker_id"]
        pending: list = []
        while len(pending) < 4:
            pending = (await server.call("wait"))["pending_permissions"]
        same = [one for one in pending if one["worker_id"] != different]
        assert [one.get("same_as") for one in same] == [None, same[0]["request_id"], same[0]["request_id"]]
        await approve(server, same[1]["request_id"], scope="all")
        left = (await server.call("wait"))["pending_permissions"]
        assert [one["worker_id"] for one in left] == [different]
        await approve(server, left[0]["request_id"], allow=False, reason="no")
        await server.call("wait")
        await spawn(server, asks("echo same"))
        told = set()
        while told == set():
            done = await server.call("wait")
            assert done["pending_permissions"] == []
            told = {e["result_preview"] for e in done["completed"]}
        assert "tool said: same" in told
        assert sorted(said(arena)) == sorted([("allow", "model"), ("deny", "model")] + [("allow", "remembered")] * 3)


@async_test
async def test_a_denial_for_all_is_remembered_too(arena):
    async with arena.session() as server:
        await spawn(server, asks("echo a"))
        question = (await server.call("wait"))["pending_permissions"][0]
        await approve(server, question["request_id"], allow=False, reason="never", scope="all")
        await result(server)
        await spawn(server, asks("echo a"))
        assert "tool said: a" != await result(server)
        assert said(arena) == [("deny", "model"), ("deny", "remembered")]


@async_test
async def test_the_log_of_decisions_says_what_was_asked_and_why(arena):
    async with arena.session() as server:
        one = (await spawn(server, asks("echo a"), description="curious"))["worker_id"]
        question = (await server.call("wait"))["pending_permissions"][0]
        await approve(server, question["request_id"], allow=False, reason="not today")
        await result(server)
        (line,) = decisions(arena)
        assert line.pop("time").endswith("Z")
        assert line == {
            "worker_id": one,
            "description": "curious",
            "request_id": question["request_id"],
            "tool": "Bash",
            "input": {"command": "echo a"},
            "decision": "deny",
            "by": "model",
            "reason": "not today",
        }


# ---- the human ----


@async_test
async def test_the_human_answers_while_the_wait_goes_on(arena):
    person = Person(accept("Allow once"))
    async with with_person(arena, person) as server:
        one = (await spawn(server, asks("echo hello"), description="curious"))["worker_id"]
        assert await result(server) == "tool said: hello"
        (form,) = person.asked
        for words in ("curious", one[:8], "Bash", "echo hello"):
            assert words in form["message"]
        choices = form["requestedSchema"]["properties"]["decision"]["enum"]
        assert choices == ["Allow once", "Allow for this worker", "Allow for all workers", "Deny"]
        assert said(arena) == [("allow", "human")]


@async_test
async def test_the_reason_of_the_human_reaches_the_worker(arena):
    person = Person(accept("Deny", "use git instead"), {"action": "decline"})
    async with with_person(arena, person) as server:
        await spawn(server, asks("echo a"))
        assert await result(server) == "tool said: use git instead"
        await spawn(server, asks("echo a"))
        assert await result(server) == "tool said: The user declined."
        assert said(arena) == [("deny", "human")] * 2


@async_test
async def test_the_human_allows_for_one_worker_and_for_all(arena):
    person = Person(accept("Allow for this worker"), accept("Allow for all workers"))
    async with with_person(arena, person) as server:
        await spawn(server, asks("echo a", "echo a"))
        assert await result(server) == "tool said: a | a"
        assert len(person.asked) == 1
        await spawn(server, asks("echo a"))
        assert await result(server) == "tool said: a"
        assert len(person.asked) == 2
        for _ in range(3):
            await spawn(server, asks("echo a"))
        assert list((await results(server)).values()) == ["tool said: a"] * 3
        assert len(person.asked) == 2
        assert [one.get("scope") for one in decisions(arena) if one["by"] == "human"] == ["worker", "all"]


@async_test
async def test_a_client_that_cancels_at_once_is_asked_once_and_the_model_takes_over(arena):
    person = Person(CANCEL)
    async with with_person(arena, person) as server:
        for _ in range(2):
            await spawn(server, asks("echo a"))
        pending: list = []
        while len(pending) < 2:
            pending = (await server.call("wait"))["pending_permissions"]
        for one in pending:
            await approve(server, one["request_id"])
        assert list((await results(server)).values()) == ["tool said: a"] * 2
        await spawn(server, asks("echo b"))
        await approve(server, (await server.call("wait"))["pending_permissions"][0]["request_id"])
        await result(server)
        assert len(person.asked) == 1
        assert said(arena) == [("allow", "model")] * 3


@async_test
async def test_a_human_who_answered_before_may_leave_one_question_to_the_model(arena):
    person = Person(accept("Allow once"), CANCEL, accept("Allow once"))
    async with with_person(arena, person) as server:
        await spawn(server, asks("echo a"))
        await result(server)
        await spawn(server, asks("echo b"))
        await approve(server, (await server.call("wait"))["pending_permissions"][0]["request_id"])
        await result(server)
        await spawn(server, asks("echo c"))
        assert await result(server) == "tool said: c"
        assert said(arena) == [("allow", "human"), ("allow", "model"), ("allow", "human")]


@async_test
async def test_while_the_human_thinks_the_wait_neither_returns_nor_lists_the_question(arena):
    person, bell = Person(), arena.bell()
    async with with_person(arena, person) as server:
        asking = (await spawn(server, asks("echo a")))["worker_id"]
        await person.was_asked()
        ready = (await spawn(server, f"MOCK say ready\nMOCK result\nMOCK eof\n{bell}"))["worker_id"]
        await bell.rings()
        now = await server.call("wait", {"timeout_s": 0})
        assert now["pending_permissions"] == [] and now["awaiting_user"] == 1
        assert [e["worker_id"] for e in now["completed"]] == [ready]
        assert now["outstanding"]["awaiting_permission"] == 1
        waiting = server.start_call("wait")
        await server.request("ping")
        assert not waiting.done
        person.let_go.set()
        assert [e["worker_id"] for e in (await waiting)["completed"]] == [asking]


@async_test
async def test_the_question_of_a_worker_that_was_cancelled_is_taken_back_from_the_human(arena):
    person = Person()
    async with with_person(arena, person) as server:
        one = (await spawn(server, asks("echo a")))["worker_id"]
        await person.was_asked()
        await server.call("cancel_worker", {"worker_id": one})
        await server.notified("notifications/cancelled")
        assert len((await server.call("wait"))["cancelled"]) == 1
        assert said(arena) == [("deny", "withdrawn")]
        person.answers = [accept("Allow once")]
        await spawn(server, asks("echo b"))
        assert await result(server) == "tool said: b", "the human is still there"


@async_test
async def test_who_is_asked_is_the_workers_and_the_servers_choice(arena):
    person = Person(accept("Allow once"), accept("Allow once"))
    async with with_person(arena, person, "--ask", "model") as server:
        await spawn(server, asks("echo a"))
        await approve(server, (await server.call("wait"))["pending_permissions"][0]["request_id"])
        await result(server)
        assert person.asked == []
        await spawn(server, asks("echo b"), ask="human")
        assert await result(server) == "tool said: b"
        assert len(person.asked) == 1


@async_test
async def test_a_question_to_the_user_is_a_form_with_its_choices(arena):
    person = Person({"action": "accept", "content": {"answer_1": "SQLite"}})
    async with with_person(arena, person) as server:
        await spawn(server, 'MOCK ask "Which db?" Postgres SQLite')
        assert '"Which db?"="SQLite"' in await result(server)
        field = person.asked[0]["requestedSchema"]["properties"]["answer_1"]
        assert field["title"] == "Which db?" and field["enum"] == ["Postgres", "SQLite"]


@async_test
async def test_a_waiting_lead_is_told_when_a_question_was_withdrawn(arena):
    gate = arena.gate()
    async with arena.session() as server:
        script = f'MOCK request Bash {{"command":"echo a"}}\n{gate}\nMOCK withdraw\nMOCK say moved on'
        await spawn(server, script)
        assert len((await server.call("wait"))["pending_permissions"]) == 1
        gate.open()
        while (done := await server.call("wait"))["pending_permissions"]:
            pass
        assert done["completed"][0]["result_preview"] == "moved on"
        assert said(arena) == [("deny", "withdrawn")]
