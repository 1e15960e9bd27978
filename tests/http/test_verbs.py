"""Every verb in every state, who hangs up when, and two who ask at once; over HTTP, on the wire."""
import concurrent.futures
import io
import os
import subprocess
import sys
import wave
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import engine
import rtp
import tap
from flows import end, joined, pick_up, ring, talk, wait
from segued import SRC
from web import WebLab

# What a call in each state lets be done, as its row says. What is off there is answered 409 with the
# state, and changes nothing; a hold of what is held, and its reverse, are simply done.
CAN = {
    "ringing": {"hangup"},
    "talking": {"hangup", "hold", "transfer", "consult"},
    "held": {"hangup", "unhold", "transfer", "consult"},
    "transferring": {"hangup", "cancel", "resume"},
    "queued": {"hangup", "move"},
}
VERBS = ("transfer", "complete", "swap", "cancel", "resume", "hold", "unhold")


def boss(lab):
    with lab.lock:
        if not hasattr(lab, "boss_session"):
            lab.boss_session = lab.login("boss")
    return lab.boss_session


def ask(lab, call, verb, target=None):
    body = {"transfer": {"number": target.number}} if target else {}
    return boss(lab).post(f"/calls/{call}/{verb}", body.get(verb))


def as_it_says(lab, call, state, expected=None):
    """The row's `can` is what the table above says, and what is off is refused."""
    row = boss(lab).get("/calls/" + call).json
    assert row["state"] == state, row
    can = {verb for verb, on in row["can"].items() if on is True}
    assert can == (expected or CAN[state]), (state, row["can"])
    spare = lab.phone()
    for verb in VERBS:
        if verb in can or (verb in ("hold", "unhold") and can & {"hold", "unhold"}):
            continue
        if verb == "transfer" and "move" in can:  # that is how who waits is moved
            continue
        got = ask(lab, call, verb, spare)
        assert got.status == 409, (state, verb, got)
        assert got.json["error"]["state"] == state, (state, verb, got)
        assert got.json["error"]["call"]["id"] == call, (state, verb, got)
    assert boss(lab).post(f"/calls/{call}/note", {"text": "seen"}).status == 200
    assert boss(lab).get("/calls/" + call).json["state"] == state


@tap.case("ringing: no verb but note and hangup; hangup ends it")
def ringing(lab):
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    call = boss(lab).call_of(c)["id"]
    as_it_says(lab, call, "ringing")
    assert boss(lab).post(f"/calls/{call}/hangup").status == 200
    a.expect("CANCEL")
    c.expect(range(400, 700), method="INVITE")
    lab.ledger(c)


@tap.case("talking: transfer, hold, note and hangup")
def talking(lab):
    c, a = talk(lab)
    call = boss(lab).call_of(c)["id"]
    as_it_says(lab, call, "talking")
    joined(c, a)
    end(c, a)


@tap.case("held: they can be taken off hold, transferred and hung up")
def held(lab):
    c, a = talk(lab)
    call = boss(lab).call_of(c)["id"]
    ask(lab, call, "hold")
    wait("it is held", lambda: boss(lab).get("/calls/" + call).json["state"] == "held")
    as_it_says(lab, call, "held")
    assert boss(lab).post(f"/calls/{call}/hangup").status == 200
    a.expect("BYE")
    c.expect("BYE")
    lab.ledger(c)


@tap.case("transferring: cancel and hangup; another transfer is 409")
def transferring(lab):
    c, a = talk(lab)
    target = lab.phone()
    call = boss(lab).call_of(c)["id"]
    assert ask(lab, call, "transfer", target).status == 201
    b = target.incoming()
    b.reply(180)
    wait("it rings", lambda: boss(lab).get("/calls/" + call).json["transfer"]["stage"] == "ringing")
    as_it_says(lab, call, "transferring")
    assert boss(lab).post(f"/calls/{call}/hangup").status == 200
    b.expect("CANCEL")
    a.expect("BYE")
    c.expect("BYE")
    led = lab.ledger(c)
    assert len(led.transfers) == 1 and led.transfers[0]["outcome"], led


@tap.case("queued: who waits has a place; a supervisor moves the caller to a person")
def queued(lab):
    agent = lab.phone()
    lab.sql(f"insert into segue.queue_members (queue, user_name) values ('sales', '{agent.user}')")
    wait("the department has the member", lambda: "sales" in [
        x for x in boss(lab).get("/agents").json["agents"] if x["user"] == agent.user][0]["queues"])
    c2, a2 = talk(lab, agent)
    c = lab.trunk().invite("4002")
    c.expect(180, method="INVITE")
    call = boss(lab).call_of(c)["id"]
    row = wait("it waits", lambda: [x for x in [boss(lab).get("/calls/" + call).json]
                                    if x["state"] == "queued"])[0]
    assert row["queue"]["name"] == "sales" and row["queue"]["position"] == 1, row
    assert row["department"] == "sales", row
    queue = [q for q in boss(lab).get("/queues").json["queues"] if q["queue"] == "sales"][0]
    assert queue["waiting"] == 1 and queue["longest_since"], queue
    as_it_says(lab, call, "queued")
    assert call in [x["id"] for x in lab.login("sup2").get("/calls").json["calls"]]
    assert call not in [x["id"] for x in lab.login("sup").get("/calls").json["calls"]]
    target = lab.phone()
    offered = wait("the list offers the target", lambda: [
        t for t in boss(lab).get(f"/calls/{call}/targets").json["targets"] if t.get("user") == target.user])[0]
    assert offered["selectable"] and offered["available"], offered
    sales = [t for t in boss(lab).get(f"/calls/{call}/targets?number=4001").json["targets"]][0]
    assert sales["selectable"], sales
    assert ask(lab, call, "transfer", target).status == 201
    b = target.incoming()
    b.answer()
    c.expect(200, method="INVITE")
    c.ack()
    b.expect("ACK")
    joined(c, b)
    end(c, b)
    end(c2, a2)
    lab.ledger(c)


@tap.case("stay: to a queue and the agent keeps the line; not given, the agent is released; what is no boolean is 400")
def stay(lab):
    member = lab.phone()
    lab.sql("insert into segue.queues (name, number) values ('patient', '4003'); insert into "
            f"segue.queue_members (queue, user_name) values ('patient', '{member.user}')")
    wait("the department has the member", lambda: [
        q for q in boss(lab).get("/queues").json["queues"]
        if q["queue"] == "patient" and q["agents"]["free"] == 1])
    c, a = talk(lab)
    call = boss(lab).call_of(c)["id"]
    for wrong in ("yes", 1):
        got = boss(lab).post(f"/calls/{call}/transfer", {"number": "4003", "stay": wrong})
        assert got.status == 400 and "stay" in got.json["error"]["message"], got
    assert member.count("INVITE") == 0
    got = boss(lab).post(f"/calls/{call}/transfer", {"number": "4003", "stay": True})
    assert got.status == 201, got
    b = member.incoming()
    b.reply(180)
    row = wait("the caller waits, and the agent is there", lambda: [
        x for x in [boss(lab).get("/calls/" + call).json] if x["queue"] and x["transfer"]])[0]
    assert row["can"]["cancel"] is True and row["can"]["complete"] is True, row["can"]
    assert not a.ended
    assert ask(lab, call, "cancel").status == 200
    b.expect("CANCEL")
    joined(c, a)
    assert boss(lab).post(f"/calls/{call}/transfer", {"number": "4003", "stay": True}).status == 201
    b = member.incoming()
    assert not a.ended
    b.answer()
    joined(c, b)
    a.expect("BYE")
    end(c, b)
    led = lab.ledger(c)
    assert [(t["outcome"], t["answered_by"]) for t in led.transfers] == [
        ("cancelled", None), ("completed", member.user)], led
    wait("the member is free", lambda: [q for q in boss(lab).get("/queues").json["queues"]
                                        if q["queue"] == "patient" and q["agents"]["free"] == 1])
    c, a = talk(lab)
    call = boss(lab).call_of(c)["id"]
    assert boss(lab).post(f"/calls/{call}/transfer", {"number": "4003", "stay": False}).status == 201
    b = member.incoming()
    a.expect("BYE")  # nobody has answered yet
    b.answer()
    joined(c, b)
    end(c, b)
    lab.ledger(c)


@tap.case("stay: 409 that says why where nobody is with the caller, in a queue and after the agent has left")
def stay_with_nobody(lab):
    member, other, target = lab.phone(), lab.phone(), lab.phone()
    lab.sql("insert into segue.queues (name, number) values ('lonely', '4005'); insert into "
            f"segue.queue_members (queue, user_name) values ('lonely', '{member.user}')")
    c1, a1 = talk(lab, member)  # who could take calls of the queue is busy
    wait("the department has the member", lambda: [
        q for q in boss(lab).get("/queues").json["queues"]
        if q["queue"] == "lonely" and q["agents"]["talking"] == 1])
    waits = lab.trunk().invite("4005")
    waits.expect(180, method="INVITE")
    left, a2 = talk(lab, other)
    calls = [boss(lab).call_of(x)["id"] for x in (waits, left)]
    assert boss(lab).post(f"/calls/{calls[1]}/transfer", {"number": target.number}).status == 201
    b = target.incoming()
    b.reply(180)
    a2.hangup()
    for call, state in zip(calls, ("WAIT", "ALONE")):
        wait(f"it is in {state}", lambda: boss(lab).get("/calls/" + call).json["table_state"] == state)
        for verb in ("transfer", "retry"):
            got = boss(lab).post(f"/calls/{call}/{verb}", {"number": "4005", "stay": True})
            assert got.status == 409 and got.json["error"]["message"].startswith("stay: nobody"), got
        assert boss(lab).get("/calls/" + call).json["table_state"] == state
    left.hangup()
    b.expect("CANCEL")
    waits.cancel().expect(487, method="INVITE")
    end(c1, a1)


@tap.case("ended: 404 for every verb")
def ended(lab):
    c, a = talk(lab)
    call = boss(lab).call_of(c)["id"]
    end(c, a)
    lab.ledger(c)
    wait("it has gone", lambda: boss(lab).get("/calls/" + call).status == 404, 45)
    for verb in VERBS + ("hangup", "retry", "note"):
        body = {"number": "1"} if verb in ("transfer", "retry") else \
            {"text": "x"} if verb == "note" else None
        got = boss(lab).post(f"/calls/{call}/{verb}", body)
        assert got.status == 404 and got.code == "no_call", (verb, got)


def outcome(lab, url):
    return wait("the transfer has ended", lambda: boss(lab).get("/" + url).json["outcome"])


def start(lab):
    """A transfer by the panel whose target rings: C, A, B, the transfer's URL."""
    c, a = talk(lab)
    target = lab.phone()
    got = ask(lab, boss(lab).call_of(c)["id"], "transfer", target)
    assert got.status == 201, got
    b = target.incoming()
    b.reply(180)
    return c, a, b, got.headers["Location"]


@tap.case("the customer hangs up while the target rings: abandoned")
def customer_leaves(lab):
    c, a, b, url = start(lab)
    c.hangup()
    b.expect("CANCEL")
    a.expect("BYE")
    assert outcome(lab, url) == "abandoned"
    assert [t["outcome"] for t in lab.ledger(c).transfers] == ["abandoned"]


@tap.case("the agent hangs up while the target rings: the customer waits, and is joined")
def agent_leaves(lab):
    c, a, b, url = start(lab)
    a.hangup()
    call = boss(lab).call_of(c)
    assert call["state"] == "transferring" and call["with"] is None, call
    b.answer()
    b.expect("ACK")
    joined(c, b)
    assert outcome(lab, url) == "completed"
    end(c, b)


@tap.case("the target declines: failed with the cause, the customer is kept")
def target_declines(lab):
    c, a, b, url = start(lab)
    b.reply(603)
    assert outcome(lab, url) == "failed"
    got = boss(lab).get("/" + url).json
    assert got["cause"] == "declined" and got["sip_status"] == 603, got
    joined(c, a)
    wait("they talk", lambda: boss(lab).call_of(c)["state"] == "talking")
    end(c, a)


@tap.case("the target hangs up once joined: completed all the same, and the call ends")
def target_leaves(lab):
    c, a, b, url = start(lab)
    b.answer()
    b.expect("ACK")
    a.expect("BYE")
    joined(c, b)
    assert outcome(lab, url) == "completed"
    b.hangup()
    c.expect("BYE")
    lab.ledger(c)


@tap.case("E-127 two who transfer one call at once: one 201, the others 409, one transfer on record")
def race(lab):
    c, a = talk(lab)
    call = boss(lab).call_of(c)["id"]
    targets = [lab.phone() for _ in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda t: ask(lab, call, "transfer", t), targets))
    assert sorted(g.status for g in got) == [201, 409, 409, 409], got
    winner = targets[[g.status for g in got].index(201)]
    b = winner.incoming()
    b.answer()
    b.expect("ACK")
    a.expect("BYE")
    joined(c, b)
    end(c, b)
    assert len(lab.ledger(c).transfers) == 1


@tap.case("E-127 the same key from two connections at once: one transfer, the same answer twice")
def race_with_key(lab):
    c, a = talk(lab)
    call = boss(lab).call_of(c)["id"]
    target = lab.phone()
    key = {"Idempotency-Key": "both " + call}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        got = list(pool.map(lambda _: boss(lab).post(
            f"/calls/{call}/transfer", {"number": target.number}, headers=key), range(2)))
    assert [g.status for g in got] == [201, 201] and got[0].json["id"] == got[1].json["id"], got
    b = target.incoming()
    b.answer()
    b.expect("ACK")
    a.expect("BYE")
    joined(c, b)
    end(c, b)
    assert len(lab.ledger(c).transfers) == 1


@tap.case("E-046 cancel at the moment of the answer: one of the two wins, and the answer says which")
def cancel_race(lab):
    for _ in range(5):
        c, a, b, url = start(lab)
        call = boss(lab).get("/" + url).json["call"]
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(lambda: boss(lab).post(f"/calls/{call}/cancel"))
            b.answer()
            got = asked.result()
        result = outcome(lab, url)
        if got.status == 200:
            assert result == "cancelled", (got, result)
            joined(c, a)
            end(c, a)
        else:
            assert got.status == 409 and result == "completed", (got, result)
            joined(c, b)
            end(c, b)


@tap.case("a transfer to a number that nobody has: 404; not permitted: 403; both say why")
def refused(lab):
    c, a = talk(lab)
    call = boss(lab).call_of(c)["id"]
    got = boss(lab).post(f"/calls/{call}/transfer", {"number": "77777"})
    assert got.status == 404 and "number" in got.json["error"]["message"], got
    got = boss(lab).post(f"/calls/{call}/transfer", {"number": a.ua.number})
    assert got.status == 403 and got.code == "refused", got
    joined(c, a)
    end(c, a)


@tap.case("retry to where the call cannot go: 404, 403; the transfer that runs goes on, and is on record")
def retry_nowhere(lab):
    c, a, b, url = start(lab)
    call = boss(lab).get("/" + url).json["call"]
    for number, status in (("77777", 404), (a.ua.number, 403)):
        got = boss(lab).post(f"/calls/{call}/retry", {"number": number})
        assert got.status == status and got.json["error"]["state"] == "transferring", got
        wait("the refusal is on record", lambda: lab.rows(
            "select 1 from segue.audit where action = 'retry' and result = 'refused' and who = 'boss' "
            f"and object = '{number}'"))
    b.expect_none("CANCEL", 0.1)
    b.answer()
    b.expect("ACK")
    a.expect("BYE")
    joined(c, b)
    assert outcome(lab, url) == "completed"
    end(c, b)
    assert len(lab.ledger(c).transfers) == 1


@tap.case("M6 who hung up, held and called off by a click is on record, by name")
def by_whom(lab):
    c, a, b, url = start(lab)
    call = boss(lab).get("/" + url).json["call"]
    for verb in ("cancel", "hold", "unhold", "hangup"):
        wait("it may be done", lambda: boss(lab).get("/calls/" + call).json["can"][verb] is True)
        assert ask(lab, call, verb).status == 200
    led = lab.ledger(c)
    wait("it is on record", lambda: [r["action"] for r in lab.rows(
        "select action from segue.audit where result = 'done' and who = 'boss' and via = 'panel' and "
        f"object = '{call}' and conversation_id = '{led.conversation['id']}' order by fact_id")] ==
        ["cancel", "hold", "unhold", "hangup"])


@tap.case("M16 recording without a media engine is 409 and says what is missing; a wrong action is 400")
def no_engine(lab):
    c, a = talk(lab)
    call = boss(lab).call_of(c)["id"]
    got = boss(lab).post(f"/calls/{call}/recording", {"action": "start"})
    assert got.status == 409 and "media engine" in got.json["error"]["message"], got
    got = boss(lab).post(f"/calls/{call}/recording", {"action": "loudly"})
    assert got.status == 400 and got.json["error"]["field"] == "action", got
    end(c, a)


def captured(e):
    """The bytes that the engine has written so far."""
    return sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(e.records) for f in files)


@tap.case("M16 recording by an engine: the row and the stream say so, and the sound is downloaded afterwards")
def recorded(_):
    with engine.Engine() as e:
        extra = f'recordings = "{e.wavs}";'
        with WebLab(users=4, peers=2, conf=e.conf(extra=extra)) as lab:
            cv, av = rtp.Rtp(rtp.TONES[0]), rtp.Rtp(rtp.TONES[1])
            for v in (cv, av):
                tap.at_end(v.close)
            agent = lab.phone()
            c, a = ring(lab.trunk(), agent.number, agent, cv.sdp())
            pick_up(c, a, av.sdp())
            cv.follow(c)
            av.follow(a)
            rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
            call = boss(lab).call_of(c)["id"]
            with boss(lab).events() as ev:
                assert ev.wait("snapshot").data["calls"][0]["recording"] == "off"
                for action, want in (("start", "on"), ("pause", "paused"), ("start", "on"), ("stop", "off")):
                    had = captured(e)
                    got = boss(lab).post(f"/calls/{call}/recording", {"action": action})
                    assert got.status == 200, (action, got)
                    wait(f"{action}: it is {want}", lambda: boss(lab).get(
                        "/calls/" + call).json["recording"] == want)
                    ev.wait("call", lambda d: d["id"] == call and d["recording"] == want)
                    if want == "on":
                        wait("sound has been captured", lambda: captured(e) > had + 16000)
            end(c, a)
            led = lab.ledger(c)
            subprocess.run([os.path.join(SRC, "contrib", "recording-to-wav"), e.records, e.wavs],
                           check=True, capture_output=True)
            got = boss(lab).get("/conversations/" + led.conversation["id"]).json
            assert got["recordings"] == len(got["recorded"]) == 2, got["recorded"]
            for r in got["recorded"]:
                sound = boss(lab).get("/recordings/" + r["id"])
                assert sound.status == 200 and sound.headers["Content-Type"] == "audio/wav", sound.headers
                with wave.open(io.BytesIO(sound.body)) as w:
                    assert w.getnframes() > 0 and w.getframerate() == rtp.RATE, w.getparams()


@tap.case("consult: ask first, swap both ways, hand over; the row and its verbs follow")
def consult(lab):
    c, a = talk(lab)
    target = lab.phone()
    call = boss(lab).call_of(c)["id"]
    got = boss(lab).post(f"/calls/{call}/transfer", {"number": target.number, "kind": "consult"})
    assert got.status == 201 and got.json["kind"] == "consult", got
    b = target.incoming()
    b.reply(180)
    as_it_says(lab, call, "consulting", {"hangup", "cancel", "resume", "complete"})
    b.answer()
    b.expect("ACK")
    joined(a, b)
    wait("they talk", lambda: boss(lab).get("/calls/" + call).json["table_state"] == "CONSULT")
    as_it_says(lab, call, "consulting", {"hangup", "cancel", "resume", "complete", "swap"})
    assert ask(lab, call, "swap").status == 200
    joined(c, a)
    assert ask(lab, call, "swap").status == 200
    joined(a, b)
    assert ask(lab, call, "complete").status == 200
    joined(c, b)
    a.expect("BYE")
    assert outcome(lab, got.headers["Location"]) == "completed"
    row = wait("they talk", lambda: [x for x in [boss(lab).call_of(c)] if x["state"] == "talking"])[0]
    assert row["with"]["user"] == target.user, row
    end(c, b)
    led = lab.ledger(c)
    assert [(t["kind"], t["outcome"]) for t in led.transfers] == [("consult", "completed")], led


@tap.case("consult called off: the agent has the customer back")
def consult_cancel(lab):
    c, a = talk(lab)
    target = lab.phone()
    call = boss(lab).call_of(c)["id"]
    got = boss(lab).post(f"/calls/{call}/transfer", {"number": target.number, "kind": "consult"})
    b = target.incoming()
    b.answer()
    b.expect("ACK")
    joined(a, b)
    assert ask(lab, call, "cancel").status == 200
    b.expect("BYE")
    joined(c, a)
    assert outcome(lab, got.headers["Location"]) == "cancelled"
    end(c, a)


if __name__ == "__main__":
    tap.main(WebLab, jobs=4)
