"""Opening hours of queues on the wire: who comes to a queue that is closed, and who is in it when it closes."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from desk import Desk
from flows import end, joined, pick_up, refer, talk, wait
from segued import Lab


@tap.case("closed: a caller from outside hears 480, though an agent is free; with overflow that is rung at once")
def dialled(lab):
    a, b = lab.phone(), lab.phone()
    desk, other = Desk(lab, a), Desk(lab, a, overflow=[("user", b.user)])
    desk.close()
    other.close()
    c = lab.trunk().invite(desk.number)
    c.expect(480)
    ledger = lab.ledger(c)
    assert [(s["kind"], s["who"], s["outcome"]) for s in ledger.segments] == [("queue", desk.name, "closed")], ledger
    assert [t["data"]["cause"] for t in ledger.timeline if t["type"] == "queue_overflow"] == ["closed"], ledger
    d = lab.trunk().invite(other.number)
    x = b.incoming()
    pick_up(d, x)
    end(d, x)
    assert [(s["who"], s["outcome"]) for s in lab.ledger(d).segments] == [
        (other.name, "closed"), (b.user, "completed")], lab.ledger(d)


@tap.case("closed: REFER is answered 480 and a command refused, and the agent keeps the customer")
def transferred(lab):
    a, b = lab.phone(), lab.phone()
    desk = Desk(lab, b, overflow=[("user", b.user)])
    desk.close()
    c, x = talk(lab, a)
    x.refer(lab.refer_to(desk.number))
    r = x.expect(480, method="REFER")
    assert "The queue is closed" in r.start, r.start
    call = lab.conversation(c, final=False)["call"]
    for verb in ("transfer", "consult"):
        assert "The queue is closed" in lab.seguectl(verb, call, desk.number, ok=False)
    desk.hours("delete from segue.queue_exceptions where queue = Q", None)
    refer(lab, x, desk.number)
    y = b.incoming()
    y.answer()
    joined(c, y)
    end(c, y)
    led = lab.ledger(c)
    assert [(t["outcome"], t["cause"]) for t in led.transfers] == [("failed", "closed")] * 3 + [
        ("completed", None)], led
    wait("the audit says why", lambda: len(lab.rows(
        f"select 1 from segue.audit where object = '{desk.number}' and result = 'refused' and why = 'closed'")) == 3)


@tap.case("who waits when it closes stays and is answered; who comes then is not taken, until it opens again")
def closes(lab):
    a = lab.phone()
    desk = Desk(lab, a)
    c = lab.trunk().invite(desk.number)
    x = a.incoming()
    x.reply(180)
    desk.close()
    d = lab.trunk().invite(desk.number)
    d.expect(480)
    pick_up(c, x)
    end(c, x)
    assert [(s["who"], s["outcome"]) for s in lab.ledger(c).segments] == [
        (desk.name, "answered"), (a.user, "completed")], lab.ledger(c)
    text = lab.seguectl("queue", desk.name)
    assert "Hours        closed, opens " in text, text
    assert [line.split()[2] for line in lab.seguectl("queues").splitlines() if line.startswith(desk.name + " ")] == \
        ["closed"]
    desk.hours("delete from segue.queue_exceptions where queue = Q; insert into segue.queue_hours "
               "select Q, d, '00:00', '24:00' from generate_series(1, 7) d", False)
    assert "Hours        open" in lab.seguectl("queue", desk.name)
    e = lab.trunk().invite(desk.number)
    y = a.incoming()
    pick_up(e, y)
    end(e, y)


if __name__ == "__main__":
    tap.main(lambda: Lab(users=20, peers=10))
