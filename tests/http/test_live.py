"""The HTTP interface with real calls behind it: what lives, what is done to it, what is pushed."""
import contextlib
import hashlib
import json
import math
import os
import re
import socket
import sys
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from desk import Desk
from flows import end, joined, pick_up, ring, talk, wait
from web import Client, WebLab


CHANGES = ("call", "call_gone", "transfer", "timeline", "agent", "queue", "menu")  # what has a number


def boss(lab):
    """One session of the admin for all cases."""
    with lab.lock:
        if not hasattr(lab, "boss_session"):
            lab.boss_session = lab.login("boss")
    return lab.boss_session


@tap.case("calls: one that rings, one that talks, gone when it has ended")
def calls(lab):
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    row = boss(lab).call_of(c)
    assert row["state"] == "ringing" and row["with"] is None, row
    assert row["can"]["transfer"] == "not_answered" and row["can"]["hangup"] is True, row
    assert row["customer"]["number"] == c.ua.user and row["kind"] == "inbound", row
    pick_up(c, a)
    wait("it talks", lambda: boss(lab).call_of(c)["state"] == "talking")
    row = boss(lab).call_of(c)
    assert row["with"]["user"] == agent.user and row["can"]["transfer"] is True, row
    assert [s["who"] for s in row["segments"]] == [agent.user], row
    assert {p["role"] for p in row["parties"]} == {"kept", "owner"}, row
    listed = boss(lab).get("/calls?agent=" + agent.user).json
    assert listed["total"] == 1 and listed["calls"][0]["id"] == row["id"], listed
    end(c, a)
    wait("it has gone", lambda: boss(lab).get("/calls/" + row["id"]).status == 404, 45)


@tap.case("calls: found by state, agent, queue and number, each alone and together; what is no state is 400")
def call_filters(lab):
    agent, other, member = lab.phone(), lab.phone(), lab.phone()
    desk = Desk(lab, member)
    c, a = talk(lab, agent)
    c2, a2 = ring(lab.trunk(), other.number, other)
    c3 = lab.trunk().invite(desk.number)
    a3 = member.incoming()
    a3.reply(180)
    ids = [boss(lab).call_of(x)["id"] for x in (c, c2, c3)]
    wait("one talks", lambda: boss(lab).get("/calls/" + ids[0]).json["state"] == "talking")

    def found(query):
        got = boss(lab).get("/calls?" + query)
        assert got.status == 200 and got.json["total"] == len(got.json["calls"]), (query, got)
        return [x["id"] for x in got.json["calls"] if x["id"] in ids]

    for query, want in ((f"agent={agent.user}", [0]), (f"agent={agent.user}&state=talking", [0]),
                        (f"agent={agent.user}&state=ringing", []), ("state=ringing", [1]),
                        ("state=talking", [0]), ("state=queued", [2]), (f"queue={desk.name}", [2]),
                        (f"queue={desk.name}&state=talking", []), ("queue=nosuch", []),
                        (f"queue={desk.name}&agent={member.user}", [2]), ("agent=nobody", []),
                        ("number=%2B" + c2.ua.user[1:], [1]), ("number=" + c2.ua.user[-6:], [1]),
                        (f"number={c2.ua.user[-6:]}&agent={agent.user}", []), ("number=99999999", [])):
        assert found(query) == [ids[i] for i in want], (query, found(query), want)
    got = boss(lab).get("/calls?state=flying")
    assert got.status == 400 and got.json["error"]["field"] == "state", got
    end(c, a)
    for x in (c2, c3):
        x.cancel().expect(487, method="INVITE")


@tap.case("transfer: 201 with its URL, followed to its outcome; on record as asked by the panel")
def transfer(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    row = boss(lab).call_of(c)
    got = boss(lab).post(f"/calls/{row['id']}/transfer", {"number": target.number})
    assert got.status == 201, got
    assert got.json["asker"] == "boss" and got.json["via"] == "panel", got
    assert got.json["target"]["name"] == target.user and got.json["outcome"] is None, got
    url = got.headers["Location"]
    assert url == "/api/v1/transfers/" + got.json["id"], url
    b = target.incoming()
    b.reply(180)
    wait("it rings", lambda: boss(lab).get("/" + url).json["stage"] == "ringing")
    assert boss(lab).call_of(c)["state"] == "transferring"
    b.answer()
    b.expect("ACK")
    joined(c, b)
    a.expect("BYE")
    done = wait("it has ended", lambda: [t for t in [boss(lab).get("/" + url).json]
                                         if t["outcome"]])[0]
    assert done["outcome"] == "completed" and done["stage"] == "ended", done
    end(c, b)
    led = lab.ledger(c)
    assert led.transfers[0]["asked_via"] == "panel" and led.transfers[0]["asker"] == "boss", led


@tap.case("cancel: the agent has the customer back; a second cancel is 409 with the state")
def cancel(lab):
    c, a = talk(lab)
    target = lab.phone()
    call = boss(lab).call_of(c)["id"]
    assert boss(lab).post(f"/calls/{call}/transfer", {"number": target.number}).status == 201
    b = target.incoming()
    b.reply(180)
    assert boss(lab).post(f"/calls/{call}/cancel").status == 200
    b.expect("CANCEL")
    wait("they talk again", lambda: boss(lab).call_of(c)["state"] == "talking")
    joined(c, a)
    got = boss(lab).post(f"/calls/{call}/cancel")
    assert got.status == 409 and got.code == "conflict", got
    assert got.json["error"]["state"] == "talking", got
    assert got.json["error"]["call"]["id"] == call, got
    wait("a state that lasts has no deadline", lambda: boss(lab).call_of(c)["deadline"] is None)
    end(c, a)
    assert lab.ledger(c).transfers[0]["outcome"] == "cancelled"


@tap.case("hangup: both sides are hung up, ended by a command")
def hangup(lab):
    c, a = talk(lab)
    call = boss(lab).call_of(c)["id"]
    assert boss(lab).post(f"/calls/{call}/hangup").status == 200
    a.expect("BYE")
    c.expect("BYE")
    assert lab.ledger(c).conversation["ended_by"] == "command"


@tap.case("E-128 transfer of a call that rings, and of one that has ended: 409 with the state, 404")
def early_and_late(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    call = boss(lab).call_of(c)["id"]
    got = boss(lab).post(f"/calls/{call}/transfer", {"number": target.number})
    assert got.status == 409 and got.json["error"]["state"] == "ringing", got
    pick_up(c, a)
    end(c, a)
    wait("it has gone", lambda: boss(lab).get("/calls/" + call).status == 404, 45)
    got = boss(lab).post(f"/calls/{call}/transfer", {"number": target.number})
    assert got.status == 404 and got.code == "no_call", got


@tap.case("E-127 the same Idempotency-Key twice makes one transfer; without it, the second is 409")
def idempotent(lab):
    c, a = talk(lab)
    target = lab.phone()
    call = boss(lab).call_of(c)["id"]
    key = {"Idempotency-Key": "k-" + call}
    first = boss(lab).post(f"/calls/{call}/transfer", {"number": target.number}, headers=key)
    again = boss(lab).post(f"/calls/{call}/transfer", {"number": target.number}, headers=key)
    assert first.status == again.status == 201 and first.json["id"] == again.json["id"], again
    assert again.headers["Idempotency-Replayed"] == "true"
    other = boss(lab).post(f"/calls/{call}/transfer", {"number": "9999"}, headers=key)
    assert other.status == 400 and other.json["error"]["field"] == "Idempotency-Key", other
    second = boss(lab).post(f"/calls/{call}/transfer", {"number": target.number})
    assert second.status == 409 and second.json["error"]["state"] == "transferring", second
    b = target.incoming()
    b.answer()
    b.expect("ACK")
    a.expect("BYE")
    joined(c, b)
    end(c, b)
    assert len(lab.ledger(c).transfers) == 1


@tap.case("E-127 an Idempotency-Key outlives kill -9: told again, done once; one that was cut off says so")
def idempotent_over_restart(_):
    with WebLab(users=8, peers=1) as lab:
        agent, target = lab.phone(), lab.phone()
        c, a = talk(lab, agent)
        admin = lab.login("boss")
        call = admin.call_of(c)["id"]
        url, body, key = f"/calls/{call}/transfer", {"number": target.number}, {"Idempotency-Key": "k-1"}
        refused = admin.post(f"/calls/{call}/cancel", headers={"Idempotency-Key": "k-2"})
        assert refused.status == 409, refused
        first = admin.post(url, body, headers=key)
        assert first.status == 201, first
        target.incoming().reply(486)
        wait("the transfer has ended", lambda: admin.get(
            f"/transfers/{first.json['id']}").json["stage"] == "ended")
        joined(c, a)
        lab.daemon.kill()
        what = hashlib.sha256(f"POST /api/v1/calls/{call}/hold ".encode()).hexdigest()
        with open(lab.dir + "/answers", "a") as f:  # as if it had been killed before its answer
            f.write(json.dumps({"key": "boss k-3", "what": what,
                                "until": int((time.time() + 60) * 1e6)}) + '\n{"key": "bo')
        assert os.stat(lab.dir + "/answers").st_mode & 0o77 == 0
        lab.restart()
        wait("the call is seen", lambda: admin.get("/calls").json["calls"])
        again = admin.post(url, body, headers=key)
        assert (again.status, again.json) == (201, first.json), again
        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.headers["Location"] == first.headers["Location"]
        target.expect_none("INVITE", 0.2)
        again = admin.post(f"/calls/{call}/cancel", headers={"Idempotency-Key": "k-2"})
        assert (again.status, again.json) == (409, refused.json), again
        got = admin.post(url, {"number": "9"}, headers=key)
        assert got.status == 400 and got.json["error"]["field"] == "Idempotency-Key", got
        got = admin.post(f"/calls/{call}/hold", headers={"Idempotency-Key": "k-3"})
        assert (got.status, got.code) == (409, "cut_off"), got
        assert lab.login("sup").post(url, body, headers=key).headers["Idempotency-Replayed"] is None
        end(c, a)


@tap.case("E-127 an Idempotency-Key holds for every verb: done once, and of no use for another verb")
def idempotent_verbs(lab):
    c, a = talk(lab)
    call = boss(lab).call_of(c)["id"]
    for verb, body in (("hold", None), ("unhold", None), ("note", {"text": "once"}), ("cancel", None)):
        key = {"Idempotency-Key": f"{verb} {call}"}
        first, again = [boss(lab).post(f"/calls/{call}/{verb}", body, headers=key) for _ in range(2)]
        assert first.status == again.status == (409 if verb == "cancel" else 200), (verb, first, again)
        assert first.body == again.body, (verb, first, again)
        assert again.headers["Idempotency-Replayed"] == "true", (verb, again)
        other = boss(lab).post(f"/calls/{call}/hangup", headers=key)
        assert other.status == 400 and other.json["error"]["field"] == "Idempotency-Key", (verb, other)
    joined(c, a)
    end(c, a)
    assert lab.ledger(c).types().count("note") == 1


@tap.case("events: a snapshot, then the call from ringing to gone, the transfer in between")
def events(lab):
    agent, target = lab.phone(), lab.phone()
    with boss(lab).events() as ev:
        first = ev.wait("snapshot")
        assert {a["user"] for a in first.data["agents"]} >= {agent.user, "boss"}, first
        c, a = ring(lab.trunk(), agent.number, agent)
        mine = lambda d: d["customer"]["number"] == c.ua.user
        row = ev.wait("call", lambda d: mine(d) and d["state"] == "ringing").data
        pick_up(c, a)
        ev.wait("call", lambda d: mine(d) and d["state"] == "talking" and d["with"])
        ev.wait("agent", lambda d: d["user"] == agent.user and d["state"] == "talking")
        ev.wait("timeline", lambda d: d["call"] == row["id"] and d["type"] == "answered")
        boss(lab).post(f"/calls/{row['id']}/transfer", {"number": target.number})
        b = target.incoming()
        b.reply(180)
        ev.wait("transfer", lambda d: d["call"] == row["id"] and d["stage"] == "ringing")
        b.answer()
        b.expect("ACK")
        a.expect("BYE")
        ev.wait("transfer", lambda d: d["call"] == row["id"] and d["outcome"] == "completed")
        ev.wait("call", lambda d: mine(d) and d["with"] and d["with"]["user"] == target.user)
        joined(c, b)
        end(c, b)
        ev.wait("call_gone", lambda d: d["id"] == row["id"] and d["why"] == "ended", timeout=45)


@tap.case("E-129 events: Last-Event-ID resumes without a gap; an unknown one begins anew")
def resume(lab):
    agent = lab.phone()
    with boss(lab).events() as ev:
        ev.wait("snapshot")
        c, a = ring(lab.trunk(), agent.number, agent)
        mine = lambda d: d["customer"]["number"] == c.ua.user
        ev.wait("call", mine)
        last = ev.last_id()
    pick_up(c, a)
    call = boss(lab).call_of(c)["id"]
    wait("it talks", lambda: boss(lab).call_of(c)["state"] == "talking")
    with boss(lab).events(last) as ev:
        ev.wait("resumed")
        ev.wait("call", lambda d: mine(d) and d["state"] == "talking")
        assert not [e for e in ev.events if e.name == "snapshot"], ev.events
    with boss(lab).events("0-17") as ev:
        first = ev.wait("snapshot").data
        assert [x["state"] for x in first["calls"] if x["id"] == call] == ["talking"], first
    end(c, a)


@tap.case("events: who resumes gets just what a listener who stayed got meanwhile, in order, nothing twice")
def no_gap(lab):
    number = lambda e: int(e.id.split("-")[1])
    with boss(lab).events() as stayed:
        stayed.wait("snapshot")
        c, a = talk(lab)
        call = boss(lab).call_of(c)["id"]
        is_it = lambda d: d["id"] == call
        with boss(lab).events() as ev:
            ev.wait("snapshot")
            assert boss(lab).post(f"/calls/{call}/hold").status == 200
            ev.wait("call", lambda d: is_it(d) and d["state"] == "held")
            last = ev.last_id()
        boss(lab).post(f"/calls/{call}/unhold")
        joined(c, a)
        target = lab.phone()
        boss(lab).post(f"/calls/{call}/transfer", {"number": target.number})
        target.incoming().reply(486)
        stayed.wait("transfer", lambda d: d["call"] == call and d["outcome"])
        stayed.wait("call", lambda d: is_it(d) and d["state"] == "talking" and d["transfer"] is None)
        end(c, a)
        gone = stayed.wait("call_gone", is_it, timeout=45)
        with boss(lab).events(last) as ev:
            ev.wait("resumed")
            ev.wait("call_gone", is_it)
            after = int(last.split("-")[1])
            seen, meant = ([(number(e), e.name, e.data) for e in x.events
                            if e.name in CHANGES and after < number(e) <= number(gone)] for x in (ev, stayed))
        assert seen == meant, (seen, meant)
        assert [n for n, _, _ in seen] == sorted({n for n, _, _ in seen}) and len(seen) > 5, seen


@tap.case("events: whoever comes to see other calls, by department, membership or role, gets a new snapshot")
def other_view(lab):
    agent = lab.phone()
    c, a = talk(lab, agent)
    call = boss(lab).call_of(c)["id"]
    lab.sql("insert into segue.users (name, number, role) values ('sup9', '3009', 'supervisor'); "
            "insert into segue.queues (name, number) values ('q9', '4009')")
    with lab.login("sup9").events() as ev:
        assert call not in [x["id"] for x in ev.wait("snapshot").data["calls"]]
        for change, seen in (
                (f"insert into segue.queue_members (queue, user_name) values ('q9', '{agent.user}'); "
                 "insert into segue.queue_supervisors values ('q9', 'sup9')", True),
                ("delete from segue.queue_members where queue = 'q9'", False),
                (f"insert into segue.queue_members (queue, user_name) values ('q9', '{agent.user}')", True),
                ("delete from segue.queue_supervisors where queue = 'q9'", False),
                ("update segue.users set role = 'admin' where name = 'sup9'", True)):
            mark = ev.mark()
            lab.sql(change)
            ev.wait("snapshot", lambda d: (call in [x["id"] for x in d["calls"]]) == seen, since=mark)
        mark = ev.mark()
        assert boss(lab).post(f"/calls/{call}/hold").status == 200
        last = ev.wait("call", lambda d: d["id"] == call and d["state"] == "held", since=mark).id
    sup9 = lab.login("sup9")
    lab.sql("update segue.users set role = 'supervisor' where name = 'sup9'")
    wait("the role is known", lambda: sup9.get("/me").json["role"] == "supervisor")
    with sup9.events(last) as ev:  # what it was told is not what it may see now
        assert call not in [x["id"] for x in ev.wait("snapshot").data["calls"]]
    end(c, a)


@tap.case("events: to a crowd, each state that lasts is told, and nothing is missed, also by who resumes")
def crowd(_):
    with WebLab(users=6, peers=1) as lab, contextlib.ExitStack() as crowd:
        admin = lab.login("boss")
        for _ in range(201):
            s = crowd.enter_context(socket.create_connection(("127.0.0.1", lab.http_port)))
            s.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nCookie: segue_session="
                      f"{admin.cookie}\r\n\r\n".encode())
        with admin.events() as stayed:
            stayed.wait("snapshot")
            wait("all of them listen", lambda: listeners(admin) == 202)
            with admin.events() as ev:
                ev.wait("snapshot")
                c, a = talk(lab)
                call = admin.call_of(c)["id"]
                is_it = lambda d: d["id"] == call
                ev.wait("call", lambda d: is_it(d) and d["state"] == "talking")
                last = ev.last_id()
            stayed.wait("call", lambda d: is_it(d) and d["state"] == "talking")
            assert admin.post(f"/calls/{call}/hold").status == 200
            held = stayed.wait("call", lambda d: is_it(d) and d["state"] == "held")
            with admin.events(last) as ev:
                ev.wait("resumed")
                assert ev.wait("call", lambda d: is_it(d) and d["state"] == "held").id == held.id
                mark = ev.mark(), stayed.mark()
                admin.post(f"/calls/{call}/unhold")
                joined(c, a)
                for x, since in zip((ev, stayed), mark):
                    x.wait("call", lambda d: is_it(d) and d["state"] == "talking", since=since)
                end(c, a)
                gone = [x.wait("call_gone", is_it, timeout=45) for x in (ev, stayed)]
                assert gone[0].id == gone[1].id, gone
                time.sleep(0.3)  # nothing comes after that: no time is long enough
                after = [e for e in stayed.events[stayed.events.index(gone[1]) + 1:]
                         if e.name == "call" and is_it(e.data)]
                assert not after, after


@tap.case("M8 targets: everybody is listed; who cannot take the call has the reason")
def targets(lab):
    agent, free, busy, gone = lab.phone(), lab.phone(), lab.phone(), lab.user()
    idle = lab.phone()
    c2, b2 = talk(lab, busy)
    c, a = talk(lab, agent)
    call = boss(lab).call_of(c)["id"]
    lab.sql(f"update segue.users set enabled = false where name = '{gone.user}'")
    lab.sql("insert into segue.users (name, display_name) values ('unplugged', 'No Phone') "
            "on conflict do nothing; insert into segue.queues (name, number) values ('hollow', '4013'); insert into segue.queue_members (queue, user_name) "
            f"values ('sales', '{idle.user}')")
    wait("the directory has it", lambda: not [
        x for x in boss(lab).get("/agents").json["agents"] if x["user"] == gone.user][0]["enabled"])
    wait("the agent can be away", lambda: boss(lab).post(
        f"/agents/{idle.user}/state", {"state": "away", "reason": "lunch"}).status == 200)
    wait("the directory has the other", lambda: "unplugged" in [
        x["user"] for x in boss(lab).get("/agents").json["agents"]] and "hollow" in [
        x["queue"] for x in boss(lab).get("/queues").json["queues"]])
    got = boss(lab).get(f"/calls/{call}/targets").json
    by = {t.get("user") or t.get("queue"): t for t in got["targets"]}
    assert by[free.user]["selectable"] and by[free.user]["reason"] is None, by[free.user]
    assert by[free.user]["dial"] == free.number, by[free.user]
    assert by[busy.user]["selectable"] and by[busy.user]["reason"] == "busy", by[busy.user]
    assert not by[agent.user]["selectable"] and by[agent.user]["reason"] == "self", by[agent.user]
    assert not by[gone.user]["selectable"] and by[gone.user]["reason"] == "disabled", by[gone.user]
    assert by["boss"]["reason"] == "unregistered", by["boss"]
    assert by["support"]["kind"] == "queue" and by["support"]["selectable"], by["support"]
    assert by["hollow"]["waiting"] == 0 and "estimate_ms" in by["hollow"], by["hollow"]
    assert by["hollow"]["reason"] == "empty" and not by["hollow"]["available"], by["hollow"]
    assert by[free.user]["available"] and not by[busy.user]["available"], by[busy.user]
    assert got["fallback"]["user"][0]["kind"] == "recall" and got["ring_ms"] == 6000, got
    assert by["unplugged"]["reason"] == "not_provisioned" and not by["unplugged"]["selectable"], by
    assert by[idle.user]["reason"] == "away" and by[idle.user]["selectable"], by[idle.user]
    one = boss(lab).get(f"/calls/{call}/targets?number=99887766").json["targets"]
    assert len(one) == 1 and not one[0]["selectable"] and one[0]["reason"] == "invalid_target", one
    lab.sql("insert into segue.ivrs (name, number, peer, dial) values ('hours', '7001', 'peer00', '7001')")
    menu = wait("the menu is there", lambda: [
        t for t in boss(lab).get(f"/calls/{call}/targets").json["targets"] if t.get("ivr") == "hours"])[0]
    assert menu["kind"] == "ivr" and menu["selectable"] and menu["dial"] == "7001", menu
    trunk = lab.trunk()
    one = boss(lab).get(f"/calls/{call}/targets?number={lab.outside(trunk, '030123')}").json
    assert one["targets"][0]["kind"] == "external" and one["targets"][0]["selectable"], one
    assert one["targets"][0]["class"] == "local", one
    end(c, a)
    end(c2, b2)


@tap.case("a queue that is closed: it is told with the time when it opens; as a target it is off, a transfer there refused")
def closed(lab):
    member, agent = lab.phone(), lab.phone()
    desk = Desk(lab, member)
    c, a = talk(lab, agent)
    call = boss(lab).call_of(c)["id"]
    with boss(lab).events() as ev:
        ev.wait("snapshot")
        desk.close()
        told = ev.wait("queue", lambda d: d["queue"] == desk.name and d["closed"]).data
    opens = lab.rows(f"select to_char(max(day) + 1, 'YYYY-MM-DD\"T00:00:00.000Z\"') as at "
                     f"from segue.queue_exceptions where queue = '{desk.name}'")[0]["at"]
    assert told["opens_at"] == opens and told["closes_at"] is None, (told, opens)
    assert told["time_zone"] == "UTC", told
    target = next(t for t in boss(lab).get(f"/calls/{call}/targets").json["targets"] if t.get("queue") == desk.name)
    assert not target["selectable"] and not target["available"] and target["reason"] == "closed", target
    assert target["opens_at"] == opens, target
    for kind in ("blind", "consult"):
        r = boss(lab).post(f"/calls/{call}/transfer", {"number": desk.number, "kind": kind})
        assert r.status == 403 and "The queue is closed" in r.json["error"]["message"], r
    assert boss(lab).call_of(c)["with"]["user"] == agent.user
    desk.hours("delete from segue.queue_exceptions where queue = Q", None)
    row = next(q for q in boss(lab).get("/queues").json["queues"] if q["queue"] == desk.name)
    assert (row["closed"], row["opens_at"], row["closes_at"]) == (False, None, None), row
    end(c, a)


@tap.case("a queue opens, and closes: whoever listens is told at that moment")
def by_the_clock(lab):
    member = lab.phone()
    desk = Desk(lab, member)
    mine = lambda d: d["queue"] == desk.name
    with boss(lab).events() as ev:
        ev.wait("snapshot")
        lab.sql("update segue.queues set time_zone = 'UTC' where name = '%s'; insert into segue.queue_hours "
                "select '%s', extract(isodow from at), at::time, (at + interval '15 s')::time "
                "from (select now() at time zone 'UTC' + interval '3 s' as at) x" % (desk.name, desk.name))
        first = ev.wait("queue", lambda d: mine(d) and (d["opens_at"] or d["closes_at"])).data
        if first["closed"]:  # if it was read in time
            first = ev.wait("queue", lambda d: mine(d) and not d["closed"]).data
        assert first["closes_at"] and first["opens_at"] > first["closes_at"], first
        last = ev.wait("queue", lambda d: mine(d) and d["closed"] and d["opens_at"] == first["opens_at"]).data
        assert last["closes_at"] is None, (first, last)


@tap.case("E-026 nobody answers: the transfer ends as failed, the caller is kept; retry elsewhere")
def retry(lab):
    c, a = talk(lab)
    first, second = lab.phone(), lab.phone()
    call = boss(lab).call_of(c)["id"]
    assert boss(lab).post(f"/calls/{call}/transfer", {"number": first.number}).status == 201
    b = first.incoming()
    b.reply(180)
    got = boss(lab).post(f"/calls/{call}/retry", {"number": second.number})
    assert got.status == 201 and got.json["target"]["name"] == second.user, got
    b.expect("CANCEL")
    b2 = second.incoming()
    b2.answer()
    b2.expect("ACK")
    joined(c, b2)
    a.expect("BYE")
    end(c, b2)
    assert [t["outcome"] for t in lab.ledger(c).transfers] == ["cancelled", "completed"]


@tap.case("hold and unhold: the customer is held by command, and hears the agent again")
def hold(lab):
    c, a = talk(lab)
    call = boss(lab).call_of(c)["id"]
    got = boss(lab).post(f"/calls/{call}/hold")
    assert got.status == 200, got
    wait("the customer is held", lambda: c.remote_sdp.dir() in ("sendonly", "inactive"))
    wait("the row says so", lambda: boss(lab).call_of(c)["state"] == "held")
    again = boss(lab).post(f"/calls/{call}/hold")
    assert again.status == 200 and again.json["can"]["hold"] == "held", again
    assert boss(lab).post(f"/calls/{call}/unhold").status == 200
    joined(c, a)
    wait("the row says so", lambda: boss(lab).call_of(c)["state"] == "talking")
    assert boss(lab).call_of(c)["can"]["unhold"] == "not_held"
    end(c, a)


@tap.case("E-085 two calls that meet by REFER with Replaces: one is left, with the visits of both")
def merged(lab):
    agent, target = lab.phone(), lab.phone()
    with boss(lab).events() as ev:
        ev.wait("snapshot")
        c, a = talk(lab, agent)
        call = boss(lab).call_of(c)["id"]
        a.reinvite(a.sdp.copy(dir="sendonly"))
        consult = agent.invite(target.number)
        b = target.incoming()
        b.reply(180)
        consult.expect(180)
        pick_up(consult, b)
        second = wait("there are two", lambda: [
            x for x in boss(lab).get(f"/calls?agent={target.user}").json["calls"]])[0]["id"]
        assert second != call
        a.refer(f"<sip:{target.number}@{lab.domain}?Replaces={consult.call_id}%3Bto-tag%3D"
                f"{consult.remote_tag}%3Bfrom-tag%3D{consult.local_tag}>")
        a.expect((202, 200), method="REFER")
        gone = ev.wait("call_gone", lambda d: d["why"] == "merged" and d["id"] in (call, second))
        left = call if gone.data["id"] == second else second
        assert gone.data["into"] == left, gone
        row = wait("it is one call", lambda: [
            x for x in [boss(lab).get("/calls/" + left).json] if x["state"] == "talking"])[0]
        assert row["with"]["user"] == target.user, row
        assert row["customer"]["number"] == c.ua.user, row
        assert [s["who"] for s in row["segments"]] == [agent.user, target.user, target.user], row
        assert [s["seq"] for s in row["segments"]] == [1, 2, 3], row
        assert boss(lab).get("/calls/" + gone.data["id"]).status == 404
    joined(c, b)
    consult.expect("BYE")
    a.expect("BYE")
    end(c, b)


@tap.case("what would need a mixer is 501 and says so")
def mixer(lab):
    c, a = talk(lab)
    call = boss(lab).call_of(c)["id"]
    for verb in ("conference", "whisper", "barge"):
        got = boss(lab).post(f"/calls/{call}/{verb}")
        assert got.status == 501 and "mixer" in got.json["error"]["message"], got
    end(c, a)


@tap.case("agent state: set by a supervisor of the department, not by another; the stream tells")
def agent_state(lab):
    agent = lab.phone()
    lab.sql(f"insert into segue.queue_members (queue, user_name) values ('support', '{agent.user}')")
    sup, other = lab.login("sup"), lab.login("sup2")
    wait("the agent is a member", lambda: "support" in [
        x for x in sup.get("/agents").json["agents"] if x["user"] == agent.user][0]["queues"])
    with sup.events() as ev:
        ev.wait("snapshot")
        got = sup.post(f"/agents/{agent.user}/state", {"state": "away", "reason": "lunch"})
        assert got.status == 200 and got.json["state"] == "away", got
        assert got.json["reason"] == "lunch" and got.json["intent_by"] == "sup", got
        ev.wait("agent", lambda d: d["user"] == agent.user and d["state"] == "away")
        ev.wait("queue", lambda d: d["queue"] == "support" and d["agents"]["away"] == 1)
    refused = other.post(f"/agents/{agent.user}/state", {"state": "available"})
    assert refused.status == 403 and refused.code == "not_yours", refused
    own = lab.login(agent.user).post(f"/agents/{agent.user}/state", {"state": "available"})
    assert own.status == 200 and own.json["state"] == "free", own
    bad = sup.post(f"/agents/{agent.user}/state", {"state": "asleep"})
    assert bad.status == 400 and bad.json["error"]["field"] == "state", bad
    assert sup.post("/agents/nobody/state", {"state": "away"}).status == 404


def member_of_support(lab):
    """Registered, and a member of the queue."""
    agent = lab.phone()
    lab.sql(f"insert into segue.queue_members (queue, user_name) values ('support', '{agent.user}')")
    wait("the agent is a member", lambda: "support" in [
        x for x in boss(lab).get("/agents").json["agents"] if x["user"] == agent.user][0]["queues"])
    return agent


@tap.case("events: news after a rest are told at once, not a round later")
def at_once(_):
    with WebLab(users=4, peers=1) as lab:
        agent = member_of_support(lab)
        with boss(lab).events() as ev:
            ev.wait("snapshot")

            quick = tries = 0
            deadline = time.monotonic() + 60
            # not each, as the machine has other work, too; but far more than the quarter that would be as
            # quick by chance if each were told a round later
            while quick - tries / 4 <= 5 * math.sqrt(tries * 3 / 16):
                assert time.monotonic() < deadline, (quick, tries)
                state = ("away", "available")[tries % 2]
                time.sleep(0.1)  # the rest: some rounds long
                mark = ev.mark()
                assert boss(lab).post(f"/agents/{agent.user}/state", {"state": state}).status == 200
                answered = time.monotonic()
                ev.wait("agent", lambda d: d["user"] == agent.user and d["intent"] == state, since=mark)
                quick += time.monotonic() - answered < 0.005  # a round lasts 20 ms: of it this is a quarter
                tries += 1


@tap.case("events: what follows quickly waits: there are no more rounds in a second than before")
def rounds(_):
    with WebLab(users=4, peers=1) as lab:
        agent = member_of_support(lab)
        body = [json.dumps(x) for x in ({"state": "away", "reason": "now"}, {"state": "available"})]
        ask = "".join(
            f"POST /api/v1/agents/{agent.user}/state HTTP/1.1\r\nHost: x\r\nX-Segue: x\r\nContent-Type: "
            f"application/json\r\nCookie: segue_session={boss(lab).cookie}\r\nContent-Length: {len(b)}\r\n\r\n{b}"
            for b in body * 20)
        ask += ("GET /api/v1/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: segue_session="
                f"{boss(lab).cookie}\r\n\r\n")
        with boss(lab).events() as ev, socket.create_connection(("127.0.0.1", lab.http_port), 20) as s:
            ev.wait("snapshot")
            mark, began = ev.mark(), time.monotonic()
            s.sendall(ask.encode())
            with s.makefile("rb") as answers:
                assert answers.read().count(b"HTTP/1.1 200 ") == 41
            wait("all are told", lambda: sum(e.name == "agent" for e in ev.events[mark:]) >= 40)
            ev.wait("queue", lambda d: d["queue"] == "support" and d["agents"]["free"] == 1, since=mark)
            took = time.monotonic() - began
            told = sum(e.name == "queue" and e.data["queue"] == "support" for e in ev.events[mark:])
            assert 1 <= told <= took / 0.019 + 2, (told, took)  # each round tells the queue once


@tap.case("events: a listener that does not read is cut, costs the others nothing, and begins anew")
def slow_listener(_):
    with WebLab(http="events = 1024;", users=4, peers=1) as lab:
        agent, admin = member_of_support(lab), boss(lab)
        with socket.create_connection(("127.0.0.1", lab.http_port)) as idle, \
                admin.events() as reader:
            idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            idle.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nCookie: segue_session="
                         f"{admin.cookie}\r\n\r\n".encode())
            wait("both listen", lambda: listeners(admin) == 2)
            deadline = time.monotonic() + 60
            while listeners(admin) == 2:
                for state in ("away", "available"):
                    got = admin.post(f"/agents/{agent.user}/state", {"state": state})
                    assert got.status == 200, got
                assert time.monotonic() < deadline, "nobody was cut"
            mark = reader.mark()
            admin.post(f"/agents/{agent.user}/state", {"state": "away"})
            reader.wait("agent", lambda d: d["state"] == "away", since=mark)
            last = [e.id for e in reader.events if e.id][3]
        with admin.events(last) as again:
            again.wait("snapshot")


@tap.case("events: a listener whose socket was full for a while has every event, whole and in order")
def full_socket(_):
    with WebLab(users=4, peers=1) as lab, socket.socket() as late:
        agent, admin = member_of_support(lab), boss(lab)
        with admin.events() as reader:
            reader.wait("snapshot")
            late.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            late.settimeout(20)
            late.connect(("127.0.0.1", lab.http_port))
            late.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nCookie: segue_session="
                         f"{admin.cookie}\r\n\r\n".encode())
            wait("both listen", lambda: listeners(admin) == 2)
            one = len(json.dumps(admin.get("/agents").json["agents"][0]))
            for _ in range(400_000 // one // 2):  # more than the kernel keeps for one
                for state in ("away", "available"):
                    assert admin.post(f"/agents/{agent.user}/state", {"state": state}).status == 200
            mark = reader.mark()
            assert admin.post(f"/agents/{agent.user}/state", {"state": "away"}).status == 200
            last = reader.wait("agent", lambda d: d["state"] == "away", since=mark)
            text = b""
            while f"id: {last.id}\n".encode() not in text or not text.endswith(b"\n\n"):
                text += late.recv(3000)
        head, _, text = text.decode().partition("\r\n\r\n")
        assert "chunked" not in head.lower(), head
        got = [dict(line.split(": ", 1) for line in e.split("\n")) for e in text.split("\n\n") if e]
        assert got[0]["event"] == "snapshot", got[0]
        began = json.loads(got[0]["data"])["seq"]
        number = lambda id: int(id.rsplit("-", 1)[1])
        want = [(e.id, e.name, e.data) for e in reader.events if e.id and number(e.id) > began]
        mine = [(e["id"], e["event"], json.loads(e["data"])) for e in got[1:]]
        n = [id for id, _, _ in mine].index(last.id) + 1
        assert mine[:n] == want[:n], [(a, b) for a, b in zip(mine, want) if a != b][:1]


@tap.case("E-124 segued is killed under a call: the next one shows it with its parties, and moves it")
def recovered(_):
    with WebLab(users=6, peers=1) as lab:
        agent, target = lab.phone(), lab.phone()
        c, a = talk(lab, agent)
        was = lab.login("boss").call_of(c)
        lab.daemon.kill()
        lab.restart()
        target.register()
        admin = lab.login("boss")
        row = wait("the call is seen", lambda: admin.get("/calls").json["calls"])[0]
        row = admin.get("/calls/" + row["id"]).json
        for same in ("id", "conversation", "kind", "customer", "started_at"):
            assert row.get(same) == was.get(same), (same, row.get(same), was.get(same))
        assert row["recovered"] and not was["recovered"], (row, was)
        assert row["with"]["user"] == agent.user and row["can"]["transfer"] is True, row
        assert [s["who"] for s in row["segments"]] == [agent.user], row
        assert {p["role"] for p in row["parties"]} == {"kept", "owner"}, row
        got = admin.post(f"/calls/{row['id']}/transfer", {"number": target.number})
        assert got.status == 201, got
        b = target.incoming()
        b.answer()
        joined(c, b)
        end(c, b)


@tap.case("E-124 segued is killed in mid-transfer: the transfer's URL tells one outcome, and the call moves again")
def recovered_transfer(_):
    with WebLab(users=6, peers=1) as lab:
        agent, target, other = lab.phone(), lab.phone(), lab.phone()
        c, a = talk(lab, agent)
        call = boss(lab).call_of(c)["id"]
        key = {"Idempotency-Key": "one"}
        got = boss(lab).post(f"/calls/{call}/transfer", {"number": target.number}, headers=key)
        assert got.status == 201, got
        url = "/transfers/" + got.json["id"]
        b = target.incoming()
        b.reply(180)
        wait("it rings", lambda: boss(lab).get(url).json["stage"] == "ringing")
        lab.daemon.kill()
        lab.restart()
        other.register()
        joined(c, a)
        told = wait("it has an outcome", lambda: [
            t.json for t in [boss(lab).get(url)] if t.status == 200 and t.json["outcome"]])[0]
        assert told["outcome"] == "failed" and told["stage"] == "ended", told
        wait("they talk", lambda: boss(lab).get("/calls/" + call).json["state"] == "talking")
        got = boss(lab).post(f"/calls/{call}/transfer", {"number": other.number})
        assert got.status == 201 and got.json["id"] != told["id"], got
        b2 = other.incoming()
        b2.answer()
        joined(c, b2)
        a.expect("BYE")
        end(c, b2)
        led = lab.ledger(c)
        assert [t["outcome"] for t in led.transfers] == ["failed", "completed"], led.transfers
        again = boss(lab).get(url).json
        assert {k: again[k] for k in ("id", "outcome", "stage")} == \
            {k: told[k] for k in ("id", "outcome", "stage")}, (again, told)


def listeners(session):
    text = session.get("//metrics").body.decode()
    return int(re.search(r"^segue_http_listeners (\d+)", text, re.M).group(1))


if __name__ == "__main__":
    tap.main(WebLab, jobs=4)
