"""Tests that run beside each other, each in a world of its own.

A scene with the real CLI on both sides mostly waits: for a binary to start, for a screen to be drawn. So the scenes of
a file are played a few at a time, those of both versions together, and each test then asks how its own one ended. A
scene is a function of a world:

    @scene
    def test_something(world):
        with Terminal(world) as terminal:
            …

`@scene(versions=...)` is for what only some versions of the CLI do.
"""
import claude_cli
from world import World

# More than the cores of a small machine only slow each other down; fewer leave them idle.
AT_ONCE = 3


def scene(play=None, versions=claude_cli.VERSIONS):
    """Makes a test of a scene."""
    if play is None:
        return lambda play: scene(play, versions)

    def test(played):
        played(play)

    test.__name__, test.__doc__, test.scene, test.versions = play.__name__, play.__doc__, play, versions
    return test


def play(scene, version, claude):
    """Plays one scene in a new world. Fails when it leaves something behind."""
    world = World(version, claude)
    with world.api:
        try:
            scene(world)
        finally:
            complaints = world.close()  # while the API still answers, so that nothing ends for the lack of one
    assert not complaints, "\n".join(complaints)
