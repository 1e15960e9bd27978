"""Blind transfer: who leaves when (E-001 .. E-019), and what the target does (E-025 .. E-037)."""
import os
import re
import sys
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import (booked, end, final_notify, hears, is_final, joined, pick_up, refer, ring, sipfrag, talk,
                   transfer, wait)
from segued import Lab
from ua import Sdp, challenge_params


def transferring(lab, ringing=True):
    """C talks with A, who asks for a transfer to B, whose phone rings. Returns C, A, B."""
    c, a = talk(lab)
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    if ringing:
        b.reply(180)
    return c, a, b


def took(lab, mark, first, last):
    """Seconds between two lines of the log, by segued's clock."""
    at = []
    for what in (first, last):
        line = lab.daemon.wait_log(what, since=mark)
        h, m, s = re.match(r"[\d-]+T(\d\d):(\d\d):(\d\d\.\d+)Z", line).groups()
        at.append(int(h) * 3600 + int(m) * 60 + float(s))
    return (at[1] - at[0]) % 86400


def row(lab, c):
    """The one transfer of the call, once all is final."""
    led = lab.ledger(c)
    assert len(led.transfers) == 1, led.transfers
    return led.transfers[0], led


@tap.case("a blind transfer: 202, NOTIFY 100, B answers, joined, NOTIFY 200, A is released; rows")
def blind(lab):
    agent, target = lab.phone(), lab.phone()
    c, a = talk(lab, agent)
    r = refer(lab, a, target.number)
    assert r.get("Event").startswith("refer"), r.get("Event")
    b = target.incoming()
    assert c.ua.user in b.invite.get("From"), b.invite.get("From")
    assert agent.number in b.invite.get("Referred-By"), b.invite.get("Referred-By")
    assert b.invite.sdp and b.invite.sdp.port() == c.sdp.port, str(b.invite)
    b.reply(180)
    b.answer()
    b.expect("ACK")
    joined(c, b)
    final_notify(a, 200)
    a.expect("BYE")
    assert not c.ended
    end(c, b)
    t, led = row(lab, c)
    assert t["outcome"] == "completed" and t["kind"] == "blind", t
    assert t["asked_via"] == "sip_refer" and t["asker"] == agent.user, t
    assert t["target"] == target.user and t["target_kind"] == "user", t
    assert [s["who"] for s in led.segments] == [agent.user, target.user], led
    assert all(s["talk_ms"] > 0 for s in led.segments), led
    assert t["from_segment_id"] == led.segments[0]["id"], t
    assert t["to_segment_id"] == led.segments[1]["id"], t
    case = lab.rows(f"select * from segue.cases where id = '{led.conversation['case_id']}'")[0]
    assert case["owner"] == target.user, case
    for x in ("transfer_requested", "transfer_completed", "case_assigned", "customer_left"):
        assert x in led.types(), led.types()
    assert led.conversation["n_blind"] == 1 and led.conversation["n_requested"] == 1


@tap.case("an outbound call is transferred too")
def outbound(lab):
    agent, trunk, target = lab.phone(), lab.trunk(), lab.phone()
    a, c = ring(agent, lab.outside(trunk, "555"), trunk)
    pick_up(a, c)
    b = transfer(lab, c, a, target)
    end(c, b)
    t, led = row(lab, a)
    assert t["outcome"] == "completed", t
    assert led.conversation["kind"] == "outbound"


@tap.case("E-001 A hangs up before B answers: B rings on, joins C, no NOTIFY into the ended usage")
def e001(lab):
    c, a, b = transferring(lab)
    a.bye()
    a.expect(200, method="BYE")
    told = a.ua.count("NOTIFY")
    c.expect_none("BYE", 0.3)
    b.answer()
    b.expect("ACK")
    joined(c, b)
    end(c, b)
    assert a.ua.count("NOTIFY") == told, "a NOTIFY into the usage that had ended"
    t, led = row(lab, c)
    assert t["outcome"] == "completed", t
    assert led.conversation["limbo_ms"] > 0, led.conversation
    assert led.segments[0]["released_by"] == "self", led.segments[0]


@tap.case("E-002 as E-001, then B refuses: A is recalled by a new INVITE")
def e002(lab):
    c, a, b = transferring(lab)
    a.hangup()
    b.reply(486)
    again = a.ua.incoming()
    assert again.call_id != a.call_id
    again.reply(180)
    again.answer()
    again.expect("ACK")
    joined(c, again)
    end(c, again)
    led = lab.ledger(c)
    assert [t["outcome"] for t in led.transfers] == ["recalled"], led.transfers
    assert led.conversation["n_blind"] == 0, led.conversation
    assert led.segments[-1]["who"] == a.ua.user and led.segments[-1]["talk_ms"] > 0, led
    assert led.segment(b.ua.user)["talk_ms"] == 0, led


@tap.case("E-002 A's phone takes the failure for the end of its call: A is recalled")
def e002_impulsive(lab):
    c, a, b = transferring(lab)
    b.reply(486)
    final_notify(a, 486)
    a.hangup()
    again = a.ua.incoming()
    c.expect_none("BYE", 0)
    again.answer()
    again.expect("ACK")
    joined(c, again)
    end(c, again)
    led = lab.ledger(c)
    assert [t["outcome"] for t in led.transfers] == ["failed", "completed"], led.transfers
    assert led.transfers[1]["asked_via"] == "system", led.transfers
    assert [s["who"] for s in led.segments] == [a.ua.user, b.ua.user, a.ua.user], led.segments
    assert not led.conversation["sip_cause"], led.conversation


@tap.case("E-002 the whole chain fails: C is told by BYE, not left in silence")
def e002_chain(lab):
    c, a, b = transferring(lab)
    a.hangup()
    b.reply(486)
    a.ua.incoming().reply(486)
    c.expect("BYE")
    led = lab.ledger(c)
    assert led.conversation["n_blind"] == 0, led.conversation
    assert all(t["outcome"] not in ("completed", "recalled") for t in led.transfers), led.transfers


@tap.case("E-003 A never sends BYE: it gets one, T_bye after its answer to the final NOTIFY")
def e003(lab):
    c, a, b = transferring(lab)
    b.answer()
    told = a.expect("NOTIFY", where=is_final)
    assert sipfrag(told) == 200, str(told)
    waited = a.expect("BYE").at - told.at
    assert waited > 0.49, f"the BYE did not wait T_bye: {waited} s"
    assert c.ua.count("BYE", where=lambda m: m.call_id == c.call_id) == 0
    end(c, b)


@tap.case("E-004 A's BYE and ours cross: 200 both ways, one release")
def e004(lab):
    c, a, b = transferring(lab)
    a.manual = {"BYE"}
    b.answer()
    final_notify(a, 200)
    bye = a.expect("BYE")
    a.bye()
    a.expect(200, method="BYE")
    a.reply(200, req=bye)
    end(c, b)
    t, led = row(lab, c)
    assert t["outcome"] == "completed" and len(led.segments) == 2, led
    assert led.segment(a.ua.user)["outcome"] == "transferred", led
    a.expect_none("BYE", 0.2)


@tap.case("E-005 our BYE to A waits for the answer to the final NOTIFY")
def e005(lab):
    c, a, b = transferring(lab)
    a.mine = lambda m: m.method == "NOTIFY" and is_final(m)
    b.answer()
    n = a.expect("NOTIFY", where=is_final)
    a.expect_none("BYE", 0.8)
    a.reply(200, req=n)
    a.expect("BYE")
    end(c, b)


@tap.case("E-005 the final NOTIFY is never answered: BYE all the same, after the cap")
def e005_cap(lab):
    c, a, b = transferring(lab)
    a.mine = lambda m: m.method == "NOTIFY" and is_final(m)
    answer = b.answer()
    a.expect("NOTIFY", where=is_final)
    bye = a.expect("BYE")
    assert bye.at - answer.at > 1.99, "the BYE did not wait for the answer (notify = 2 s here)"
    end(c, b)


@tap.case("E-006 A answers NOTIFY with 481: the transfer goes on")
def e006(lab):
    c, a = talk(lab)
    a.manual = {"NOTIFY"}
    target = lab.phone()
    a.refer(lab.refer_to(target.number))
    a.expect(202, method="REFER")
    a.reply(481, req=a.expect("NOTIFY"))
    b = target.incoming()
    b.reply(180)
    b.answer()
    b.expect("ACK")
    joined(c, b)
    a.expect("BYE")
    a.expect_none("NOTIFY", 0.2, where=is_final)
    end(c, b)
    assert row(lab, c)[0]["outcome"] == "completed"


@tap.case("R-045 A's BYE crosses our NOTIFY, which it answers 481: the transfer goes on")
def notify_crossed(lab):
    c, a = talk(lab)
    a.manual = {"NOTIFY"}
    target = lab.phone()
    a.refer(lab.refer_to(target.number))
    a.expect(202, method="REFER")
    n = a.expect("NOTIFY")
    a.hangup()
    a.reply(481, req=n)
    b = target.incoming()
    b.reply(180)
    b.answer()
    b.expect("ACK")
    joined(c, b)
    a.expect_none("NOTIFY", 0.2, where=is_final)
    end(c, b)
    assert row(lab, c)[0]["outcome"] == "completed"


@tap.case("E-007 A sends BYE right after the first NOTIFY")
def e007(lab):
    c, a = talk(lab)
    target = lab.phone()
    a.refer(lab.refer_to(target.number))
    a.expect("NOTIFY")
    a.hangup()
    b = target.incoming()
    b.reply(180)
    b.answer()
    b.expect("ACK")
    joined(c, b)
    end(c, b)


@tap.case("E-008 after a failed transfer A un-holds and talks with C again")
def e008(lab):
    c, a = talk(lab)
    mark = lab.daemon.mark()
    a.reinvite(a.sdp.copy(dir="sendonly"))
    booked(lab, c, "hold_on", mark)
    target = lab.phone()
    refer(lab, a, target.number)
    target.incoming().reply(486)
    final_notify(a, 486)
    ok = a.reinvite(a.sdp.copy(dir="sendrecv"))
    assert ok.sdp.dir() == "sendrecv", ok.sdp.short()
    joined(c, a)
    end(c, a)
    t, led = row(lab, c)
    assert t["outcome"] == "failed" and t["cause"] == "busy", t
    assert led.segment(a.ua.user)["hold_ms"] > 0


@tap.case("E-008 as C has left meanwhile A's un-hold gets an answer, and no leg stays")
def e008_gone(lab):
    c, a = talk(lab)
    a.reinvite(a.sdp.copy(dir="sendonly"))
    target = lab.phone()
    refer(lab, a, target.number)
    target.incoming().reply(486)
    final_notify(a, 486)
    c.hangup()
    req = a.do_invite(a.sdp.copy(dir="sendrecv"))
    got = a.expect((200, 481, 487), method="INVITE", where=lambda m: m.cseq == req.cseq)
    if got.status == 200:
        a.ack(cseq=req.cseq)
    a.expect("BYE")
    assert row(lab, c)[0]["outcome"] == "failed"


@tap.case("E-009 after a failed transfer A does nothing for T_resume: the fallback chain runs")
def e009(lab):
    c, a = talk(lab)
    a.reinvite(a.sdp.copy(dir="sendonly"))
    target = lab.phone()
    refer(lab, a, target.number)
    busy = target.incoming().reply(486)
    final_notify(a, 486)
    again = a.ua.incoming()
    assert again.invite.at - busy.at > 2.99, "the chain did not wait T_resume (3 s here)"
    assert not c.ended
    again.reply(180)
    again.answer()
    again.expect("ACK")
    joined(c, again)
    end(c, again)
    led = lab.ledger(c)
    assert [(t["outcome"], t["asked_via"]) for t in led.transfers] == [
        ("failed", "sip_refer"), ("completed", "system")], led.transfers
    assert [s["who"] for s in led.segments] == [a.ua.user, target.user, a.ua.user], led


@tap.case("E-010 A is lost in mid-transfer (481 to a NOTIFY, then silence): as E-001")
def e010(lab):
    c, a, b = transferring(lab)
    a.manual = {"NOTIFY", "BYE"}
    a.ua.drop = lambda m: True
    b.answer()
    b.expect("ACK")
    joined(c, b)
    end(c, b)
    assert row(lab, c)[0]["outcome"] == "completed"


@tap.case("E-011 a device that wants NOTIFY 200 at once gets it; the ledger says the truth")
def e011(lab):
    agent = lab.user()
    agent.register(headers=[("User-Agent", "Impatient 1.0")])
    target = lab.phone()
    c = lab.trunk().invite(agent.number)
    a = agent.incoming()
    a.reply(180)
    a.reply(200, a.fitting(a.invite.sdp), headers=[("User-Agent", "Impatient 1.0")])
    c.expect(200, method="INVITE")
    c.ack()
    a.expect("ACK")
    a.refer(lab.refer_to(target.number), headers=[("User-Agent", "Impatient 1.0")])
    a.expect(202, method="REFER")
    final_notify(a, 200)  # its target has not even rung
    a.hangup()
    target.incoming().reply(486)
    again = agent.incoming()  # the fallback chain: A is rung again
    again.reply(180)
    again.answer()
    again.expect("ACK")
    joined(c, again)
    end(c, again)
    led = lab.ledger(c)
    assert led.transfers[0]["outcome"] != "completed", led.transfers
    assert led.conversation["n_blind"] == 0, led.conversation


@tap.case("E-015 C hangs up while B rings: CANCEL within 100 ms, NOTIFY 487, A released, abandoned")
def e015(lab):
    def seconds():
        """From the BYE to the CANCEL."""
        c, a, b = transferring(lab)
        mark = lab.daemon.mark()
        c.bye()
        b.expect("CANCEL")
        c.expect(200, method="BYE")
        call = lab.daemon.wait_log(f"conversation_opened .*sip_call_id={c.call_id}").split()[2]
        needed = took(lab, mark, f" {call} leg=.* event type=BYE", f" {call} leg=.* action type=HANGUP")
        final_notify(a, 487)
        a.expect("BYE")
        t, led = row(lab, c)
        assert t["outcome"] == "abandoned", t
        s = led.segment(b.ua.user)
        assert s["talk_ms"] == 0 and s["outcome"] == "cancelled_caller_left", s
        return needed

    all_needed = [seconds()]
    while min(all_needed) > 0.1 and len(all_needed) < 5:  # the machine was busy with something else
        all_needed.append(seconds())
    assert min(all_needed) <= 0.1, all_needed


@tap.case("E-016 B's 200 crosses that CANCEL: ACK and BYE, nobody talked")
def e016(lab):
    c, a, b = transferring(lab)
    b.manual = {"CANCEL"}
    c.hangup()
    req = b.expect("CANCEL")
    b.answer()
    b.reply(200, req=req)
    b.expect("ACK")
    assert b.expect("BYE").has("Reason")
    t, led = row(lab, c)
    assert t["outcome"] == "abandoned" and not t["joined_at"], t
    s = led.segment(b.ua.user)
    assert s["talk_ms"] == 0 and s["answered_at"], s


@tap.case("E-019 C's BYE comes between B's 200 and the end of the join: B gets BYE")
def e019(lab):
    c, a, b = transferring(lab)
    c.manual = {"INVITE"}
    b.answer()
    req = c.expect("INVITE")
    c.bye()
    c.expect(200, method="BYE")
    c.reply(487, req=req)
    b.expect("BYE")
    t, led = row(lab, c)
    assert t["outcome"] == "abandoned" and t["target_answered_at"] and not t["joined_at"], t
    assert led.segment(b.ua.user)["talk_ms"] == 0


# ---- the target refuses, is silent, or misbehaves ------------------------------------------


def refusal(status, outcome_cause):
    def run(lab):
        c, a, b = transferring(lab)
        time.sleep(0.05)  # the ringing that is measured
        b.reply(status)
        final_notify(a, status)
        assert not c.ended and not a.ended
        hears(c, a)
        hears(a, c)
        a.expect_none("BYE", 0.2)
        end(c, a)
        t, led = row(lab, c)
        assert t["outcome"] == "failed" and t["cause"] == outcome_cause, t
        assert t["sip_status"] == status, t
        s = led.segment(b.ua.user)
        assert s["talk_ms"] == 0 and s["ring_ms"] >= 50 and s["sip_cause"] == status, s
    return run


for _status, _cause in ((486, "busy"), (600, "busy"), (603, "declined"), (480, "unreachable"),
                        (404, "invalid_target"), (408, "no_answer"), (500, "internal"),
                        (503, "unreachable")):
    tap.case(f"E-025 B answers {_status}: NOTIFY says so, A and C talk on, cause {_cause}")(
        refusal(_status, _cause))


@tap.case("E-026 B never answers: CANCEL, NOTIFY 408 or 480, A keeps C")
def e026(lab):
    c, a, b = transferring(lab)
    cancel = b.expect("CANCEL")
    assert cancel.at - a.sent["REFER"].at > 3.99, "T_ring is 4 s here"
    final_notify(a, 408)
    end(c, a)
    t, led = row(lab, c)
    assert t["outcome"] == "failed" and t["cause"] == "no_answer", t
    s = led.segment(b.ua.user)
    assert s["talk_ms"] == 0 and s["ring_ms"] >= 3900, s


@tap.case("E-026 E-016 B times out and its 200 crosses the CANCEL: ACK, BYE, never joined")
def e026_race(lab):
    c, a, b = transferring(lab)
    b.manual = {"CANCEL"}
    req = b.expect("CANCEL")
    b.answer()
    b.reply(200, req=req)
    b.expect("ACK")
    b.expect("BYE")
    final_notify(a, 408)
    end(c, a)
    led = lab.ledger(c)
    assert led.segment(b.ua.user)["talk_ms"] == 0, led
    assert led.transfers[0]["cause"] == "no_answer", led


@tap.case("E-027 B times out and answers late while A is being recalled: ACK, BYE, never joined")
def e027(lab):
    c, a, b = transferring(lab)
    a.hangup()
    b.manual = {"CANCEL"}
    req = b.expect("CANCEL")
    again = a.ua.incoming()
    again.reply(180)
    b.answer()
    b.reply(200, req=req)
    b.expect("ACK")
    b.expect("BYE")
    again.answer()
    again.expect("ACK")
    joined(c, again)
    end(c, again)
    led = lab.ledger(c)
    assert led.segment(b.ua.user)["talk_ms"] == 0, led
    assert led.segment(a.ua.user, 1)["talk_ms"] > 0, led


@tap.case("E-028 the target redirects to an own number: followed")
def e028(lab):
    c, a, b = transferring(lab, ringing=False)
    other = lab.phone()
    b.reply(302, headers=[("Contact", f"<sip:{other.number}@{lab.domain}>")], contact=False)
    d = other.incoming()
    d.reply(180)
    d.answer()
    d.expect("ACK")
    joined(c, d)
    final_notify(a, 200)
    end(c, d)


@tap.case("E-028 the target redirects to a stranger: failed, A keeps C")
def e028_foreign(lab):
    c, a, b = transferring(lab, ringing=False)
    b.reply(302, headers=[("Contact", "<sip:x@evil.example>")], contact=False)
    assert final_notify(a) >= 300
    end(c, a)
    assert row(lab, c)[0]["outcome"] == "failed"


@tap.case("E-029 B forks below a proxy: two 200, the second ACKed and BYEd, one final NOTIFY")
def e029(lab):
    c, a, b = transferring(lab)
    b.reply(180, tag="fork2")
    b.answer()
    b.reply(200, Sdp(), tag="fork2")
    b.expect("ACK")
    wait("the second got BYE", lambda: [m for m in b.box if m.method == "BYE" and
                                        m.to_tag == "fork2"])
    final_notify(a, 200)
    a.expect_none("NOTIFY", 0.3, where=is_final)
    b.ended = False
    end(c, b)


@tap.case("E-029 B has two phones: both ring, the first wins")
def e029_two(lab):
    c, a = talk(lab)
    one = lab.phone()
    two = lab.device(one)
    two.register()
    refer(lab, a, one.number)
    b1, b2 = one.incoming(), two.incoming()
    b1.reply(180)
    b2.reply(180)
    b2.answer()
    b2.expect("ACK")
    b1.expect("CANCEL")
    joined(c, b2)
    final_notify(a, 200)
    a.expect_none("NOTIFY", 0.2, where=is_final)
    end(c, b2)


@tap.case("E-030 B sends 183 with SDP, then 200 with another: the 200's counts")
def e030(lab):
    c, a, b = transferring(lab, ringing=False)
    b.reply(183, Sdp())
    b.reply(180)
    final = Sdp()
    b.answer(final)
    b.expect("ACK")
    joined(c, b)
    assert c.remote_sdp.port() == final.port
    end(c, b)


@tap.case("E-031 B holds with UPDATE before it answers: still joined sendrecv after the 200")
def e031(lab):
    c, a, b = transferring(lab, ringing=False)
    b.reply(183, Sdp(), headers=[("Require", "100rel"), ("RSeq", "5")])
    b.expect("PRACK")
    b.update(b.sdp.copy(dir="sendonly"))
    b.expect((200, 491, 500), method="UPDATE")
    b.reply(200)
    b.expect("ACK")
    again = b.expect("INVITE")  # segue asks it to talk: the answered call is not a held one
    assert again.sdp.dir() == "sendrecv", again.sdp.dir()
    joined(c, b)
    final_notify(a, 200)
    end(c, b)


@tap.case("E-032 B answers and hangs up before the join is done: A has C again, or the chain")
def e032(lab):
    c, a, b = transferring(lab)
    c.manual = {"INVITE"}
    b.answer()
    b.expect("ACK")
    req = c.expect("INVITE")
    b.bye()
    b.expect(200, method="BYE")
    c.manual = set()
    c.reply(200, c.fitting(req.sdp), req=req)
    assert final_notify(a) >= 400
    assert not c.ended
    hears(c, a)
    end(c, a)
    t, led = row(lab, c)
    assert t["outcome"] == "failed" and led.segment(b.ua.user)["talk_ms"] == 0, led


@tap.case("E-033 B answers without SDP: failed, A and C are restored")
def e033_none(lab):
    c, a, b = transferring(lab)
    b.reply(200)
    b.expect("ACK")
    b.expect("BYE")
    final_notify(a, 488)
    assert not c.ended and not a.ended
    hears(c, a)
    end(c, a)
    t, _ = row(lab, c)
    assert t["outcome"] == "failed" and t["cause"] == "media_incompatible", t


@tap.case("E-033 B answers with codecs that were never offered: media_incompatible")
def e033_codec(lab):
    c, a, b = transferring(lab)
    b.answer(Sdp(audio="18"))
    b.expect("ACK")
    b.expect("BYE")
    final_notify(a, 488)
    assert not c.ended and not a.ended
    hears(c, a)
    end(c, a)
    t, _ = row(lab, c)
    assert t["outcome"] == "failed" and t["cause"] == "media_incompatible", t


@tap.case("E-033 B answers with port 0: media_incompatible")
def e033_port(lab):
    c, a, b = transferring(lab)
    b.answer(Sdp(port=0))
    b.expect("ACK")
    b.expect("BYE")
    final_notify(a, 488)
    hears(c, a)
    end(c, a)
    t, _ = row(lab, c)
    assert t["outcome"] == "failed" and t["cause"] == "media_incompatible", t


@tap.case("E-034 B answers 183 reliably, then 200 without SDP: PRACKed and joined")
def e034(lab):
    c, a, b = transferring(lab, ringing=False)
    b.reply(183, Sdp(), headers=[("Require", "100rel"), ("RSeq", "5")])
    b.expect("PRACK")
    b.reply(200)
    b.expect("ACK")
    joined(c, b)
    final_notify(a, 200)
    end(c, b)


@tap.case("E-035 the target is behind a trunk that challenges: answered, joined")
def e035(lab):
    c, a = talk(lab)
    trunk = lab.trunk()
    a.refer(lab.refer_to(lab.outside(trunk, "777")))
    a.expect((202, 603, 403), method="REFER")
    b = trunk.incoming()
    b.reply(407, headers=[("Proxy-Authenticate", 'Digest realm="c", nonce="n1", algorithm=MD5')])
    b.expect("ACK")
    b.expect("INVITE")
    assert challenge_params(b.invite.get("Proxy-Authorization"))["username"] == f"login{trunk.index}"
    b.answer()
    b.expect("ACK")
    joined(c, b)
    final_notify(a, 200)
    end(c, b)


@tap.case("E-035 the trunk challenges again: the transfer fails with cause auth, A keeps C")
def e035_twice(lab):
    c, a = talk(lab)
    trunk = lab.trunk()
    refer(lab, a, lab.outside(trunk, "777"))
    b = trunk.incoming()
    for n in (1, 2):
        b.reply(407, req=b.invite, headers=[("Proxy-Authenticate",
                                             f'Digest realm="c", nonce="n{n}", algorithm=MD5')])
        b.expect("ACK")
        if n == 1:
            b.expect("INVITE")
    assert final_notify(a) >= 400
    b.expect_none("INVITE", 0.3)
    hears(c, a)
    end(c, a)
    t, _ = row(lab, c)
    assert t["outcome"] == "failed" and t["cause"] == "auth", t


@tap.case("E-036 B's phone is dead (ICMP or silence): failed within T_ring")
def e036(lab):
    c, a = talk(lab)
    target = lab.phone()
    target.close()
    refer(lab, a, target.number)
    told = a.expect("NOTIFY", where=is_final)
    assert sipfrag(told) in (408, 480, 503), str(told)
    assert told.at - a.sent["REFER"].at < 15, "T_ring is 4 s here, and T_setup is 20 s"
    end(c, a)
    t, _ = row(lab, c)
    assert t["outcome"] == "failed" and t["cause"] in ("unreachable", "no_answer"), t


@tap.case("B is not registered: refused in the NOTIFY, A keeps C")
def unregistered(lab):
    c, a = talk(lab)
    target = lab.user()
    refer(lab, a, target.number)
    final_notify(a, 480)
    assert not c.ended
    end(c, a)
    t, _ = row(lab, c)
    assert t["outcome"] == "failed" and t["cause"] == "unreachable", t


if __name__ == "__main__":
    tap.main(lambda: Lab(t={"setup": 8000, "ring": 4000}), jobs=8)
