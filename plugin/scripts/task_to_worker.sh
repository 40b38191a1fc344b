#!/bin/sh
# A PreToolUse hook for Task (Agent): off unless AWM_REPLACE_TASK or the plugin's option replace_task turns it on.
case "${AWM_REPLACE_TASK:-${CLAUDE_PLUGIN_OPTION_REPLACE_TASK:-}}" in
  1 | true | yes | on) ;;
  *) exit 0 ;;
esac
# A worker that runs below the server has no tools of it, and a fork takes the conversation along, which no worker does.
[ -n "${AWM_DEPTH:-}" ] && exit 0
grep -q '"subagent_type" *: *"fork"' && exit 0
cat <<'ANSWER'
{"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "deny", "permissionDecisionReason": "Agents run as workers here: call mcp__plugin_async-workers_workers__spawn_worker instead, with the same description and prompt, subagent_type as agent_type, model, effort and isolation in options; then wait collects the result. (Set by AWM_REPLACE_TASK or the plugin's option replace_task.)"}}
ANSWER
