"""Each party hangs up at each point of a transfer, a consultation and a wait: one outcome, the same by HTTP,
in the stream of events and on record; nobody stays behind, no row stays open."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from desk import Desk, agent
from flows import end, hears, joined, talk, wait
from web import WebLab


def boss(lab):
    with lab.lock:
        if not hasattr(lab, "boss_session"):
            lab.boss_session = lab.login("boss")
    return lab.boss_session


class Scene:
    """C talks with A, a transfer to B is asked for by a click, and somebody listens to the stream."""

    def __init__(self, lab, kind="blind"):
        self.lab, self.target, self.agent = lab, lab.phone(), lab.phone()
        self.events = boss(lab).events()
        tap.at_end(self.events.close)
        self.events.wait("snapshot")
        self.c, self.a = talk(lab, self.agent)
        self.call = boss(lab).call_of(self.c)["id"]
        got = boss(lab).post(f"/calls/{self.call}/transfer", {"number": self.target.number, "kind": kind})
        assert got.status == 201, got
        self.url = "/" + got.headers["Location"]
        self.id = got.json["id"]
        self.b = self.target.incoming()
        wait("the customer is held", lambda: self.c.remote_sdp.dir() in ("sendonly", "inactive"))

    def stage(self, stage):
        wait(f"the transfer is {stage}", lambda: boss(self.lab).get(self.url).json["stage"] == stage)

    def row(self, state):
        wait(f"the row is {state}", lambda: boss(self.lab).get("/calls/" + self.call).json.get("table_state")
             == state)

    def ring(self):
        self.b.reply(180)
        self.stage("ringing")

    def answer(self):
        self.b.answer()
        self.b.expect("ACK")

    def ask(self, verb):
        assert boss(self.lab).post(f"/calls/{self.call}/{verb}").status == 200

    def in_the_join(self, start):
        """start() makes segue connect C and B; C has not answered the offer yet."""
        self.c.manual = {"INVITE"}
        start()
        self.offer = self.c.expect("INVITE", where=lambda m: m.sdp.port() == self.b.sdp.port)

    def answer_the_join(self):
        self.c.manual = set()
        self.c.reply(200, self.c.fitting(self.offer.sdp), req=self.offer)
        self.c.expect("ACK")

    def is_over(self, outcome, cause=None, after=None):
        """The one outcome, as everybody is told it; and the books of the conversation are closed."""
        got = wait("the transfer has ended", lambda: [
            t for t in [boss(self.lab).get(self.url).json] if t["outcome"]])[0]
        assert (got["outcome"], got["cause"]) == (outcome, cause), got
        self.events.wait("transfer", lambda d: d["id"] == self.id and d["outcome"] == outcome)
        led = self.lab.ledger(self.c)  # sums, contiguous intervals, no open segment or transfer
        self.events.wait("call_gone", lambda d: d["id"] == self.call, timeout=45)
        told = [e.data for e in self.events.events if e.name == "transfer" and e.data["id"] == self.id]
        ended = [d["outcome"] for d in told if d["stage"] == "ended"]
        assert ended == [outcome], told
        assert told[-1]["stage"] == "ended", told
        mine = [t for t in led.transfers if t["id"] == self.id]
        assert [(t["outcome"], t["cause"]) for t in mine] == [(outcome, cause)], led
        at = [t["type"] for t in led.timeline if t["transfer_id"] == self.id]
        final = [t for t in at if t.rsplit("_", 1)[0] in ("transfer",) and t.rsplit("_", 1)[1] in
                 ("completed", "failed", "cancelled", "abandoned", "recalled")]
        assert final == ["transfer_" + outcome], at
        return led


# ---- how far the transfer has come ------------------------------------------------------------------


def asked(lab):
    s = Scene(lab)
    s.b.reply(100)
    return s


def ringing(lab):
    s = Scene(lab)
    s.ring()
    return s


def joining(lab):
    s = ringing(lab)
    s.in_the_join(s.answer)
    return s


def consult_ringing(lab):
    s = Scene(lab, "consult")
    s.ring()
    return s


def consulting(lab):
    s = consult_ringing(lab)
    s.answer()
    joined(s.a, s.b)
    s.row("CONSULT")
    return s


def swapped(lab):
    s = consulting(lab)
    s.ask("swap")
    joined(s.c, s.a)
    s.row("ASIDE")
    return s


def completing(lab):
    s = consulting(lab)
    s.in_the_join(lambda: s.ask("complete"))
    return s


# ---- what comes of it -------------------------------------------------------------------------------


def customer_left_all(s):
    """Nobody has anybody to talk with: the target's phone stops, the agent is free."""
    s.c.hangup()
    s.b.expect("CANCEL")
    s.a.expect("BYE")
    s.is_over("abandoned", "caller_left")


def customer_left_join(s):
    s.c.bye().expect(200, method="BYE")
    s.b.expect("BYE")
    s.a.expect("BYE")
    s.is_over("abandoned", "caller_left")


def customer_left_two(s):
    """The agent and the target talk on, in a conversation of their own."""
    s.c.hangup()
    joined(s.a, s.b)
    end(s.a, s.b)
    s.is_over("abandoned", "caller_left")


def agent_left_rings_on(s):
    """The customer waits with us, and is joined when the target answers."""
    s.a.hangup()
    s.answer()
    joined(s.c, s.b)
    end(s.c, s.b)
    led = s.is_over("completed")
    assert led.segment(s.target.user)["outcome"] == "completed", led


def agent_left_join(s):
    s.a.hangup()
    s.answer_the_join()
    hears(s.c, s.b)
    s.row("TALK")
    end(s.c, s.b)
    s.is_over("completed")


def agent_left_consult(s):
    """The customer is not dropped: who hung up is rung once more (E-097)."""
    s.a.hangup()
    s.b.expect("BYE")
    back = s.agent.incoming()
    back.answer()
    back.expect("ACK")
    joined(s.c, back)
    end(s.c, back)
    led = s.is_over("cancelled")
    assert all(t["outcome"] for t in led.transfers), led


def target_declined(s):
    s.b.reply(603)
    joined(s.c, s.a)
    s.row("TALK")
    end(s.c, s.a)
    s.is_over("failed", "declined")


def target_left_consult(s):
    s.b.hangup()
    joined(s.c, s.a)
    s.row("TALK")
    end(s.c, s.a)
    s.is_over("failed", "declined")


def target_left_join(s):
    """Answered and gone before the customer heard anything: back to the agent (E-032)."""
    s.b.bye().expect((200, 481), method="BYE")
    s.answer_the_join()
    joined(s.c, s.a)
    s.row("TALK")
    end(s.c, s.a)
    s.is_over("failed", "unreachable")


MATRIX = {
    asked: ("the target was asked", customer_left_all, agent_left_rings_on, target_declined),
    ringing: ("the target rings", customer_left_all, agent_left_rings_on, target_declined),
    joining: ("the join goes on", customer_left_join, agent_left_join, target_left_join),
    consult_ringing: ("a consulted target rings", customer_left_all, agent_left_rings_on, target_declined),
    consulting: ("agent and target talk", customer_left_two, agent_left_consult, target_left_consult),
    swapped: ("the agent has swapped back", customer_left_two, agent_left_consult, target_left_consult),
    completing: ("a consultation is completed", customer_left_join, agent_left_join, target_left_join),
}

for _point, (_when, *_whats) in MATRIX.items():
    for _who, _what in zip(("customer", "agent", "target"), _whats):
        def _case(lab, point=_point, what=_what):
            what(point(lab))
        tap.case(f"{_when}: the {_who} leaves")(_case)


# ---- queues -----------------------------------------------------------------------------------------


def wait_in(lab, desk):
    c = lab.trunk().invite(desk.number)
    c.expect(180, method="INVITE")
    call = boss(lab).call_of(c)["id"]
    return c, call


def left(lab, c, call, outcome):
    led = lab.ledger(c)
    assert led.conversation["outcome"] == outcome, led
    wait("the call has gone", lambda: boss(lab).get("/calls/" + call).status == 404, 45)
    return led


@tap.case("a queue, nobody is free: the customer leaves: abandoned, and the place is free")
def queue_customer(lab):
    busy = lab.phone()
    desk = Desk(lab, busy)
    c2, a2 = talk(lab, busy)
    c, call = wait_in(lab, desk)
    c.cancel()
    c.expect(487, method="INVITE")
    led = left(lab, c, call, "abandoned")
    assert led.segment(desk.name)["outcome"] == "abandoned", led
    assert desk.look()["queue"]["waiting"] == 0
    end(c2, a2)


@tap.case("a queue, the agent's phone rings: the customer leaves: it stops, the agent is free at once")
def offer_customer(lab):
    one = lab.phone()
    desk = Desk(lab, one)
    c, call = wait_in(lab, desk)
    a = one.incoming()
    a.reply(180)
    c.cancel()
    a.expect("CANCEL")
    led = left(lab, c, call, "abandoned")
    assert led.segment(one.user)["outcome"] == "cancelled_caller_left", led
    wait("free", lambda: agent(lab, one)["state"] == "free")


@tap.case("a queue, the agent's phone rings: the agent declines: the customer keeps the place, the next is rung")
def offer_agent(lab):
    one, two = lab.phone(), lab.phone()
    desk = Desk(lab, one, two, levels=True)
    c, call = wait_in(lab, desk)
    one.incoming().reply(603)
    b = two.incoming()
    b.reply(180)
    row = boss(lab).get("/calls/" + call).json
    assert row["state"] == "queued" and row["queue"]["position"] == 1, row
    b.answer()
    c.expect(200, method="INVITE")
    c.ack()
    b.expect("ACK")
    end(c, b)
    led = left(lab, c, call, "answered")
    assert [(s["who"], s["outcome"]) for s in led.segments] == [
        (desk.name, "answered"), (one.user, "declined"), (two.user, "completed")], led


@tap.case("a queue after a transfer: the customer leaves there: the transfer was completed, the wait abandoned")
def queue_after_transfer(lab):
    busy = lab.phone()
    desk = Desk(lab, busy)
    c2, a2 = talk(lab, busy)
    with boss(lab).events() as events:
        events.wait("snapshot")
        c, a = talk(lab)
        call = boss(lab).call_of(c)["id"]
        got = boss(lab).post(f"/calls/{call}/transfer", {"number": desk.number})
        assert got.status == 201, got
        a.expect("BYE")
        wait("it waits", lambda: boss(lab).get("/calls/" + call).json["state"] == "queued")
        c.hangup()
        led = lab.ledger(c)
        events.wait("call_gone", lambda d: d["id"] == call, timeout=45)
        ended = [e.data["outcome"] for e in events.events
                 if e.name == "transfer" and e.data["id"] == got.json["id"] and e.data["stage"] == "ended"]
    assert ended == ["completed"], ended
    assert [t["outcome"] for t in led.transfers] == ["completed"], led
    assert led.segment(desk.name)["outcome"] == "abandoned", led
    end(c2, a2)


if __name__ == "__main__":
    tap.main(lambda: WebLab(t={"ring": 60000, "join": 60000}), jobs=4)
