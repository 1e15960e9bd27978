"""Queues and agents on the wire: rules of the directory, what agents choose, what seguectl shows."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from desk import CODES, Desk, agent, show, wraps_up
from flows import end, joined, pick_up, refer, ring, talk, wait
from segued import Lab

@tap.case("a caller hears it ring, is offered to an agent, and joined; the rows say how long it took")
def answered(lab):
    a = lab.phone()
    desk = Desk(lab, a)
    c = lab.trunk().invite(desk.number)
    b = a.incoming()
    b.reply(180)
    c.expect(180)
    look = desk.look()
    assert [(w["position"], w["offered"]) for w in look["callers"]] == [(1, a.user)], look
    pick_up(c, b)
    wait("they talk", lambda: agent(lab, a)["state"] == "talking")
    end(c, b)
    ledger = lab.ledger(c)
    assert [(s["kind"], s["who"], s["outcome"]) for s in ledger.segments] == [
        ("queue", desk.name, "answered"), ("agent", a.user, "completed")], str(ledger)
    assert desk.look()["queue"]["answered"] == 1


@tap.case("example 7: a transfer to a queue, one declines, the next answers: answered_by names that one")
def answered_by(lab):
    a, b, d = lab.phone(), lab.phone(), lab.phone()
    desk = Desk(lab, b, d, levels=True, wrapup_ms=2000)
    c, x = talk(lab, a)
    refer(lab, x, desk.number)
    first = b.incoming()
    first.reply(486)
    second = d.incoming()
    second.answer()
    joined(c, second)
    end(c, second)
    wraps_up(lab, d)
    led = lab.ledger(c)
    t = led.transfers[0]
    assert (t["outcome"], t["target"], t["answered_by"]) == ("completed", desk.name, d.user), t
    assert led.segment(b.user)["outcome"] == "busy" and led.segment(desk.name)["outcome"] == "answered"
    wait("free again", lambda: agent(lab, d)["state"] == "free")
    wait("the wrap-up is on its visit", lambda: 1900 <= (lab.rows(
        f"select acw_ms from segue.segments where who = '{d.user}'")[0]["acw_ms"] or 0) < 4000)


@tap.case("phone codes: away with a reason, logged out, available; stored, and shown on the phone")
def codes(lab):
    a = lab.phone()
    Desk(lab, a)
    for number, text, intent, reason in (("*627", "You are away", "away", "7"),
                                         ("*63", "You are logged out", "logged_out", None),
                                         ("*61", "You take calls", "available", None)):
        r = a.invite(number).expect(480)
        assert text in r.start, r.start
        assert agent(lab, a)["intent"] == intent
        wait("it is stored", lambda: lab.rows(
            "select intent, reason, via, set_by from segue.agent_states where user_name = "
            f"'{a.user}'") == [{"intent": intent, "reason": reason, "via": "sip", "set_by": a.user}])
    assert lab.rows(f"select 1 from segue.conversations where source = '{a.user}'") == []


@tap.case("seguectl sets and shows what agents want, and says what is wrong")
def by_ctl(lab):
    a = lab.phone()
    desk = Desk(lab, a)
    lab.seguectl("agent", a.user, "away", "lunch")
    line = next(x for x in lab.seguectl("agents").splitlines() if x.startswith(a.user))
    assert "away (lunch)" in line and desk.name in line, line
    text = lab.seguectl("queue", desk.name)
    assert "by all that a caller has waited in queues during the call" in text, text
    assert "Agents       1 away" in text, text
    assert "Overflow     after 30:00: the fallback chain" in text, text
    assert desk.name in lab.seguectl("queues")
    lab.seguectl("agent", a.user, "available")
    wait("free", lambda: desk.ready(1))
    for words, why in ((("agent", "nobody", "away"), "No such user"),
                       (("agent", a.user, "asleep"), "expected available, away or logout"),
                       (("agent", a.user, "logout", "lunch"), "only away has one"),
                       (("agent", a.user, "away", "x" * 40), "at most 31 bytes"),
                       (("queue", "nowhere"), "no queue `nowhere'")):
        p = lab.seguectl(*words, ok=False)
        assert why in p, (words, p)


@tap.case("seguectl queue: where callers are sent on to and after how long, and how the transferred are placed")
def listing(lab):
    a, b = lab.phone(), lab.phone()
    desk = Desk(lab, a)
    other = Desk(lab, a, max_wait_ms=45000, max_length=7, keep_wait=False, boost_ms=90000,
                 overflow=[("queue", desk.name), ("user", b.user), ("announcement", "0777")])
    text = lab.seguectl("queue", other.name)
    assert (f"Overflow     after 0:45, or when 7 wait: queue {desk.name}, then user {b.user}, then "
            "announcement 0777, then the fallback chain") in text, text
    assert "by what a caller has waited here; who was transferred is placed 1:30 ahead" in text, text
    assert other.look()["queue"]["overflow"][1] == {"kind": "user", "target": b.user}, other.look()


@tap.case("SIGHUP: another queue.max_wait and queue.ring hold for who waits and what rings already")
def reload_waiting(lab):
    with Lab(users=6, peers=2, conf='queue: { max_wait = "10m"; ring = "5m"; };') as own:
        a, b = own.phone(), own.phone()
        desk = Desk(own, a, overflow=[("user", b.user)])
        c = own.trunk().invite(desk.number)
        x = a.incoming()
        x.reply(180)
        c.expect(180)
        text = open(own.conf).read()

        def now(old, new):
            mark = own.daemon.mark()
            with open(own.conf, "w") as f:
                f.write(text.replace(old, new))
            own.daemon.proc.send_signal(1)
            own.daemon.wait_log("reloaded", since=mark)

        assert desk.look()["queue"]["limit_ms"] == 600000, desk.look()
        now('ring = "5m"', 'ring = "1s"')
        x.expect("CANCEL")  # of the first offer; the retry delay is longer than this case
        now('max_wait = "10m"', 'max_wait = "1s"')
        y = b.incoming()
        pick_up(c, y)
        end(c, y)
        led = own.ledger(c)
        assert [(s["kind"], s["outcome"]) for s in led.segments][:2] == [
            ("queue", "timeout"), ("agent", "no_answer")], led


@tap.case("a row of agent_states written by hand counts at once; segue's own rows are no echo")
def by_hand(lab):
    a = lab.phone()
    desk = Desk(lab, a)
    lab.seguectl("agent", a.user, "away")
    wait("stored", lambda: lab.rows("select 1 from segue.agent_states where intent = 'away' and "
                                    f"user_name = '{a.user}'"))
    lab.sql(f"update segue.agent_states set intent = 'available' where user_name = '{a.user}'")
    wait("free", lambda: desk.ready(1))
    assert agent(lab, a)["intent"] == "available"


@tap.case("E-110 nobody is logged in: the caller overflows at once, to where the directory says")
def nobody(lab):
    a, b = lab.phone(), lab.phone()
    desk = Desk(lab, a)
    lab.sql(f"insert into segue.queue_overflow values ('{desk.name}', 1, 'user', '{b.user}')")
    lab.seguectl("agent", a.user, "logout")
    c, x = ring(lab.trunk(), desk.number, b)
    pick_up(c, x)
    end(c, x)
    assert a.count("INVITE") == 0
    assert "queue_overflow" in lab.ledger(c).types()


@tap.case("E-109 a phone that does not answer OPTIONS is unreachable for queues until it does")
def silent_phone(lab):
    a = lab.phone()
    Desk(lab, a)
    m = a.expect("OPTIONS")
    assert m.from_tag and not m.to_tag and m.uri == a.contact, m
    mark = lab.daemon.mark()
    a.drop = lambda m: True
    lab.daemon.wait_log(f"contact_silent.*user={a.user}", since=mark)
    wait("unreachable", lambda: agent(lab, a)["state"] == "unreachable")
    a.drop = None
    lab.daemon.wait_log(f"contact_answers.*user={a.user}", since=mark)
    wait("free", lambda: agent(lab, a)["state"] == "free")
    a.register(expires=0, contacts=["*"])


@tap.case("what agents chose survives kill -9, also while the database had not heard of it")
def restart(lab):
    with Lab(users=6, peers=2, conf=CODES) as own:
        a, b = own.phone(), own.phone()
        Desk(own, a, b)
        own.seguectl("agent", a.user, "away", "lunch")
        own.cluster.psql("alter table segue.agent_states rename to hidden", own.db)
        own.seguectl("agent", b.user, "logout")
        own.daemon.kill()
        own.cluster.psql("alter table segue.hidden rename to agent_states", own.db)
        own.restart()
        wait("both are as they were", lambda: [(x["intent"], x["reason"]) for x in sorted(
            show(own, "agents")["agents"], key=lambda x: x["user"])] == [
            ("away", "lunch"), ("logged_out", "")])


@tap.case("the directory changes while callers wait: a new member is asked, one who is none any more is not, the "
          "longest wait is the new one")
def changed_meanwhile(lab):
    a, b = lab.phone(), lab.phone()
    desk = Desk(lab, a, retry_ms=1000)
    busy = talk(lab, a)
    c, d = (lab.trunk().invite(desk.number) for _ in range(2))
    c.expect(180)
    d.expect(180)
    wait("both wait", lambda: desk.look()["queue"]["waiting"] == 2)
    first, other = (c, d) if desk.look()["callers"][0]["call"] == lab.conversation(c, final=False)["call"] \
        else (d, c)
    lab.sql(f"insert into segue.queue_members (queue, user_name) values ('{desk.name}', '{b.user}')")
    x = b.incoming()
    pick_up(first, x)
    lab.sql(f"delete from segue.queue_members where user_name = '{a.user}'")
    wait("only the new one is left", lambda: desk.look()["queue"]["members"] == 1)
    end(*busy)
    a.expect_none("INVITE", 0.3)
    lab.sql(f"update segue.queues set max_wait_ms = 1000 where name = '{desk.name}'")
    other.expect(408, method="INVITE")
    led = lab.ledger(other)
    assert [(s["who"], s["outcome"]) for s in led.segments] == [(desk.name, "timeout")], led
    end(first, x)


@tap.case("skills: who has what the queue asks for is rung first, who misses a level when the caller has waited "
          "widen_ms, who is below the floor never")
def skills(lab):
    a, b, d = lab.phone(), lab.phone(), lab.phone()
    desk = Desk(lab, d, b, a, widen_ms=1500, retry_ms=60000)
    lab.sql(f"insert into segue.queue_skills (queue, skill, level, floor) values ('{desk.name}', 'german', 3, 2);"
            "insert into segue.user_skills (user_name, skill, level) values " + ", ".join(
                f"('{x.user}', 'german', {level})" for x, level in ((a, 3), (b, 2), (d, 1))))
    lab.sql(f"update segue.queues set max_length = 9 where name = '{desk.name}'")
    wait("the directory is known", lambda: desk.look()["queue"]["max_length"] == 9)
    c = lab.trunk().invite(desk.number)
    a.incoming().reply(486)
    x = b.incoming()
    pick_up(c, x)
    d.expect_none("INVITE", 0.3)
    end(c, x)
    led = lab.ledger(c)
    assert [(s["who"], s["outcome"]) for s in led.segments] == [
        (desk.name, "answered"), (a.user, "busy"), (b.user, "completed")], led
    assert led.segment(desk.name)["wait_ms"] >= 1500, led


@tap.case("a queue's rules are changed while it is in use: a retry delay and a wrap-up that run end by the new rule; "
          "strategy, service level, longest queue and overflow hold from then on")
def rules_changed(lab):
    a, b, u = lab.phone(), lab.phone(), lab.phone()
    desk = Desk(lab, a, b, levels=True, retry_ms=600000, wrapup_ms=600000)

    def now(**rules):
        lab.sql(f"update segue.queues set {', '.join(f'{k} = {v!r}' for k, v in rules.items())} "
                f"where name = '{desk.name}'")

    c = lab.trunk().invite(desk.number)
    a.incoming().reply(486)
    b.incoming().reply(486)
    now(retry_ms=1000)
    x = a.incoming()
    pick_up(c, x)
    end(c, x)
    wait("in wrap-up", lambda: agent(lab, a)["state"] == "wrapup")
    now(wrapup_ms=0, strategy="fewest_calls", service_ms=7000, max_length=3)
    wait("free", lambda: desk.ready(2))
    look = desk.look()["queue"]
    assert (look["strategy"], look["service_ms"], look["max_length"]) == ("fewest_calls", 7000, 3), look
    lab.sql(f"update segue.queue_members set level = 1 where queue = '{desk.name}'")
    c = lab.trunk().invite(desk.number)
    y = b.incoming()  # he has answered nobody yet
    pick_up(c, y)
    end(c, y)
    lab.sql(f"insert into segue.queue_overflow values ('{desk.name}', 1, 'user', '{u.user}')")
    wait("it is known", lambda: desk.look()["queue"]["overflow"] == [{"kind": "user", "target": u.user}])
    for x in a, b:
        lab.seguectl("agent", x.user, "logout")
    c = lab.trunk().invite(desk.number)
    z = u.incoming()
    pick_up(c, z)
    end(c, z)
    assert [(s["who"], s["outcome"]) for s in lab.ledger(c).segments] == [
        (desk.name, "empty"), (u.user, "completed")]


@tap.case("leave_empty is set while a caller waits for nobody: sent on at once")
def rule_changed_meanwhile(lab):
    a = lab.phone()
    desk = Desk(lab, a, join_empty="never", leave_empty="never")
    lab.seguectl("agent", a.user, "logout")
    c = lab.trunk().invite(desk.number)
    c.expect(180)
    lab.sql(f"update segue.queues set leave_empty = 'logged_out' where name = '{desk.name}'")
    c.expect(480, method="INVITE")
    assert [(s["who"], s["outcome"]) for s in lab.ledger(c).segments] == [(desk.name, "empty")]


@tap.case("offers that were not taken set away, each reason for itself; one that was withdrawn does not count")
def set_away(_):
    with Lab(users=6, peers=6, conf=CODES.replace("queue: {", "queue: { away_after = 2;")) as own:
        a = own.phone()
        desk = Desk(own, a, retry_ms=1000)
        c = own.trunk().invite(desk.number)
        a.incoming().reply(603)
        a.incoming().reply(486)
        y = a.incoming()
        y.reply(180)
        look = agent(own, a)
        assert (look["intent"], look["missed"]) == ("available", 2), look
        c.cancel()
        y.expect("CANCEL")
        c.expect(487, method="INVITE")
        wait("free: what the caller ended was not missed", lambda: agent(own, a)["state"] == "free")
        d = own.trunk().invite(desk.number)
        a.incoming().reply(486)
        wait("away, by the second that was busy", lambda: [
            (x["state"], x["reason"], x["intent_by"]) for x in [agent(own, a)]] == [("away", "busy", "segue")])
        d.cancel()
        d.expect(487, method="INVITE")
        rows = wait("it is stored", lambda: own.rows("select intent, reason, via from segue.agent_states"))
        assert rows == [{"intent": "away", "reason": "busy", "via": "system"}], rows
        offers = own.ledger(c).segments[1:]
        assert [s["outcome"] for s in offers] == ["declined", "busy", "cancelled_caller_left"], offers


@tap.case("after kill -9 agents are what directory, registrations and live legs say: away, free, talking")
def rebuilt(_):
    with Lab(users=8, peers=6, conf=CODES) as own:
        phones = [own.phone() for _ in range(4)]
        away, idle, busy, plain = phones
        desk = Desk(own, *phones[:3], levels=True, wrapup_ms=1500)
        Desk(own, plain)
        own.seguectl("agent", away.user, "away", "lunch")
        own.seguectl("agent", idle.user, "away")
        c, x = ring(own.trunk(), desk.number, busy)
        pick_up(c, x)
        wait("they talk", lambda: agent(own, busy)["state"] == "talking")
        own.seguectl("agent", idle.user, "available")
        d, y = talk(own, plain)  # no queue's call
        own.registered(*phones)
        own.daemon.kill()
        own.restart()
        wait("all is as it was", lambda: [agent(own, p)["state"] for p in phones] == [
            "away", "free", "talking", "talking"])
        assert agent(own, away)["reason"] == "lunch"
        e = own.trunk().invite(desk.number)
        z = idle.incoming()  # and whoever is free is asked, nobody else
        pick_up(e, z)
        end(c, x)
        wraps_up(own, busy)  # it was a queue's call
        end(d, y)
        wait("no queue's call has none", lambda: agent(own, plain)["state"] == "free")
        assert away.count("INVITE") == 0
        end(e, z)


@tap.case("RFC 3261 13.3.1.1 who waits unanswered is told again and again that it rings: in a queue, at a phone, "
          "reliably")
def told_again(_):
    with Lab(users=6, peers=4, conf=CODES, sip='progress = "1s";') as own:
        a, b = own.phone(), own.phone()
        desk = Desk(own, a)
        c = own.trunk().invite(desk.number)
        d, x = ring(own.trunk(), b.number, b)
        e = own.trunk().invite(desk.number, headers=[("Require", "100rel")])
        rseq = []
        for _ in range(3):
            c.expect(180)
            m = e.expect(180, where=lambda m: m.get("RSeq") not in rseq)  # not one that came again
            rseq.append(m.get("RSeq"))
            e.prack(m).expect(200, method="PRACK")
        rseq = list(map(int, rseq))
        assert rseq == list(range(rseq[0], rseq[0] + 3)), "each is a new one (R-020)"
        d.expect(180)
        d.expect(180)
        y = a.incoming()
        pick_up(c, y)
        end(c, y)
        z = a.incoming()
        pick_up(e, z)
        pick_up(d, x)
        told = [u.ua.count(180) for u in (c, d, e)]
        e.expect_none("BYE", 1.5)
        assert [u.ua.count(180) for u in (c, d, e)] == told, "told so after the answer"
        end(d, x)
        end(e, z)


if __name__ == "__main__":
    tap.main(lambda: Lab(users=60, peers=20, sip='qualify = "1s"; t1 = "100ms";', conf=CODES))
