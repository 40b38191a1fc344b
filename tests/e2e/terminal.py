"""The interactive CLI in a pseudo terminal: what a user sees there, and what a user types.

The CLI draws for eyes: what it writes are movements of a cursor over a screen. A terminal emulator (python3-pyte) makes
a screen of it again, and a test waits until that screen shows something:

    with Terminal(world, "--permission-mode", "default") as terminal:
        terminal.prompt("run three workers")
        terminal.until("They said")
        terminal.press(ESCAPE, "? for shortcuts")

A thread reads all the time, since the CLI stands still when nobody does. Nothing here sleeps: each piece of output is a
reason to look at the screen again.

The CLI draws a new state before it takes keys in it: a key that comes between the two is taken by the state before,
which often ignores it. So each key comes with what it shall lead to, and is pressed again when that does not come; on a
busy machine it may only have come late, so choose keys of which one too many does no harm. And wait for what appears,
not for what vanishes: in the middle of a drawing much is gone for a moment.
"""
import fcntl
import json
import os
import re
import struct
import subprocess
import termios
import threading
import time

import pyte

ROWS, COLUMNS = 50, 120
# Only bounds how long a broken test hangs, and shows the screen then.
GUARD_S = 120
EXIT_GUARD_S = 20
# Before a key is pressed again that has shown no effect.
PRESS_AGAIN_S = 2
READ_SIZE = 65536

ENTER, ESCAPE, DOWN, RIGHT, ERASE_LINE = "\r", "\x1b", "\x1b[B", "\x1b[C", "\x15"

# Where nothing is to be escaped from, two of them open a dialog.
ESCAPE_AGAIN_S = 15

# What the terminal emulator does not know and would show as text: questions about the terminal's abilities.
PRIVATE = re.compile(rb"\x1b\[[<=>][0-9;]*[a-z]")


class Terminal:
    """One CLI. Leaving the block ends it, in whatever state it is."""

    def __init__(self, world, *flags, **environment):
        _answer_first_questions(world)
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._drawn = threading.Condition()  # of a lock that one thread may take twice
        self._ended = False
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        # Until the CLI does it itself: what is typed early would be drawn twice.
        _stop_echo(slave)
        variables = {**world.environment, "TERM": "xterm-256color", **environment}
        try:
            # Without a controlling terminal of its own, the CLI would find the one of whoever runs the tests.
            self._process = subprocess.Popen(["setsid", "--ctty", str(world.claude), *flags], stdin=slave, stdout=slave,
                                             stderr=slave, cwd=world.project, env=variables)
        except BaseException:
            os.close(self._master)
            raise
        finally:
            os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        try:
            self._process.wait(EXIT_GUARD_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # A child of the CLI may hold the terminal a little longer than the CLI; the reader ends with the last of them.
        self._reader.join(EXIT_GUARD_S)
        os.close(self._master)

    @property
    def text(self):
        """What the screen shows now."""
        with self._drawn:
            return self._text()

    def until(self, wanted):
        """Waits until the screen shows `wanted`, a text or a function of the screen's text. Returns the screen's text.

        When a text is looked for, line breaks and runs of spaces count as one space: the CLI breaks lines at will.
        """
        return self._until(wanted, time.monotonic() + GUARD_S) or self._fail(f"not seen: {wanted!r}")

    def press(self, keys, wanted):
        """Presses keys until the screen shows `wanted`, as in `until`. Returns the screen's text."""
        return self.walk([("", keys)], wanted)

    def walk(self, steps, wanted):
        """Goes from state to state until the screen shows `wanted`, as in `until`. Returns the screen's text.

        A step is what the screen shows in a state, and the keys for it; the first that fits counts. So a walk finds its
        way also from where a key that was lost, or came late, has led it.
        """
        def step(text):
            return next((step for step in steps if shows(text, step[0])), None)

        deadline = time.monotonic() + GUARD_S
        text = self.text
        while not shows(text, wanted):
            if time.monotonic() > deadline:
                self._fail(f"{steps} did not lead to {wanted!r}")
            current = step(text)
            if current:
                os.write(self._master, current[1].encode())
            again = ESCAPE_AGAIN_S if current and current[1] == ESCAPE else PRESS_AGAIN_S
            text = self._until(lambda now, current=current: shows(now, wanted) or step(now) != current,
                               time.monotonic() + again) or self.text
        return text

    def prompt(self, text, wanted=lambda screen: input_line(screen) == ""):
        """Types a prompt and sends it, which leads to `wanted`; by default to an empty input line.

        What comes in one piece with its Enter would be taken for pasted text.
        """
        self.until(lambda screen: input_line(screen) is not None)
        self.press(ERASE_LINE + text, lambda screen: input_line(screen) == text)
        self.press(ENTER, wanted)

    def _until(self, wanted, deadline):
        """The screen's text when it shows `wanted`, None when it does not until `deadline`."""
        with self._drawn:
            while not shows(text := self._text(), wanted):
                if self._ended:
                    self._fail(f"the CLI ended before {wanted!r}")
                if not self._drawn.wait(deadline - time.monotonic()):
                    return None
        return text

    def _fail(self, words):
        raise AssertionError(f"{words}; the screen:\n{self.text}")

    def _text(self):
        return "\n".join(line.rstrip() for line in self._screen.display if line.strip())

    def _read(self):
        data = b"-"
        while data:
            try:
                data = os.read(self._master, READ_SIZE)
            except OSError:
                data = b""  # the last process has closed the terminal
            with self._drawn:
                self._stream.feed(PRIVATE.sub(b"", data))
                self._ended = not data
                self._drawn.notify_all()


def shows(screen, wanted):
    return wanted(screen) if callable(wanted) else wanted in " ".join(screen.split())


def input_line(screen):
    """What stands in the input line; None while there is none, as behind a dialog."""
    found = re.search(r"^─+.*\n❯[ \xa0]?(.*)\n─+", screen, re.M)
    return found and found.group(1).strip()


def _stop_echo(descriptor):
    attributes = termios.tcgetattr(descriptor)
    attributes[3] &= ~(termios.ECHO | termios.ICANON)  # the local flags
    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)


def _answer_first_questions(world):
    """What the CLI would ask a new user: the theme, whether to trust the folder, whether to use the key."""
    (world.home / ".claude.json").write_text(json.dumps({
        "hasCompletedOnboarding": True,
        "theme": "dark",
        "customApiKeyResponses": {"approved": [world.environment["ANTHROPIC_API_KEY"][-20:]], "rejected": []},
        "projects": {str(world.project): {"hasTrustDialogAccepted": True}}}))
