"""Click-to-dial over HTTP: the user's phone rings first, then the number; and who may not, and why."""
import os
import subprocess
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import arrived, end, hears, joined, talk, wait
from segued import program
from ua import Sdp
from web import WebLab

ROUTES = '{ pattern = "0Z."; kind = "external"; target = "peer00"; strip = 1; prefix = "+49"; },\n\t' \
    '{ pattern = "00Z."; kind = "external"; target = "peer00"; strip = 2; prefix = "+"; },\n\t'


def boss(lab):
    with lab.lock:
        if not hasattr(lab, "boss_session"):
            lab.boss_session = lab.login("boss")
    return lab.boss_session


def dial(lab, client, number, **fields):
    return client.post("/calls", {"number": number, **fields})


def gone(lab, call):
    wait("it has gone", lambda: boss(lab).get("/calls/" + call).status == 404, 45)


def record(lab, conversation):
    """The conversation's row and its segments, once it is on record as ended."""
    row = wait("it is on record", lambda: lab.rows(
        f"select * from segue.conversations where id = '{conversation}' and ended_at is not null"))[0]
    return row, lab.rows(f"select * from segue.segments where conversation_id = '{conversation}' "
                         "order by seq")


def start(lab, **fields):
    """The agent's phone rings: agent, his session, the API's call, his leg, the trunk, the number."""
    agent, trunk = lab.phone(), lab.trunk()
    number = lab.outside(trunk, "5551234")
    me = lab.login(agent.user)
    got = dial(lab, me, number, **fields)
    assert got.status == 201, got
    assert got.headers["Location"] == "/api/v1/calls/" + got.json["id"], got.headers
    assert got.json["state"] == "ringing" and got.json["kind"] == "outbound", got.json
    return agent, me, got.json, agent.incoming(), trunk, number


@tap.case("RFC5359-2.18 the agent's phone rings, shows the number, is joined with the customer")
def plain(lab):
    agent, me, call, a, trunk, number = start(lab, case="K-1")
    assert number in a.invite.get("From"), a.invite.get("From")
    assert a.invite.sdp is None, a.invite  # the phone makes the offer
    for name in ("Answer-Mode", "Call-Info", "Alert-Info"):
        assert not a.invite.has(name), name
    a.reply(180)
    a.answer()
    ours = a.expect("ACK").sdp
    assert ours.dir() == "sendrecv" and ours.formats()[0] in a.sdp.audio.split(), ours.text
    c = trunk.incoming()
    assert c.invite.sdp.port() == a.sdp.port and c.invite.sdp.dir() == "sendrecv", c.invite
    assert c.invite.uri.startswith("sip:5551234@"), c.invite.uri
    assert agent.number in c.invite.get("From"), c.invite.get("From")
    c.reply(180)
    row = me.get("/calls/" + call["id"]).json
    assert row["state"] == "ringing" and row["can"]["transfer"] == "not_answered", row
    c.answer()
    c.expect("ACK")
    joined(a, c)
    row = wait("they talk", lambda: [x for x in [me.get("/calls/" + call["id"]).json]
                                     if x.get("state") == "talking"])[0]
    assert row["with"]["user"] == agent.user and row["case"] == "K-1", row
    end(c, a)
    got, segments = record(lab, call["conversation"])
    assert (got["kind"], got["outcome"], got["ended_by"]) == ("outbound", "answered", "customer"), got
    assert [(s["who"], s["outcome"]) for s in segments] == [(agent.user, "completed")], segments
    assert lab.rows("select 1 from segue.audit where action = 'dial' and result = 'done' and via = "
                    f"'panel' and who = '{agent.user}' and object = '{number}'")
    assert not lab.rows("select * from segue.check_ledger()")


def up(lab):
    """The agent has the phone in hand, and the number is being called: the calls of both."""
    agent, me, call, a, trunk, number = start(lab)
    a.answer()
    a.expect("ACK")
    return me, call, a, trunk.incoming()


OPUS = ["a=rtpmap:111 opus/48000/2", "a=fmtp:111 useinbandfec=1"]


@tap.case("RFC3725 the agent's phone names all its codecs: it and the number agree on G.722 or Opus by themselves")
def codecs(lab):
    for chosen, extra in (("9 101", []), ("111 101", OPUS)):
        agent, me, call, a, trunk, number = start(lab)
        a.manual.add("INVITE")
        a.answer(Sdp(audio="111 9 8 0 101", extra=OPUS))
        a.expect("ACK")
        c = trunk.incoming()
        assert c.invite.sdp.formats() == "111 9 8 0 101".split(), c.invite
        assert "opus/48000/2" in c.invite.sdp.text and "useinbandfec=1" in c.invite.sdp.text, c.invite
        c.answer(Sdp(audio=chosen, extra=extra))
        c.expect("ACK")
        asked = a.expect("INVITE")
        assert asked.sdp.formats() == chosen.split() and asked.sdp.port() == c.sdp.port, asked
        a.reply(200, a.sdp.copy(audio=chosen, extra=extra), req=asked)
        a.expect("ACK")
        a.manual.discard("INVITE")
        joined(a, c)
        assert a.remote_sdp.formats() == chosen.split(), a.remote_sdp.text
        assert set(chosen.split()) <= set(c.remote_sdp.formats()), c.remote_sdp.text
        wait("they talk", lambda: me.get("/calls/" + call["id"]).json["state"] == "talking")
        end(c, a)


@tap.case("E-030 early media of the number reaches the agent before the answer, and is not asked for twice")
def early(lab):
    me, call, a, c = up(lab)
    c.reply(180)
    c.reply(183, Sdp())
    hears(a, c)
    arrived(a)
    assert me.get("/calls/" + call["id"]).json["state"] == "ringing"
    c.reply(180)
    c.answer()
    c.expect("ACK")
    joined(a, c)
    wait("they talk", lambda: me.get("/calls/" + call["id"]).json["state"] == "talking")
    with a.ua.cond:
        invites = {m.cseq for arrow, m in a.ua.log
                   if arrow == "<-" and m.method == "INVITE" and m.call_id == a.call_id}
    assert len(invites) == 2, invites  # the call, and the early media
    end(c, a)
    row, segments = record(lab, call["conversation"])
    assert (row["outcome"], row["ended_by"]) == ("answered", "customer"), row
    assert not lab.rows("select * from segue.check_ledger()")


@tap.case("E-030 the answer has another session than the early media had: the answer's counts")
def early_changes(lab):
    me, call, a, c = up(lab)
    c.reply(183, Sdp())
    hears(a, c)
    c.answer(Sdp())
    c.expect("ACK")
    joined(a, c)
    end(c, a)


@tap.case("an announcement in early media, then a refusal: the agent's phone is hung up and told why")
def early_refused(lab):
    me, call, a, c = up(lab)
    c.reply(183, Sdp())
    hears(a, c)
    c.reply(404)
    c.expect("ACK")
    bye = a.expect("BYE")
    assert "cause=404" in bye.get("Reason"), bye.get("Reason")
    row, segments = record(lab, call["conversation"])
    assert row["outcome"] == "failed" and row["sip_cause"] == 404 and row["talk_ms"] == 0, row
    gone(lab, call["id"])


@tap.case("E-124 segued is killed while the number rings: the next one hangs the agent's phone up")
def killed(lab):
    with WebLab(users=4, peers=4, routes=ROUTES) as own:
        me, call, a, c = up(own)
        c.reply(180)
        own.daemon.wait_log(" event type=PROGRESS")
        own.daemon.kill()
        own.restart()
        assert "cause=480" in a.expect("BYE", timeout=15).get("Reason")
        c.ended = True  # nobody knows of that INVITE any more
        row, segments = record(own, call["conversation"])
        assert (row["outcome"], row["ended_by"], row["estimated"]) == ("failed", "system", False), row
        assert not own.rows("select * from segue.check_ledger()")


@tap.case("the agent hangs up during early media, or while the phone is being asked to hear it: CANCEL")
def early_given_up(lab):
    for asked in (False, True):
        me, call, a, c = up(lab)
        if asked:
            a.manual.add("INVITE")
        c.reply(183, Sdp())
        if asked:
            pending = a.expect("INVITE")
        else:
            hears(a, c)
        a.hangup()
        if asked:
            a.reply(487, req=pending)
        c.expect("CANCEL")
        row, segments = record(lab, call["conversation"])
        assert (row["outcome"], row["ended_by"]) == ("abandoned", "agent"), row
        gone(lab, call["id"])


@tap.case("the phone does not take the early media: the call goes on, and is joined when it is answered")
def early_not_taken(lab):
    me, call, a, c = up(lab)
    a.manual.add("INVITE")
    c.reply(183, Sdp())
    a.reply(488, req=a.expect("INVITE"))
    a.manual.discard("INVITE")
    a.expect("ACK")
    c.answer(Sdp())
    c.expect("ACK")
    joined(a, c)
    end(c, a)


@tap.case("answer auto: the phone is asked to answer by itself, in all the ways that phones know")
def auto(lab):
    agent, me, call, a, trunk, number = start(lab, answer="auto")
    assert a.invite.get("Answer-Mode") == "Auto", a.invite.get("Answer-Mode")
    assert "answer-after=0" in a.invite.get("Call-Info"), a.invite.get("Call-Info")
    assert "info=alert-autoanswer" in a.invite.get("Alert-Info"), a.invite.get("Alert-Info")
    a.answer()
    a.expect("ACK")
    c = trunk.incoming()
    for name in ("Answer-Mode", "Call-Info", "Alert-Info"):
        assert not c.invite.has(name), name
    c.answer()
    c.expect("ACK")
    joined(a, c)
    end(a, c)


@tap.case("the call is transferred like any that the agent has dialled")
def transferred(lab):
    agent, me, call, a, trunk, number = start(lab)
    a.answer()
    a.expect("ACK")
    c = trunk.incoming()
    c.answer()
    c.expect("ACK")
    joined(a, c)
    wait("they talk", lambda: me.get("/calls/" + call["id"]).json["state"] == "talking")
    target = lab.phone()
    got = me.post(f"/calls/{call['id']}/transfer", {"number": target.number})
    assert got.status == 201, got
    b = target.incoming()
    b.answer()
    b.expect("ACK")
    joined(b, c)
    a.expect("BYE")
    end(c, b)
    row, segments = record(lab, call["conversation"])
    assert [s["who"] for s in segments] == [agent.user, target.user], segments


@tap.case("the agent's phone declines: nobody else is rung, and the record says so")
def declines(lab):
    agent, me, call, a, trunk, number = start(lab)
    a.reply(603)
    a.expect("ACK")
    row, segments = record(lab, call["conversation"])
    assert row["outcome"] == "failed" and row["sip_cause"] == 603, row
    assert [s["outcome"] for s in segments] == ["declined"], segments
    trunk.expect_none("INVITE")
    gone(lab, call["id"])


@tap.case("the agent's phone answers without a session, or with none that is of use: hung up, nobody else is rung")
def no_session(lab):
    for sdp in (None, Sdp(port=0)):
        agent, me, call, a, trunk, number = start(lab)
        a.reply(200, sdp)
        a.expect("ACK")
        a.expect("BYE")
        row, segments = record(lab, call["conversation"])
        assert row["outcome"] == "failed" and [s["outcome"] for s in segments] == ["media_incompatible"], \
            (row, segments)
        trunk.expect_none("INVITE")
        gone(lab, call["id"])


@tap.case("the agent's phone does not answer: its ringing ends")
def no_answer(lab):
    agent, me, call, a, trunk, number = start(lab)
    a.reply(180)
    a.expect("CANCEL", timeout=30)
    row, segments = record(lab, call["conversation"])
    assert [s["outcome"] for s in segments] == ["no_answer"], segments
    trunk.expect_none("INVITE")


@tap.case("the number is busy: the agent's phone is hung up and told why")
def busy(lab):
    agent, me, call, a, trunk, number = start(lab)
    a.answer()
    a.expect("ACK")
    c = trunk.incoming()
    c.reply(486)
    c.expect("ACK")
    bye = a.expect("BYE")
    assert "cause=486" in bye.get("Reason"), bye.get("Reason")
    row, segments = record(lab, call["conversation"])
    assert row["outcome"] == "failed" and row["sip_cause"] == 486 and row["talk_ms"] == 0, row


@tap.case("the agent hangs up while the number rings: that stops")
def gives_up(lab):
    agent, me, call, a, trunk, number = start(lab)
    a.answer()
    a.expect("ACK")
    c = trunk.incoming()
    c.reply(180)
    a.hangup()
    c.expect("CANCEL")
    row, segments = record(lab, call["conversation"])
    assert (row["outcome"], row["ended_by"]) == ("abandoned", "agent"), row


@tap.case("hang-up by click while the own phone rings, and while the number rings")
def clicked_off(lab):
    agent, me, call, a, trunk, number = start(lab)
    a.reply(180)
    assert me.post(f"/calls/{call['id']}/hangup").status == 200
    a.expect("CANCEL")
    agent, me, call, a, trunk, number = start(lab)
    a.answer()
    a.expect("ACK")
    c = trunk.incoming()
    c.reply(180)
    assert me.post(f"/calls/{call['id']}/hangup").status == 200
    c.expect("CANCEL")
    a.expect("BYE")
    row, segments = record(lab, call["conversation"])
    assert row["ended_by"] == "command", row


@tap.case("the customer hangs up, or the agent, at the moment of the join: nobody stays behind")
def at_the_join(lab):
    for who in ("agent", "customer"):
        agent, me, call, a, trunk, number = start(lab)
        a.answer()
        a.expect("ACK")
        c = trunk.incoming()
        c.answer()
        c.expect("ACK")
        (a if who == "agent" else c).hangup()
        (c if who == "agent" else a).expect("BYE")
        record(lab, call["conversation"])


@tap.case("a colleague is dialled: an internal call")
def colleague(lab):
    one, two = lab.phone(), lab.phone()
    got = dial(lab, lab.login(one.user), two.number)
    assert got.status == 201 and got.json["kind"] == "internal", got
    a = one.incoming()
    a.answer()
    a.expect("ACK")
    b = two.incoming()
    b.answer()
    b.expect("ACK")
    joined(a, b)
    end(a, b)


@tap.case("a supervisor and a token call for those of their departments; nobody else does")
def for_others(lab):
    mine, other = lab.phone(), lab.phone()
    lab.sql(f"insert into segue.queue_members (queue, user_name) values ('support', '{mine.user}')")
    sup, agent = lab.login("sup"), lab.login(other.user)
    wait("the department has the member", lambda: "support" in [
        x for x in boss(lab).get("/agents").json["agents"] if x["user"] == mine.user][0]["queues"])
    trunk = lab.trunk()
    number = lab.outside(trunk, "77")
    for client, user in ((sup, other.user), (agent, mine.user)):
        got = dial(lab, client, number, user=user)
        assert got.status == 403 and got.code == "not_yours", got
    got = dial(lab, sup, number, user=mine.user)
    assert got.status == 201, got
    mine.incoming().reply(603)
    token = lab.token("crm", "dial")
    got = dial(lab, token, number)
    assert got.status == 400 and got.json["error"]["field"] == "user", got
    got = dial(lab, token, number, user=other.user)
    assert got.status == 201, got
    other.incoming().reply(486)
    got = dial(lab, lab.token("reader", "view,control"), number, user=other.user)
    assert got.status == 403 and got.json["error"]["permission"] == "dial", got


@tap.case("whom it cannot be done for, and what may not be dialled, is said; nobody's phone rings")
def refused(lab):
    agent, unplugged = lab.phone(), lab.user()
    me = lab.login(agent.user)
    lab.sql("insert into segue.number_classes (name, pattern, roles) values "
            "('satellite', '+88!', '{admin}') on conflict do nothing")
    for number, status, word in (("77777777", 404, "number"), (agent.number, 403, "own"),
                                 ("x" * 200, 400, "number")):
        got = dial(lab, me, number)
        assert got.status == status and word in got.json["error"]["message"], got
    got = wait("the class is known", lambda: [g for g in [dial(lab, me, "00881234567")]
                                              if "satellite" in g.json["error"]["message"]])[0]
    assert got.status == 403, got
    got = dial(lab, boss(lab), "0301234567", user=unplugged.user)
    assert got.status == 409 and "no phone" in got.json["error"]["message"], got
    got = dial(lab, boss(lab), "0301234567", user="nobody")
    assert got.status == 404, got
    assert dial(lab, me, "0301234567", answer="loudly").json["error"]["field"] == "answer"
    assert me.post("/calls", {}).json["error"]["field"] == "number"
    agent.expect_none("INVITE")
    c, a = talk(lab, agent)
    got = dial(lab, me, "0301234567")
    assert got.status == 409 and "on a call" in got.json["error"]["message"], got
    end(c, a)
    whys = {r["why"] for r in lab.rows("select why from segue.audit where action = 'dial' "
                                       "and result = 'refused'")}
    assert {"invalid_target", "self", "unregistered", "busy"} <= whys, whys


@tap.case("two clicks at once: one call, the other is 409; the same key: one call, told twice")
def twice(lab):
    import concurrent.futures
    agent, trunk = lab.phone(), lab.trunk()
    me, number = lab.login(agent.user), lab.outside(trunk, "55")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        got = list(pool.map(lambda _: dial(lab, me, number), range(2)))
    assert sorted(g.status for g in got) == [201, 409], got
    agent.incoming().reply(603)
    gone(lab, [g for g in got if g.status == 201][0].json["id"])
    key = {"Idempotency-Key": "dial " + agent.user}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        got = list(pool.map(lambda _: me.post("/calls", {"number": number}, headers=key), range(2)))
    assert [g.status for g in got] == [201, 201] and got[0].json["id"] == got[1].json["id"], got
    agent.incoming().reply(603)


@tap.case("seguectl dial does the same, and says which call")
def by_seguectl(lab):
    agent, trunk = lab.phone(), lab.trunk()
    number = lab.outside(trunk, "99")
    p = subprocess.run([program("seguectl"), "-s", f"{lab.dir}/segued.sock", "dial", agent.user, number,
                        "--auto"], text=True, capture_output=True, timeout=30)
    assert p.returncode == 0, (p.stdout, p.stderr)
    a = agent.incoming()
    assert a.invite.get("Answer-Mode") == "Auto"
    assert boss(lab).get("/calls/" + p.stdout.split()[-1]).status == 200, p.stdout
    a.reply(603)
    p = subprocess.run([program("seguectl"), "-s", f"{lab.dir}/segued.sock", "dial", "nobody", number],
                       text=True, capture_output=True, timeout=30)
    assert p.returncode == 1 and "no such user" in p.stderr, (p.stdout, p.stderr)


if __name__ == "__main__":
    tap.main(lambda: WebLab(routes=ROUTES), jobs=4)
