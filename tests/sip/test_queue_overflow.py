"""Queues that do not take a caller, or not any longer (E-110): where to, in which order, by which rule, and
what the ledger says of it."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from desk import CODES, Desk
from flows import end, final_notify, joined, pick_up, refer, talk, wait
from segued import Lab

BOXES, MENUS, WORLD, SPEAKER = 30, 32, 34, 36   # peers; the last plays announcements
BOX, MENU, OUTSIDE, SPEECH = "*97555", "7301", "0301234567", "0777"


def name(i):
    return f"peer{i:02d}"


def nobody_logged_in(lab, *overflow, **rules):
    """A queue whose one agent is logged out."""
    a = lab.phone()
    desk = Desk(lab, a, overflow=overflow, **rules)
    lab.seguectl("agent", a.user, "logout")
    return desk


def nobody_comes(lab, *overflow):
    """A queue that keeps a caller for a second, and whose one agent is on a call: that, too."""
    a = lab.phone()
    desk = Desk(lab, a, overflow=overflow, max_wait_ms=1000)
    return desk, talk(lab, a)


def overflowed(lab, c, desk, why):
    """C's visit of the queue ended so, on the timeline as well. The ledger."""
    led = lab.ledger(c)
    visit = led.segments[0]
    assert (visit["kind"], visit["who"], visit["outcome"]) == ("queue", desk.name, why), led
    assert visit["released_by"] == "system" and visit["talk_ms"] == 0, visit
    assert visit["wait_ms"] >= 1000 if why == "timeout" else visit["wait_ms"] == 0, visit
    said = [(t["actor"], t["data"]["cause"], t["segment_id"]) for t in led.timeline
            if t["type"] == "queue_overflow"]
    assert said[0] == (desk.name, why, visit["id"]), led
    return led


def answered(lab, c, phone, uri):
    x = phone.incoming()
    assert x.invite.uri.startswith(f"sip:{uri}@"), x.invite.uri
    pick_up(c, x)
    end(c, x)


def by_kind(kind, target, index=None, uri=None, segment=None):
    """Both ways to overflow to that kind of target: nobody is there, and nobody comes in time."""
    def run(lab):
        phone = lab.trunk(index=index) if index else lab.phone()
        where = target or phone.user
        desk = nobody_logged_in(lab, (kind, where))
        late, busy = nobody_comes(lab, (kind, where))
        c = lab.trunk().invite(desk.number)
        answered(lab, c, phone, uri or phone.user)
        d = lab.trunk().invite(late.number)
        d.expect(180)
        answered(lab, d, phone, uri or phone.user)
        for x, q, why in ((c, desk, "empty"), (d, late, "timeout")):
            led = overflowed(lab, x, q, why)
            last = led.segments[-1]
            assert len(led.segments) == 2 and last["kind"] == (segment or kind), led
            assert last["outcome"] == "completed" and last["answered_at"], last
            talks = kind in ("user", "external")
            assert (last["talk_ms"] > 0) == (led.conversation["talk_ms"] > 0) == talks, led
        end(*busy)
    return run


tap.case("E-110 overflow to a user")(by_kind("user", None, segment="agent"))
tap.case("E-110 overflow to a mailbox")(by_kind("voicemail", BOX, BOXES, BOX))
tap.case("E-110 overflow to a menu")(by_kind("ivr", MENU, MENUS, "9"))
tap.case("E-110 overflow to an outside number")(by_kind("external", OUTSIDE, WORLD, OUTSIDE))
tap.case("E-110 overflow to an announcement: nobody has talked")(
    by_kind("announcement", SPEECH, SPEAKER, SPEECH, segment="external"))


@tap.case("E-110 overflow to another queue: two visits, the second has the agent; a circle is walked once")
def to_queue(lab):
    b = lab.phone()
    night = Desk(lab, b)
    desk = nobody_logged_in(lab, ("queue", night.name))
    late, busy = nobody_comes(lab, ("queue", desk.name))
    c = lab.trunk().invite(late.number)  # not taken there in time, nor by the next, but by the last
    c.expect(180)
    x = b.incoming()
    pick_up(c, x)
    end(c, x)
    led = overflowed(lab, c, late, "timeout")
    assert [(s["who"], s["outcome"]) for s in led.segments] == [
        (late.name, "timeout"), (desk.name, "empty"), (night.name, "answered"), (b.user, "completed")], led
    lab.sql(f"insert into segue.queue_overflow values ('{night.name}', 1, 'queue', '{desk.name}')")
    lab.seguectl("agent", b.user, "logout")
    d = lab.trunk().invite(desk.number)
    d.expect(480, method="INVITE")
    led = overflowed(lab, d, desk, "empty")
    assert [s["who"] for s in led.segments if s["kind"] == "queue"] == [desk.name, night.name], led
    end(*busy)


@tap.case("E-110 overflow targets are tried in order: no such user, one who is busy, a trunk that fails, a queue")
def in_order(lab):
    busy_one, world, b = lab.phone(), lab.trunk(), lab.phone()
    last = Desk(lab, b)
    desk, busy = nobody_comes(lab, ("user", "nobody"), ("user", busy_one.user),
                              ("external", lab.outside(world, "555")), ("queue", last.name), ("user", busy_one.user))
    c = lab.trunk().invite(desk.number)
    c.expect(180)
    busy_one.incoming().reply(486)
    x = world.incoming()
    assert b.count("INVITE") == 0
    x.reply(503)
    y = b.incoming()
    pick_up(c, y)
    end(c, y)
    assert busy_one.count("INVITE") == 1
    led = overflowed(lab, c, desk, "timeout")
    assert [(s["kind"], s["who"], s["outcome"]) for s in led.segments] == [
        ("queue", desk.name, "timeout"), ("agent", busy_one.user, "busy"),
        ("external", world.name, "unreachable"), ("queue", last.name, "answered"),
        ("agent", b.user, "completed")], led
    steps = [(t["asked_via"], t["target_kind"], t["outcome"], t["cause"]) for t in led.transfers]
    assert steps == [("system", "user", "fell_back", "user"), ("system", "external", "fell_back", "queue"),
                     ("system", "queue", "completed", None)], steps
    assert led.transfers[-1]["answered_by"] == b.user, led.transfers
    told = [t for t in led.types() if t.startswith(("queue_", "transfer_", "offer"))]
    assert told == ["queue_entered", "queue_overflow", "transfer_requested", "offered", "offer_failed",
                    "transfer_fell_back", "transfer_requested", "offered", "offer_failed",
                    "transfer_fell_back", "transfer_requested", "queue_entered", "transfer_completed",
                    "offered"], told
    end(*busy)


@tap.case("E-110 transferred to a queue where nobody is logged in and that leads nowhere: the transferor has the caller")
def leads_nowhere(lab):
    desk = nobody_logged_in(lab)
    c, x = talk(lab)
    refer(lab, x, desk.number)
    final_notify(x, 480)
    joined(c, x)
    end(c, x)
    led = lab.ledger(c)
    assert [(s["kind"], s["outcome"]) for s in led.segments] == [
        ("agent", "completed"), ("queue", "empty")], led
    t, = led.transfers
    assert (t["outcome"], t["cause"]) == ("failed", "unreachable"), t
    assert led.types().count("queue_overflow") == 1 and "queue_entered" not in led.types(), led


@tap.case("E-110 max_length: a caller who comes when so many wait is sent on at once, or refused with 486")
def full(lab):
    a, b = lab.phone(), lab.phone()
    desk = Desk(lab, a, max_length=2, overflow=[("user", b.user)])
    nowhere = Desk(lab, a, max_length=1)
    busy = talk(lab, a)
    waiting = [lab.trunk().invite(q.number) for q in (desk, desk, nowhere)]
    for c in waiting:
        c.expect(180)
    wait("they wait", lambda: (desk.look()["queue"]["waiting"], nowhere.look()["queue"]["waiting"]) == (2, 1))
    c = lab.trunk().invite(desk.number)
    answered(lab, c, b, b.user)
    overflowed(lab, c, desk, "full")
    d = lab.trunk().invite(nowhere.number)
    d.expect(486, method="INVITE")
    overflowed(lab, d, nowhere, "full")
    for c in waiting:
        c.cancel()
        c.expect(487, method="INVITE")
    end(*busy)


@tap.case("E-110 join_empty: whoever comes waits, or is sent on, by whether agents are away or logged out")
def join_rules(lab):
    a = lab.phone()
    taken = lambda rule: lab.trunk().invite(rules[rule].number).expect((180, 480), method="INVITE").status
    rules = {r: Desk(lab, a, join_empty=r) for r in ("away", "logged_out", "never")}
    lab.seguectl("agent", a.user, "away")
    assert [taken(r) for r in rules] == [480, 180, 180]
    lab.seguectl("agent", a.user, "logout")
    assert [taken(r) for r in rules] == [480, 480, 180]
    for desk in rules.values():  # nobody stays behind in them
        for w in desk.look()["callers"]:
            lab.seguectl("hangup", w["call"])


@tap.case("E-110 leave_empty: who waits is sent on when the last agent goes away, or logs out, or not at all")
def leave_rules(lab):
    a, b = lab.phone(), lab.phone()
    rules = {r: Desk(lab, a, leave_empty=r, overflow=[("user", b.user)])
             for r in ("away", "logged_out", "never")}
    busy = talk(lab, a)
    cs = {}
    for rule, desk in rules.items():
        cs[rule] = lab.trunk().invite(desk.number)
        cs[rule].expect(180)
        wait("the caller waits", lambda: desk.look()["queue"]["waiting"] == 1)

    def sent_on(rule):
        """That one, and nobody else."""
        answered(lab, cs[rule], b, b.user)
        led = lab.ledger(cs[rule])
        assert led.segments[0]["outcome"] == "empty" and led.segments[0]["who"] == rules[rule].name, led
        assert [t["data"]["cause"] for t in led.timeline if t["type"] == "queue_overflow"] == ["empty"]
    lab.seguectl("agent", a.user, "away")
    sent_on("away")
    assert [rules[r].look()["queue"]["waiting"] for r in ("logged_out", "never")] == [1, 1]
    lab.seguectl("agent", a.user, "logout")
    sent_on("logged_out")
    assert rules["never"].look()["queue"]["waiting"] == 1
    end(*busy)
    lab.seguectl("agent", a.user, "available")
    answered(lab, cs["never"], a, a.user)
    assert lab.ledger(cs["never"]).segments[0]["outcome"] == "answered"


class MenuLab(Lab):
    def _users(self):
        super()._users()
        self.sql(f"insert into segue.ivrs (name, number, peer, dial) values ('orders', '{MENU}', "
                 f"'{name(MENUS)}', '9')")


if __name__ == "__main__":
    ROUTES = (f'{{ pattern = "*97."; kind = "voicemail"; target = "{name(BOXES)}"; }},\n'
              f'{{ pattern = "0777"; kind = "external"; target = "{name(SPEAKER)}"; }},\n'
              f'{{ pattern = "0Z."; kind = "external"; target = "{name(WORLD)}"; transfer = true; }},\n')
    tap.main(lambda: MenuLab(users=60, peers=40, routes=ROUTES, conf=CODES), jobs=3)
