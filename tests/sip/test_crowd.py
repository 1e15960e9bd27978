"""A crowd: customers and agents whose phones all keep the rules, and who do whatever comes to their minds
at any moment: call, cancel, answer, decline, hold, transfer, ask somebody first, hang up, while supervisors
press their buttons. The seeds are fixed, the moments are not. Promise: when all have calmed down, each
customer hears exactly one party, who hears them; nobody's phone holds a dead call; when all have hung up
nothing is left, and the ledger adds up."""
import contextlib
import json
import math
import os
import random
import socket
import sys
import time
from urllib.parse import quote
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from desk import Desk
from flows import wait
from segued import Lab, Ledger
from ua import Sdp

SEEDS = int(os.environ.get("SEGUE_TEST_SEEDS", 4))  # crowds of each case
FIRST = int(os.environ.get("SEGUE_TEST_SEED", 1))
DEEDS = 120                                          # in each crowd
REPEAT = 1.0                                         # seconds after which a phone sends again
CALM = ("TALK", "WAIT")                              # states that nothing hurries out of


class Line:
    """One call of a phone: what its user and its firmware do about it."""

    def __init__(self, call, rings):
        self.call, self.rings = call, rings
        self.up = self.over = self.cancelled = False
        self.late = not rings and call.sdp is None  # called without an offer
        self.offered = None  # our re-INVITE that has no final response, and what we said before it
        self.rests = 0       # when it may offer again, after its offer has crossed theirs
        self.answered = None # when it was
        self.since = time.monotonic()
        call.mine = self._crosses

    def _crosses(self, m):
        """An offer that crosses ours (RFC 3261 section 14.2)."""
        if m.method != "INVITE" or not m.to_tag or self.offered is None:
            return False
        self.call.reply(491, req=m)
        return True

    def tend(self):
        """What every phone does by itself."""
        if self.over:
            bye = self.call.sent.get("BYE")
            if bye and bye.branch not in self.call.ua.responded and self._again():
                self.call.send(bye)
            return
        if self.up and self.answered is None:
            self.answered = time.monotonic()
        self._ringing() if self.rings and not self.up else self._calling() if not self.up else self._talking()
        self.over = self.over or self.call.ended

    def _ringing(self):
        c = self.call
        if c.accepted is None:
            self.over = c.ua.answered(c.invite)  # it was declined, or its caller has cancelled
        elif c.take("ACK", 0):
            self.up = True
        elif self._again():
            self.reply(200, c.sdp)

    def _calling(self):
        c = self.call
        for m in iter(lambda: c.take(range(180, 200), 0, method="INVITE"), None):
            if m.has("RSeq"):
                c.prack(m)
        if c.take(200, 0, method="INVITE"):
            c.ack(Sdp(ip=c.ua.transport.ip) if self.late else None)
            self.up = True
            if self.cancelled:
                c.bye()
        elif c.take(range(300, 700), 0, method="INVITE"):
            self.over = True
        elif c.last_invite.branch not in c.ua.responded and self._again():
            c.send(c.last_invite)

    def _talking(self):
        c = self.call
        while c.take((100, 200, 202, 481, 491, 500, 603), 0, method="REFER"):
            pass
        if self.offered is None:
            return
        req, before = self.offered
        m = c.take(range(200, 700), 0, method="INVITE", where=lambda m: m.cseq == req.cseq)
        if m is None:
            if req.branch not in c.ua.responded and self._again():
                c.send(req)
            return
        if m.status < 300:
            c.ack(None if req.body else c.fitting(m.sdp), cseq=req.cseq)
        else:
            c.sdp = before
            self.rests = time.monotonic() + random.uniform(0, 1)
        self.offered = None

    def _again(self):
        late = time.monotonic() - self.since > REPEAT
        if late:
            self.since = time.monotonic()
        return late

    def reply(self, *what):
        """Who called over a connection that is gone is gone as well."""
        try:
            self.call.reply(*what)
        except ConnectionError:
            self.over = True

    def pick_up(self):
        self.reply(200, self.call.fitting(self.call.invite.sdp))

    def offer(self, sdp, late=False):
        """Re-INVITE with that description, or without one."""
        c = self.call
        if self.offered is None and self.rests < time.monotonic():
            self.since = time.monotonic()
            c.keeps_hold = sdp.dir == "sendonly"
            before, c.sdp = c.sdp, sdp
            self.offered = (None, before)  # from here on theirs crosses ours
            self.offered = (c.do_invite(None if late else sdp), before)

    def turns(self, dir):
        self.offer(self.call.sdp.copy(dir=dir))

    def hang_up(self):
        c = self.call
        if self.over:
            return
        if self.up or c.accepted:
            c.bye()
        elif self.rings:
            self.reply(random.choice((486, 480, 603)))
        elif not self.cancelled and c.last_invite.branch in c.ua.responded:
            self.cancelled = True
            c.cancel()


class Crowd:
    """Some trunks and phones, their lines, and a supervisor."""

    def __init__(self, lab, seed):
        self.lab, self.rng = lab, random.Random(seed)
        self.trunks = [lab.trunk() for _ in range(3)]
        self.phones = [lab.phone(transport=t) for t in ("udp", "udp", "tcp", "udp", "tcp", "udp")]
        self.desk = Desk(lab, *self.phones[3:], wrapup_ms=200)
        self.outside = lab.trunk()
        self.lines = []
        lab.registered(*self.phones)
        self.connect()
        for x in self.everybody():
            x.box.clear()

    def connect(self):
        self.control = socket.socket(socket.AF_UNIX)
        self.control.settimeout(30)
        wait("it takes commands", lambda: self.control.connect_ex(os.path.join(self.lab.dir, "segued.sock")) == 0)
        self.answers = self.control.makefile("rb")

    def everybody(self):
        return self.trunks + self.phones + [self.outside]

    def numbers(self):
        return [x.number for x in self.phones] + [self.desk.number] * 2 \
            + [self.lab.outside(self.outside, "4930555"), "7999999"]

    def of(self, *who, up=None):
        return [x for x in self.lines if not x.over and x.call.ua in (who or self.everybody())
                and up in (None, x.up) and not x.cancelled]

    def tend(self):
        for x in self.everybody():
            for m in iter(lambda: x.take("INVITE", 0), None):
                self.lines.append(Line(x.calls[m.call_id], True))
                self.lines[-1].reply(180)
        for line in self.lines:
            line.tend()

    # -- what people do ----------------------------------------------------------------------

    def phones_customer_calls(self):
        free = [x for x in self.trunks if not self.of(x)]
        if free:
            self._call(self.rng.choice(free), self.rng.choice(self.numbers()[:-2]))

    def _call(self, who, number):
        call = who.invite(number, late=self.rng.random() < .1)
        self.lines.append(Line(call, False))
        return self.lines[-1]

    def answers_one(self):
        for line in self.rng.sample(ringing := self.ringing(), min(1, len(ringing))):
            line.pick_up()

    def ringing(self):
        return [x for x in self.of(up=False) if x.rings and x.call.accepted is None]

    def early_media(self):
        for line in self.ringing()[:1]:
            line.reply(183, line.call.fitting(line.call.invite.sdp))

    def declines(self):
        for line in self.ringing()[:1]:
            line.hang_up()

    def hangs_up(self):
        for line in self._some():
            line.hang_up()

    def _some(self, *who, up=None):
        lines = self.of(*who, up=up)
        return [self.rng.choice(lines)] if lines else []

    def holds(self):
        for line in self._some(up=True):
            line.turns(self.rng.choice(("sendonly", "sendrecv", "inactive", "sendrecv")))

    def moves_its_media(self):
        for line in self._some(up=True):
            line.offer(line.call.sdp.copy(port=Sdp().port))

    def asks_for_an_offer(self):
        for line in self._some(up=True):
            line.offer(line.call.sdp, late=True)

    def clicks_to_dial(self):
        self.told(cmd="dial", user=self.rng.choice(self.phones).user, number=self.rng.choice(self.numbers()))

    def refers(self):
        for line in self._some(*self.phones, up=True):
            line.call.refer(self.lab.refer_to(self.rng.choice(self.numbers())))

    def asks_first(self):
        for line in self._some(*self.phones, up=True):
            line.turns("sendonly")
            self._call(line.call.ua, self.rng.choice(self.numbers()))

    def joins_two(self):
        for one in self._some(*self.phones, up=True):
            for two in self.of(one.call.ua):
                if two is not one and not two.rings and two.call.remote_tag:
                    c = two.call
                    name = quote(f"{c.call_id};to-tag={c.remote_tag};from-tag={c.local_tag}")
                    to = c.remote_uri.split(":", 1)[1]
                    one.call.refer(f"<sip:{to}?Replaces={name}>")
                    return

    def told(self, **what):
        self.control.sendall(json.dumps(what).encode() + b"\n")
        return json.loads(self.answers.readline())

    def calls(self):
        return self.told(cmd="calls")["calls"]

    def supervises(self):
        calls = self.calls()
        if calls:
            call = self.rng.choice(calls)["call"]
            cmd = self.rng.choice(("transfer", "transfer", "consult", "consult", "complete", "complete", "swap",
                                   "cancel", "resume", "hold", "unhold", "hangup"))
            self.told(cmd=cmd, call=call, number=self.rng.choice(self.numbers()))

    WHAT = ((phones_customer_calls, 20), (answers_one, 30), (early_media, 4), (declines, 5), (hangs_up, 8),
            (holds, 10), (moves_its_media, 3), (asks_for_an_offer, 3), (clicks_to_dial, 2), (refers, 14),
            (asks_first, 8), (joins_two, 10), (supervises, 12))

    def death(self):
        """segued is killed and is back. What had just begun is lost, and its people hang up."""
        self.lab.daemon.kill()
        lost = [x for x in self.lines if not x.over and (x.answered or math.inf) > time.monotonic() - 0.5]
        self.lab.restart()
        self.connect()
        for line in lost:
            line.hang_up()
            line.over = True

    def lives(self, deaths):
        deeds, weights = zip(*self.WHAT)
        dies = self.rng.sample(range(20, DEEDS), deaths)
        for i in range(DEEDS):
            if i in dies:
                self.death()
            self.tend()
            self.rng.choices(deeds, weights)[0](self)
            time.sleep(self.rng.choice((0, 0, .001, .005, .02, .06)))  # and time passes

    # -- and how it ends ----------------------------------------------------------------------

    def tended(self, what, check, timeout=60):
        def so():
            self.tend()
            return check()
        return wait(what, so, timeout)

    def calm_down(self):
        """Everybody answers what rings, and holds nobody any more."""
        self.tended("all has come to rest", self._calm)

    def _calm(self):
        for line in self.ringing():
            line.pick_up()
        restless = [x for x in self.of(up=True) if x.offered or x.call.sdp.dir != "sendrecv"]
        for line in restless:
            line.turns("sendrecv")
        calls = self.calls()
        for x in calls:
            if x["state"].startswith("CONSULT") or x["state"] == "ASIDE":
                self.told(cmd="resume", call=x["call"])
            elif x["state"] == "TALK":
                self.told(cmd="unhold", call=x["call"])  # nothing, if it is not
        alone = [x for x in self.of() if not x.up or len(self.partners(x)) != 1]
        return not restless and all(x["state"] in CALM for x in calls) \
            and len(alone) == sum(x["state"] == "WAIT" for x in calls)

    def partners(self, line):
        c = line.call
        return [x for x in self.of(up=True) if x is not line and c.remote_sdp and x.call.remote_sdp
                and c.remote_sdp.port() == x.call.sdp.port and x.call.remote_sdp.port() == c.sdp.port
                and c.remote_sdp.dir() == x.call.remote_sdp.dir() == "sendrecv"]

    def go_home(self):
        for line in self.lines:
            line.hang_up()
        self.tended("every phone is free", lambda: all(x.over or x.cancelled for x in self.lines))
        wait("no call is left", lambda: not self.calls(), 60)

    def story(self):
        """Of those who are left: what they think, and what was said to whoever hears nobody."""
        return "\n".join(f"{x.call.ua.name} {x.call.call_id} {'in' if x.rings else 'out'} up={x.up} "
                         f"cancelled={x.cancelled} sdp={x.call.sdp and (x.call.sdp.port, x.call.sdp.dir)} "
                         f"told={x.call.remote_sdp and x.call.remote_sdp.short()}" + self.said(x)
                         for x in self.lines if not x.over) + f"\n{self.calls()}"

    def said(self, line):
        return "" if len(self.partners(line)) == 1 else "".join(
            f"\n    {m.at % 1000:.3f} {arrow} {m}" for arrow, m in line.call.ua.log if m.call_id == line.call.call_id)


class CrowdLab(Lab):
    def adds_up(self):
        wait("every conversation is final", lambda: not self.rows(
            "select id from segue.conversations where ended_at is null"), timeout=60)
        for wrong in ("segue.check_ledger()", "segue.rejected_facts"):
            rows = self.rows(f"select * from {wrong}")
            assert not rows, f"{rows}\n" + "\n".join(
                str(Ledger(self, self.rows(f"select * from segue.conversations where id = '{x}'")[0]))
                for x in {r["conversation_id"] for r in rows if r.get("conversation_id")})


def crowd(seed, deaths):
    """In a lab of its own."""
    with CrowdLab(users=10, peers=6, t={"ring": 3000, "recall": 2000}) as lab:
        c = Crowd(lab, seed)
        try:
            c.lives(deaths)
            c.calm_down()
            c.go_home()
        except AssertionError as e:
            raise AssertionError(f"{e}\n{c.story()}") from e
        lab.adds_up()


for _seed in range(FIRST, FIRST + SEEDS):
    tap.case(f"crowd {_seed}: all who talk hear each other when they have calmed down, nothing is left after them")(
        lambda _, seed=_seed: crowd(seed, 0))
    tap.case(f"E-124 crowd {_seed}, and segued is killed twice: the same")(lambda _, seed=_seed: crowd(seed, 2))


if __name__ == "__main__":
    tap.main(contextlib.nullcontext)
