"""Flags, environment and TOML; what a worker is started with; what does not reach it."""

import json
import subprocess

import pytest
from harness import (
    MARK, MOCK_CLAUDE, NEWER, OLDER, SERVER, async_test, finish, option_values, spawn, transcript, what_the_worker_got,
)  # fmt: skip

CALLERS_OWN = {
    "CLAUDECODE": "1",
    "CLAUDE_CODE_ENTRYPOINT": "cli",
    "CLAUDE_CODE_SESSION_ID": "11111111-1111-4111-8111-111111111111",
    "CLAUDE_PROJECT_DIR": "/somewhere",
    "CLAUDE_CODE_MESSAGING_SOCKET": "/tmp/x.sock",
    "CLAUDE_CODE_MESSAGING_TOKEN": "secret",
    "CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS": "abc",
    "AI_AGENT": "claude-code",
}


@async_test
async def test_the_log_folder_is_logs_in_the_current_directory(arena):
    async with arena.session("--claude", MOCK_CLAUDE, standard=False) as server:
        done = await finish(server, "MOCK say x")
        assert done["conversation_history_file_path"] == str(arena.cwd / "logs" / f"worker-{done['worker_id']}.json")


@async_test
async def test_the_cli_is_found_in_path(arena):
    folder = arena.root / "bin"
    folder.mkdir()
    (folder / "claude").symlink_to(MOCK_CLAUDE)
    async with arena.session("serve", standard=False, env={"PATH": f"{folder}:/usr/bin:/bin"}) as server:
        assert (await finish(server, "MOCK say found"))["result_preview"] == "found"


async def places(server, bell, expected: int) -> int:
    """How many workers run at once: of three that are spawned, those that are not queued."""
    for _ in range(3):
        await spawn(server, f"{bell}\nMOCK hang")
    # Only some start at the same time; who rings lets the next one start, if there is a place.
    await bell.rings(expected)
    return 3 - (await server.call("list_workers"))["counts"].get("queued", 0)


@pytest.mark.parametrize(
    "flags, env, toml, expected",
    [
        ([], {}, "max_workers = 1", 1),
        ([], {"AWM_MAX_WORKERS": "2"}, "max_workers = 1", 2),
        (["--max-workers", "3"], {"AWM_MAX_WORKERS": "2"}, "max_workers = 1", 3),
    ],
)
@async_test
async def test_a_flag_counts_before_the_environment_and_that_before_the_file(arena, flags, env, toml, expected):
    config = arena.root / "config.toml"
    config.write_text(toml + "\n")
    async with arena.session("--config", str(config), *flags, env=env) as server:
        assert await places(server, arena.bell(), expected) == expected


@async_test
async def test_every_setting_has_its_variable(arena):
    logs = arena.root / "elsewhere"
    config = arena.root / "config.toml"
    config.write_text("max_workers = 2\n")
    env = {
        "AWM_CLAUDE": MOCK_CLAUDE,
        "AWM_LOG_DIR": str(logs),
        "AWM_CONFIG": str(config),
        "AWM_DEFAULT_MODEL": "opus",
        "AWM_LOG_LEVEL": "debug",
    }
    async with arena.session(standard=False, env=env) as server:
        got = await what_the_worker_got(server)
        assert option_values(got["argv"], "--model") == ["opus"]
        assert list(logs.glob("worker-*.json"))
    # A worker that is still leaving keeps its place, so they are counted where none has been.
    async with arena.session(standard=False, env=env) as server:
        assert await places(server, arena.bell(), 2) == 2


@async_test
async def test_every_setting_has_its_key(arena):
    logs = arena.root / "elsewhere"
    config = arena.root / "config.toml"
    config.write_text(
        f'claude = "{MOCK_CLAUDE}"\nlog_dir = "{logs}"\nmax_workers = 2\nlog_level = "debug"\n'
        'default_model = "haiku"\nsampling_model = "claude-opus-4-5"\n'
    )
    async with arena.session("--config", str(config), standard=False) as server:
        got = await what_the_worker_got(server)
        assert option_values(got["argv"], "--model") == ["haiku"]
        sampled = await what_the_worker_got(server, temperature=0.5)
        assert option_values(sampled["argv"], "--model") == ["claude-opus-4-5"]
        assert list(logs.glob("worker-*.json"))
    async with arena.session("--config", str(config), standard=False) as server:
        assert await places(server, arena.bell(), 2) == 2


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--nosuch"], "--nosuch"),
        (["--max-workers", "many"], "max-workers"),
        (["--max-workers", "0"], "max-workers"),
        (["--config", "/nowhere.toml"], "/nowhere.toml"),
        (["--log-level", "shouting"], "shouting"),
        (["--ask", "nobody"], "nobody"),
        (["--worker-memory", "much"], "worker-memory"),
        (["--worker-memory", "1M"], "16M"),
        (["--worker-memory", "99999999T"], "worker-memory"),
        (["--budget-usd", "inf"], "budget-usd"),
        (["--budget-usd", "nan"], "budget-usd"),
    ],
)
@async_test
async def test_a_wrong_flag_ends_the_start_with_words_on_stderr(arena, flags, words):
    async with arena.server(*flags) as server:
        assert await server.exited() != 0
        assert words in server.stderr and server.noise == []


@pytest.mark.parametrize("toml, words", [("max_workers = ", "config.toml"), ("max_worker = 3", "max_worker"), ('max_workers = "3x"', "max_workers"), ("worker_memory = 3", "worker_memory"), ("budget_usd = inf", "budget_usd")])
@async_test
async def test_a_wrong_file_ends_the_start_with_words_on_stderr(arena, toml, words):
    config = arena.root / "config.toml"
    config.write_text(toml + "\n")
    async with arena.server("--config", str(config)) as server:
        assert await server.exited() != 0
        assert words in server.stderr


@pytest.mark.parametrize(
    "toml, words",
    [
        ('[permissions]\nallow = [\n  "Read",\n  "Bash(ls",\n]', ["config.toml:4", "permissions.allow", '"Bash(ls"', "not closed"]),
        ('[permissions]\ndeny = "Bash"', ["config.toml:2", "permissions.deny", "array"]),
        ('[permissions]\nask = [3]', ["config.toml:2", "permissions.ask", "3"]),
        ('[permissions]\nask_by = "nobody"', ["config.toml:2", "permissions.ask_by", "nobody", "human"]),
        ('[permissions]\nallows = []', ["config.toml:2", "permissions.allows", "ask_by"]),
        ("permissions = 3", ["config.toml:1", "[permissions]"]),
    ],
)
@async_test
async def test_a_bad_permission_rule_is_named_with_its_file_and_line(arena, toml, words):
    config = arena.root / "config.toml"
    config.write_text(toml + "\n")
    async with arena.server("--config", str(config)) as server:
        assert await server.exited() != 0
        for word in words:
            assert word in server.stderr


@async_test
async def test_good_permission_rules_are_taken(arena):
    config = arena.root / "config.toml"
    config.write_text('[permissions]\nallow = ["Bash(npm test:*)", "Edit(/src/**)"]\ndeny = ["*"]\nask = ["mcp__git"]\nask_by = "model"\n')
    async with arena.session("--config", str(config), "--ask", "human") as server:
        assert server.pid


def test_help_names_every_flag_its_variable_and_its_key():
    text = subprocess.run([SERVER, "--help"], capture_output=True, text=True, check=True).stdout
    for name in ("claude", "log-dir", "max-workers", "log-level", "config", "default-model", "sampling-model", "ask"):
        assert f"--{name}" in text
        assert "AWM_" + name.upper().replace("-", "_") in text
    assert "TOML" in text and "_ for -" in text, "a key is the name of its flag"
    assert "[sampling]" in text and "[permissions]" in text


@async_test
async def test_what_the_caller_is_does_not_reach_the_worker_and_what_signs_in_does(arena):
    keep = {"ANTHROPIC_API_KEY": "fake", "ANTHROPIC_BASE_URL": "http://127.0.0.1:1", "CLAUDE_CONFIG_DIR": str(arena.home / "c"), "MINE": "x y"}
    async with arena.session(env={**CALLERS_OWN, **keep}) as server:
        got = await what_the_worker_got(server)
        assert not set(CALLERS_OWN) & set(got["env"])
        assert keep.items() <= got["env"].items()
        assert got["env"]["CLAUDE_CODE_DISABLE_BACKGROUND_TASKS"] == "1"


@async_test
async def test_a_worker_starts_clean(arena):
    async with arena.session() as server:
        got = await what_the_worker_got(server)
        assert got["pgid"] == got["pid"] and got["ppid"] == server.pid
        assert got["blocked_signals"] == [] and got["ignored_signals"] == []
        assert set(got["descriptors"]) == {"0", "1", "2"}
        assert got["death_signal"] == 2
        assert got["cwd"] == str(arena.cwd)


@pytest.mark.parametrize("version", [OLDER, NEWER])
@async_test
async def test_the_command_line_fits_the_version(arena, version):
    async with arena.session(env={"MOCK_CLAUDE_VERSION": version}) as server:
        got = await what_the_worker_got(server)
        argv = got["argv"]
        for name, value in {"--input-format": "stream-json", "--output-format": "stream-json", "--permission-prompt-tool": "stdio", "--model": "sonnet"}.items():
            assert option_values(argv, name) == [value]
        assert {"-p", "--verbose", "--strict-mcp-config"} <= set(argv)
        assert option_values(argv, "--session-id") == [got["session_id"]]
        assert not any("MOCK" in word for word in argv), "the prompt goes through stdin"
        assert ("--system-prompt-snapshot" in argv) == (version == NEWER)
        assert ({"ListAgents", "SendMessage"} <= set(option_values(argv, "--disallowedTools"))) == (version == NEWER)
        if version == NEWER:
            assert got["message"]["client_composed"] is True and got["message"]["uuid"]


@pytest.mark.parametrize("version", [OLDER, NEWER])
@pytest.mark.parametrize("prompt", ["/clear", "/nosuchcmd hello", "/compact now"])
@async_test
async def test_a_prompt_that_looks_like_a_command_is_none(arena, version, prompt):
    async with arena.session(env={"MOCK_CLAUDE_VERSION": version}) as server:
        done = await finish(server, prompt)
        assert done["result_preview"].strip() == prompt
        assert transcript(done)["turns"][0]["prompt"] == prompt


@pytest.mark.parametrize(
    "options, where",
    [
        ({"model": "opus"}, lambda got: option_values(got["argv"], "--model") == ["opus"]),
        ({"system": "be a poet"}, lambda got: got["initialize"]["systemPrompt"] == ["be a poet"]),
        ({"max_tokens": 1234}, lambda got: got["env"]["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] == "1234"),
        ({"add_dirs": ["/tmp"]}, lambda got: option_values(got["argv"], "--add-dir") == ["/tmp"]),
        ({"allowed_tools": ["Bash(touch *)", "Read"]}, lambda got: "Bash(touch *)" in " ".join(option_values(got["argv"], "--allowedTools"))),
        ({"disallowed_tools": ["Write"]}, lambda got: "Write" in " ".join(option_values(got["argv"], "--disallowedTools"))),
        ({"permission_mode": "plan"}, lambda got: option_values(got["argv"], "--permission-mode") == ["plan"]),
        ({"max_turns": 4}, lambda got: option_values(got["argv"], "--max-turns") == ["4"]),
        ({"max_budget_usd": 0.5}, lambda got: float(option_values(got["argv"], "--max-budget-usd")[0]) == 0.5),
        ({"effort": "low"}, lambda got: option_values(got["argv"], "--effort") == ["low"]),
        ({"fallback_model": "haiku"}, lambda got: option_values(got["argv"], "--fallback-model") == ["haiku"]),
        ({"mcp": "none"}, lambda got: "--strict-mcp-config" in got["argv"] and "--mcp-config" not in got["argv"]),
        ({"mcp": "inherit"}, lambda got: "--strict-mcp-config" not in got["argv"]),
        ({"env": {"COLOUR": "blue"}}, lambda got: got["env"]["COLOUR"] == "blue"),
        ({"cwd": "/tmp"}, lambda got: got["cwd"] == "/tmp"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
@async_test
async def test_an_option_reaches_the_worker(arena, options, where):
    async with arena.session() as server:
        assert where(await what_the_worker_got(server, **options))


@async_test
async def test_sampling_chooses_a_model_that_takes_it_and_says_so(arena):
    async with arena.session() as server:
        spawned = await spawn(server, "MOCK echo-options", temperature=0.3)
        assert any("claude-sonnet-4-5" in w for w in spawned["warnings"])
        done = await server.call("wait")
        record = transcript(done["completed"][0])
        got = json.loads(record["result"])
        assert option_values(got["argv"], "--model") == ["claude-sonnet-4-5"]
        assert json.loads(got["env"]["CLAUDE_CODE_EXTRA_BODY"])["temperature"] == 0.3
        assert any("claude-sonnet-4-5" in w for w in record["warnings"])


@async_test
async def test_a_model_that_refuses_sampling_starts_without_it_and_says_so(arena):
    async with arena.session() as server:
        spawned = await spawn(server, "MOCK echo-options", temperature=0.3, model="opus")
        assert any("temperature" in w for w in spawned["warnings"])
        got = json.loads(transcript((await server.call("wait"))["completed"][0])["result"])
        assert option_values(got["argv"], "--model") == ["opus"]
        assert "temperature" not in got["env"].get("CLAUDE_CODE_EXTRA_BODY", "")


@async_test
async def test_the_sampling_table_can_be_overridden(arena):
    config = arena.root / "config.toml"
    config.write_text('[sampling]\n"my-model" = "none"\n"claude-opus-5*" = "both"\n')
    async with arena.session("--config", str(config)) as server:
        got = await what_the_worker_got(server, temperature=0.3, model="claude-opus-5-5")
        assert json.loads(got["env"]["CLAUDE_CODE_EXTRA_BODY"])["temperature"] == 0.3
        got = await what_the_worker_got(server, temperature=0.3, model="my-model")
        assert "temperature" not in got["env"].get("CLAUDE_CODE_EXTRA_BODY", "")


@async_test
async def test_an_mcp_server_map_reaches_the_worker_and_no_other_user(arena):
    async with arena.session() as server:
        got = await what_the_worker_got(server, mcp={"calc": {"command": "/bin/true", "args": []}})
        assert len(option_values(got["argv"], "--mcp-config")) == 1
        assert "--strict-mcp-config" in got["argv"]


@async_test
async def test_the_mark_of_this_test_reaches_workers(arena):
    # The search for what is left behind stands on this.
    async with arena.session() as server:
        assert (await what_the_worker_got(server))["env"][MARK] == arena.mark
