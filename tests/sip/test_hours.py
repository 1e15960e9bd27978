"""Opening hours of queues on the wire: who comes to a queue that is closed, and who is in it when it closes."""
import os
import sys
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import pg
import tap
from desk import Desk, agent
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


def only_hours(lab, times):
    """Makes the copy of the directory say when these queues take callers: openings in seconds from now, and until
    when that is known."""
    now = time.time()
    us = lambda s: str(int((now + s) * 1000000))
    path = os.path.join(lab.dir, "directory")
    with open(path) as f:
        lines = [line.rstrip("\n").split("\t") for line in f]
    assert {f[1] for f in lines if f[0] == "hours"} == set(times), lines
    for f in lines:
        if f[0] == "hours":
            openings, known = times[f[1]]
            f[2:4] = [us(known), " ".join(us(a) + "-" + us(b) for a, b in openings)]
    with open(path, "w") as f:
        f.write("".join("\t".join(x) + "\n" for x in lines))


@tap.case("E-123 the database is away: queues open and close as was worked out, also under a segued that starts "
          "then; what comes after that is not known, and it says so")
def away(_):
    with Lab(cluster=pg.Cluster(), users=4, peers=8) as lab:
        a = lab.phone()
        desk = {name: Desk(lab, a) for name in ("open", "shut", "closes", "opens", "over")}
        for d in desk.values():
            if d is desk["open"]:
                d.hours("insert into segue.queue_hours select Q, d, '00:00', '24:00' from generate_series(1, 7) d",
                        False)
            else:
                d.close()

        def taken(name):
            c = lab.trunk().invite(desk[name].number)
            x = a.incoming()
            pick_up(c, x)
            end(c, x)
            wait("the agent is free", lambda: agent(lab, a)["state"] == "free")

        def refused(name):
            lab.trunk().invite(desk[name].number).expect(480)

        def closed(name):
            return desk[name].look()["queue"]["hours"]["closed"]

        mark = lab.daemon.mark()
        lab.cluster.stop()
        lab.daemon.wait_log(" directory_away .*the last copy stays in use", since=mark)
        taken("open")
        refused("shut")
        lab.daemon.stop()
        day = 86400
        only_hours(lab, {desk["open"].name: ([(-3600, 3600)], day), desk["shut"].name: ([(3600, 7200)], day),
                         desk["closes"].name: ([(-3600, 12), (day, day + 3600)], 2 * day),
                         desk["opens"].name: ([(12, 7200)], day), desk["over"].name: ([], 12)})
        lab.restart()
        a.register()
        wait("the agent is free", lambda: agent(lab, a)["state"] == "free")
        taken("open")
        refused("shut")
        wait("it closes", lambda: closed("closes"), 30)
        refused("closes")
        wait("it opens", lambda: not closed("opens"), 30)
        taken("opens")
        lab.daemon.wait_log(f' queue_hours_over queues={desk["over"].name} .*they count as open')
        wait("its hours are over", lambda: "not known since" in lab.seguectl("queue", desk["over"].name), 30)
        taken("over")
        lab.cluster.start()
        wait("what is in the tables holds again", lambda: closed("over") and closed("opens"), 30)
        refused("over")


if __name__ == "__main__":
    tap.main(lambda: Lab(users=20, peers=10))
