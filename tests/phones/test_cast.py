"""What happens when a phone crashes, with scripted phones: shell programs that do as they are told."""
import contextlib
import io
import os
import signal
import sys
import tempfile
import threading
sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), d) for d in ("../lib", ".")]

import phones
import tap


class Daemon:
    """A registrar that has seen everybody."""

    def mark(self):
        return 0

    def wait_log(self, pattern, timeout=0, since=0):
        pass


class Stage:
    """What a phone needs of a lab."""
    domain = "segue.test"

    def __init__(self):
        self.lock, self.next_user, self.daemon = threading.Lock(), 0, Daemon()

    def __enter__(self):
        self.tmp = tempfile.TemporaryDirectory()
        self.dir = self.tmp.name
        return self

    def __exit__(self, *exc):
        self.tmp.cleanup()


class Scripted(phones.Phone):
    """Each line it gets is a command for a shell."""
    kind = "scripted"

    def start(self):
        self.spawn("sh", "-c", 'while read -r line; do eval "$line"; done')

    def do(self, command):
        self.proc.stdin.write(command.encode() + b"\n")
        self.proc.stdin.flush()

    def quit(self):
        self.do("exit 0")


@contextlib.contextmanager
def cast(stage, n=1):
    c = phones.Cast(stage, [Scripted] * n)
    try:
        yield c
    finally:
        c.close()


@contextlib.contextmanager
def said():
    """What tap.say() prints meanwhile."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        yield out


def scene_that(*deaths):
    """A scene whose phone dies by these commands, one each time that it is played, and then not."""
    seen = []

    def scene(lab, phone, *others):
        seen.append(phone)
        if len(seen) <= len(deaths):
            phone.do("echo dying; " + deaths[len(seen) - 1])
            phone.says("never said", 5)
        phone.do("echo well")
        phone.says("^well$", 5)
        return "played"
    scene.seen = seen
    return scene


def fails(fn):
    try:
        fn()
    except AssertionError as e:
        return str(e)
    raise SystemError("it did not fail")


@tap.case("a phone that aborts or faults: played again with other phones, and said")
def crash(stage):
    for sig in ("ABRT", "SEGV", "BUS"):
        scene = scene_that(f"kill -{sig} $$")
        with cast(stage, 2) as c, said() as out:
            c.play(stage, scene_that(), 1)
            before = list(c.phones)
            assert c.play(stage, scene, 0, 1) == "played"
            assert not set(before) & set(c.phones), "a phone of the first attempt plays again"
            assert before[1].ended_with() is not None, "the other phone of the attempt still runs"
        assert len(scene.seen) == 2, scene.seen
        assert len({p.user for p in scene.seen}) == 2, "the new phone is the old user"
        assert f"# note: {scene.seen[0].name} crashed" in out.getvalue(), out.getvalue()
        assert "# note: dying" in out.getvalue(), out.getvalue()


@tap.case("it crashes three times: the scene fails")
def crashes_on(stage):
    scene = scene_that(*["kill -ABRT $$"] * 3)
    with cast(stage) as c, said():
        assert "did not say" in fails(lambda: c.play(stage, scene, 0))
    assert len(scene.seen) == 3, scene.seen


@tap.case("any other failure fails at once: a wrong answer, an exit, a kill")
def other_failures(stage):
    for death in ("true", "exit 0", "exit 134", "kill -KILL $$", "kill -TERM $$"):
        scene = scene_that(death)
        with cast(stage) as c, said() as out:
            assert "did not say" in fails(lambda: c.play(stage, scene, 0)), death
            assert c.phones[0] is not scene.seen[0], "the next scene gets phones left in a call"
        assert len(scene.seen) == 1, (death, scene.seen)
        assert not out.getvalue(), (death, out.getvalue())


@tap.case("a failure in which another phone, that does not play, crashes is a failure")
def bystander(stage):
    with cast(stage, 2) as c, said() as out:
        c.play(stage, scene_that(), 1)
        scene = scene_that("true")
        c.phones[1].do("kill -ABRT $$")
        assert "did not say" in fails(lambda: c.play(stage, scene, 0))
    assert len(scene.seen) == 1 and not out.getvalue(), out.getvalue()


@tap.case("a phone that is gone is replaced before the next scene, and said")
def gone(stage):
    with cast(stage) as c, said() as out:
        c.play(stage, scene_that(), 0)
        gone = c.phones[0]
        gone.do("echo farewell; kill -ABRT $$")
        assert gone.ended_with(5) == -signal.SIGABRT
        scene = scene_that()
        c.play(stage, scene, 0)
        assert scene.seen == [c.phones[0]] != [gone]
    assert "ended between scenes" in out.getvalue() and "farewell" in out.getvalue(), out.getvalue()


@tap.case("a phone that crashes while a scene passes does not undo that")
def passes_anyway(stage):
    def scene(lab, phone):
        phone.do("kill -ABRT $$")
        phone.ended_with(5)
        scenes.append(phone)
    scenes = []
    with cast(stage) as c, said():
        c.play(stage, scene, 0)
    assert len(scenes) == 1


if __name__ == "__main__":
    tap.main(Stage, jobs=1)
