#!/bin/sh
# Starts the server wherever it is installed. Claude Code shows nobody what a server that fails wrote, so where there is
# none, a small server of one tool stands in and tells the model how to install it.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

say_how() {
  problem=$1
  echo "async-workers: $problem See \"how to install\" in $here/not_installed.py." >&2
  if command -v python3 >/dev/null 2>&1; then
    exec python3 "$here/not_installed.py" "$problem"
  fi
  echo "async-workers: build it with scripts/build release in its repository, then set AWM_BINARY to build/release/bin/async-worker-manager." >&2
  exit 1
}

# A binary that was named and is not there must not be replaced by another one in silence.
if [ -n "${AWM_BINARY:-}" ]; then
  [ -f "$AWM_BINARY" ] && [ -x "$AWM_BINARY" ] && exec "$AWM_BINARY" "$@"
  say_how "AWM_BINARY is $AWM_BINARY, which is no program."
fi

in_path=$(command -v async-worker-manager 2>/dev/null)
for binary in "$in_path" "${HOME:-}/.local/bin/async-worker-manager" /usr/local/bin/async-worker-manager \
  "$here/../../build/release/bin/async-worker-manager"; do
  [ -f "$binary" ] && [ -x "$binary" ] && exec "$binary" "$@"
done
say_how "The program async-worker-manager is not installed."
