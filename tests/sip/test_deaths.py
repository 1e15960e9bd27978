"""E-124: segued dies at any moment whatever. A flow is played again and again, and segued is killed at its
first moment, at a later one, and so on until it is over before that (tests/lib/mortal.c says what a moment
is). Whenever it was: the customer is in the call with exactly one party, who hears them; the call can be
ended; every row is there once."""
import contextlib
import os
import sys
import threading
from urllib.parse import quote
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
import ua
from desk import Desk, show
from flows import arrived, final_notify, joined, talk, wait
from segued import BUILD, Lab

END = 200  # moments that no flow has
STEP = int(os.environ.get("SEGUE_TEST_STEP", 3))  # `make soak` has 1: each of them
ua.REPEAT = 0.1  # what has no answer is sent again at once: also in the moment in which segued is back


class Mortal(Lab):
    def environment(self):
        self.fate = os.path.join(self.dir, "mortal")
        return {"LD_PRELOAD": os.path.join(BUILD, "tests/lib/mortal.so"), "SEGUE_MORTAL": self.fate}

    def dies_at(self, moment):
        with open(self.fate + ".new", "w") as f:
            f.write(str(moment))
        os.rename(self.fate + ".new", self.fate)

    def dead(self):
        return self.daemon.proc.poll() is not None

    def lives_again(self):
        """Whether it had died; from now on it is mortal no more."""
        self.dies_at(0)
        wait("it knows, or is dead", lambda: self.dead() or not os.path.exists(self.fate))
        died = self.dead()
        if died:
            if os.path.exists(self.fate):
                os.unlink(self.fate)
            self.restart()
        return died


class OnItsOwn(threading.Thread):
    """A phone does what a phone does, whatever the others do."""

    def __init__(self, fn):
        super().__init__(daemon=True)
        self.fn, self.value, self.why = fn, None, None
        self.start()

    def run(self):
        try:
            self.value = self.fn()
        except AssertionError as e:
            self.why = e  # what it has waited for did not come

    def result(self):
        self.join()
        if self.why:
            raise self.why
        return self.value


class Phone:
    """Rings, and is picked up: all the calls that it was rung for."""

    def __init__(self, ua):
        self.ua, self.calls = ua, []
        OnItsOwn(self._take)

    def _take(self):
        while True:
            x = self.ua.incoming(timeout=60)
            x.reply(180)
            x.answer()
            self.calls.append(x)
            OnItsOwn(lambda: x.expect("ACK", timeout=15))


def states(lab):
    """Of the calls that segued has, as it shows them."""
    return [x["state"] for x in show(lab, "calls")["calls"]]


def hears(c, x):
    return (c.remote_sdp and x.remote_sdp and c.remote_sdp.port() == x.sdp.port
            and x.remote_sdp.port() == c.sdp.port
            and c.remote_sdp.dir() == x.remote_sdp.dir() == "sendrecv")


def call_of(lab, c):
    return next(x["call"] for x in show(lab, "calls")["calls"])


def with_whom(c, parties):
    """Those who could be talking with C, by what each has been told."""
    return [x for x in parties if not x.ended and hears(c, x)]


class Scene:
    """A talks with C; B's phone is there. Killed at that moment of what follows."""

    def __init__(self, lab, moment, cast):
        self.lab, self.moment, self.cast = lab, moment, cast
        self.b_ua = cast.b.ua
        cast.b.calls.clear()
        self.c, self.a = talk(lab, cast.a, trunk=cast.trunk)
        self.call = call_of(lab, self.c)
        self.died = None

    def begins(self):
        """From now on moments count."""
        self.lab.dies_at(self.moment)

    def parties(self):
        return [self.a] + self.cast.b.calls

    def command(self, *words):
        """A supervisor's, who sees that it failed if it did."""
        p = OnItsOwn(lambda: self.lab.seguectl(*words, ok=False))
        p.join()

    def until(self, over):
        """Or until segued is dead. What it writes each second makes moments pass as well."""
        def ended():
            try:
                return self.lab.dead() or over()
            except AssertionError:  # it died while it was asked
                return self.lab.dead()
        wait("it is over, or dead", ended, 20)

    def revive(self):
        self.died = self.lab.lives_again()

    def settled(self):
        """Whom C is with, the only one, once segued shows that they talk."""
        c = self.c
        wait("one call is up, and talks", lambda: states(self.lab) == ["TALK"], 20)
        wait("C has somebody", lambda: not c.ended and len(with_whom(c, self.parties())) == 1, 20)
        x, = with_whom(c, self.parties())
        joined(c, x)
        return x

    def end(self, x):
        """They end it in the ordinary way. Its rows."""
        self.c.hangup()
        x.expect("BYE")
        led = self.rows()
        had = [s["who"] for s in led.segments if s["answered_at"] and s["kind"] == "agent"]
        assert had[-1] == x.ua.user, led.segments
        return led

    def rows(self, guessed=False):
        """Everything is there once, and nothing is guessed."""
        led = self.lab.ledger(self.c, timeout=20)
        types = led.types()
        assert types.count("conversation_started") == types.count("conversation_ended") == 1, types
        assert types.count("recovered") <= self.died, types
        assert guessed or not led.conversation["estimated"], led.conversation
        wrong = self.lab.rows("select * from segue.rejected_facts")
        assert not wrong, wrong
        return led


def refer(scene, to):
    """A sends REFER; it is over when C is with B. The outcome, of which A is told, whenever segued died."""
    a, c = scene.a, scene.c
    scene.begins()
    told = OnItsOwn(lambda: final_notify(a, timeout=15))
    a.refer(scene.lab.refer_to(to))
    asked = OnItsOwn(lambda: a.expect((200, 202), method="REFER", timeout=15))
    scene.until(lambda: a.ended and with_whom(c, scene.cast.b.calls))
    scene.revive()
    assert asked.result().status == 202
    return told.result()


def blind(scene):
    """A sends C to B."""
    blind_to(scene, scene.b_ua.number)


def queued(scene):
    """A sends C to a queue, where B answers."""
    blind_to(scene, scene.cast.desk.number)


def blind_to(scene, number):
    a, outcome = scene.a, refer(scene, number)
    x = scene.settled()
    led = scene.end(x)
    outcomes = [t["outcome"] for t in led.transfers]
    assert outcomes.count("completed") == (x is not a) == (outcome == 200), (outcomes, outcome)
    if x is not a:
        wait("A is out of it", lambda: a.ended)


def consult(scene):
    """A supervisor lets A ask B, then hands C over."""
    a = scene.a
    scene.begins()
    scene.command("consult", scene.call, scene.b_ua.number)
    scene.until(lambda: "CONSULT" in states(scene.lab))
    if not scene.lab.dead():
        scene.command("complete", scene.call)
        scene.until(lambda: a.ended)
    scene.revive()
    settle_consult(scene)


def settle_consult(scene):
    """Where it went on with C on hold, A takes C back."""
    lab = scene.lab
    wait("it has come to rest", lambda: set(states(lab)) <= {"TALK", "CONSULT"}, 20)
    if states(lab) != ["TALK"]:
        lab.seguectl("resume", scene.call)
    x = scene.settled()
    led = scene.end(x)
    assert [t["outcome"] for t in led.transfers].count("completed") == (x is not scene.a), led.transfers
    for y in scene.parties():
        wait(f"{y.ua.name} is out of it", lambda: y.ended)


def attended(scene):
    """A has asked B on a second line, and joins the two."""
    a = scene.a
    a.reinvite(a.sdp.copy(dir="sendonly"))
    a.keeps_hold = True
    a2 = scene.cast.a.invite(scene.b_ua.number)
    a2.expect(200, method="INVITE")
    a2.ack()
    arrived(a2)
    name = quote(f"{a2.call_id};to-tag={a2.remote_tag};from-tag={a2.local_tag}")
    outcome = refer(scene, f"<sip:{scene.b_ua.number}@{scene.lab.domain}?Replaces={name}>")
    if outcome != 200:
        a.keeps_hold = False
        a.reinvite(a.sdp.copy(dir="sendrecv"))
        a2.hangup()
    x = scene.settled()
    assert (x is not a) == (outcome == 200), outcome
    scene.end(x)
    for y in (a, a2, *scene.cast.b.calls):
        wait(f"{y.ua.name} is out of it", lambda: y.ended)


def offers(a, dir):
    """A re-INVITE, again while there is no answer, and anew if it crossed one of segued's (491)."""
    req = a.do_invite(a.sdp.copy(dir=dir))
    for _ in range(40):
        answer = a.take((200, 491, 500), ua.REPEAT, method="INVITE")
        if answer is None:
            a.send(req)
        elif answer.status == 200:
            a.ack(cseq=req.cseq)
            return answer
        else:
            req = a.do_invite(a.sdp.copy(dir=dir))
    raise AssertionError(f"no answer to {dir}")


def hold(scene):
    """A holds C, and takes C back."""
    a = scene.a
    scene.begins()
    did = OnItsOwn(lambda: [offers(a, x) for x in ("sendonly", "sendrecv")])
    scene.until(lambda: did.value)
    scene.revive()
    did.result()
    led = scene.end(scene.settled())
    assert [s["who"] for s in led.segments] == [a.ua.user], led.segments


def hangup(scene):
    """C hangs up."""
    over(scene, scene.c, scene.a)


def agent_hangup(scene):
    """A hangs up."""
    over(scene, scene.a, scene.c)


def over(scene, x, y):
    scene.begins()
    bye = OnItsOwn(x.hangup)
    scene.until(lambda: y.ended and bye.ident and not bye.is_alive())
    scene.revive()
    bye.result()
    wait("the other one is told", lambda: y.ended, 20)
    wait("no call is left", lambda: not states(scene.lab), 20)
    # who hangs up while he is asked whether he is still there may have done so long before: the end is guessed
    led = scene.rows(guessed=scene.died)
    assert led.conversation["talk_ms"] > 0 or led.conversation["estimated"], led.conversation


class Cast:
    """The same phones in each scene."""

    def __init__(self, lab):
        self.a, self.b = lab.phone(), Phone(lab.phone())
        self.trunk = lab.trunk()
        lab.registered(self.a, self.b.ua)
        self.desk = Desk(lab, self.b.ua)


def sweep(flow):
    """A case that has a segued of its own to kill."""
    def in_its_lab(_):
        with Mortal(users=6, peers=2) as lab:
            all_moments(lab, flow)
    return in_its_lab


def all_moments(lab, flow):
    cast = Cast(lab)
    for moment in range(1, END, STEP):
        scene = Scene(lab, moment, cast)
        try:
            flow(scene)
        except AssertionError as e:
            raise AssertionError(f"killed at moment {moment}: {e}") from e
        if not scene.died:
            tap.say(f"{flow.__name__}: over before moment {moment}")
            return
    raise AssertionError(f"it is not over after {END} moments")


for _flow, _name in ((blind, "a blind transfer: C is with A or with B"),
                     (queued, "a transfer to a queue: C is with A or with who answers there"),
                     (consult, "a consultation: C is with A or with B"),
                     (attended, "an attended transfer: C is with A or with B"),
                     (hold, "a hold: A and C talk on"),
                     (hangup, "the end: A is told"),
                     (agent_hangup, "the end by A: C is told")):
    tap.case(f"E-124 killed at any moment of {_name}, and it is on record once")(sweep(_flow))

if __name__ == "__main__":
    tap.main(contextlib.nullcontext, jobs=4)
