"""Setting up a leg the hard way: forks, redirection, challenges, 100rel, session timers, routes."""
import os
import re
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import end, joined, pick_up, ring, talk, wait
from segued import Lab
from ua import Sdp, challenge_params, uri_of


def fork(lab):
    """A user with two phones, and a customer who rings both. Returns C and both callees."""
    one = lab.phone()
    two = lab.device(one)
    two.register()
    c = lab.trunk().invite(one.number)
    a, b = one.incoming(), two.incoming()
    a.reply(180)
    b.reply(180)
    c.expect(180)
    return c, a, b


@tap.case("forking: all contacts ring, the first answer wins, R-061 the loser is told why")
def fork_win(lab):
    c, a, b = fork(lab)
    b.answer()
    c.expect(200, method="INVITE")
    c.ack()
    b.expect("ACK")
    cancel = a.expect("CANCEL")
    assert re.search(r"SIP\s*;\s*cause=200", cancel.get("Reason")), cancel.get("Reason")
    joined(c, b)
    end(c, b)
    led = lab.ledger(c)
    assert len([s for s in led.segments if s["talk_ms"] > 0]) == 1, led


@tap.case("forking: one refuses, the other answers")
def fork_one_busy(lab):
    c, a, b = fork(lab)
    a.reply(486)
    a.expect("ACK")
    c.expect_none(486, 0.3)
    pick_up(c, b)
    end(c, b)


@tap.case("forking: all refuse, the customer gets the best answer")
def fork_all_busy(lab):
    c, a, b = fork(lab)
    a.reply(480)
    b.reply(486)
    c.expect(486, method="INVITE")


@tap.case("forking: one 603 ends it for all")
def fork_decline(lab):
    c, a, b = fork(lab)
    a.reply(603)
    b.expect("CANCEL")
    c.expect(603, method="INVITE")


@tap.case("R-007 E-029 both answer at once: the second is ACKed and gets BYE")
def fork_both(lab):
    c, a, b = fork(lab)
    a.manual = b.manual = {"CANCEL"}
    a.answer()
    b.answer()
    c.expect(200, method="INVITE")
    c.ack()
    a.expect("ACK")
    b.expect("ACK")
    wait("one of both got BYE", lambda: a.holds("BYE") + b.holds("BYE") == 1)
    end(c, b if a.ended else a)


@tap.case("R-007 E-029 a proxy forks: two To-tags answer, the second is ACKed and gets BYE")
def fork_downstream(lab):
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    a.answer()
    c.expect(200, method="INVITE")
    c.ack()
    a.expect("ACK")
    a.reply(200, Sdp(), tag="othertag")
    ack = a.expect("ACK")
    bye = a.expect("BYE")
    assert ack.to_tag == bye.to_tag == "othertag", (str(ack), str(bye))
    assert not c.ended
    a.ended = False
    end(c, a)


@tap.case("E-028 3xx to an own number is followed")
def redirect(lab):
    agent, other = lab.phone(), lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    a.reply(302, headers=[("Contact", f"<sip:{other.number}@{lab.domain}>")], contact=False)
    a.expect("ACK")
    b = other.incoming()
    b.reply(180)
    pick_up(c, b)
    joined(c, b)
    end(c, b)


@tap.case("E-028 3xx to a foreign host is not followed")
def redirect_foreign(lab):
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    a.reply(302, headers=[("Contact", "<sip:mallory@evil.example>")], contact=False)
    assert c.expect(range(400, 700), method="INVITE")


@tap.case("E-028 two phones that redirect to each other: an end, after five at most")
def redirect_loop(lab):
    x, y = lab.phone(), lab.phone()
    c = lab.trunk().invite(x.number)
    n = 0
    for phone, other in [(x, y), (y, x)] * 4:
        m = phone.take("INVITE", 1.0)
        if m is None:
            break
        n += 1
        phone.calls[m.call_id].reply(302, headers=[
            ("Contact", f"<sip:{other.number}@{lab.domain}>")], contact=False)
    assert c.expect(range(400, 700), method="INVITE")
    assert n <= 6, n
    x.expect_none("INVITE", 0.2)


@tap.case("E-035 a trunk challenges with 407: answered with its credentials, once")
def trunk_auth(lab):
    agent, trunk = lab.phone(), lab.trunk()
    a = agent.invite(lab.outside(trunk, "555"))
    c = trunk.incoming()
    first = c.invite
    c.reply(407, headers=[("Proxy-Authenticate", 'Digest realm="carrier", nonce="n1", algorithm=MD5, '
                           'qop="auth"')])
    c.expect("ACK")
    req = c.expect("INVITE")
    p = challenge_params(req.get("Proxy-Authorization"))
    assert p["username"] == f"login{trunk.index}" and p["realm"] == "carrier", p
    assert req.cseq == first.cseq + 1 and req.call_id == c.call_id
    c.reply(180)
    a.expect(180)
    pick_up(a, c)
    end(a, c)


@tap.case("E-035 R-065 of several challenges the strongest is answered")
def trunk_auth_sha(lab):
    agent, trunk = lab.phone(), lab.trunk()
    a = agent.invite(lab.outside(trunk, "555"))
    c = trunk.incoming()
    c.reply(401, headers=[
        ("WWW-Authenticate", 'Digest realm="c", nonce="n1", algorithm=SHA-256, qop="auth"'),
        ("WWW-Authenticate", 'Digest realm="c", nonce="n1", algorithm=MD5, qop="auth"')])
    c.expect("ACK")
    req = c.expect("INVITE")
    p = challenge_params(req.get("Authorization"))
    assert p["algorithm"] == "SHA-256" and len(p["response"]) == 64, p
    c.reply(603)
    a.expect(603)


@tap.case("E-035 a second challenge is a failure")
def trunk_auth_twice(lab):
    agent, trunk = lab.phone(), lab.trunk()
    a = agent.invite(lab.outside(trunk, "555"))
    c = trunk.incoming()
    ch = [("WWW-Authenticate", 'Digest realm="c", nonce="n{}", algorithm=MD5')]
    c.reply(401, headers=[(ch[0][0], ch[0][1].format(1))])
    c.expect("ACK")
    c.expect("INVITE")
    c.reply(401, headers=[(ch[0][0], ch[0][1].format(2))])
    assert a.expect(range(400, 700), method="INVITE").status not in (401, 407)
    c.expect_none("INVITE", 0.3)


@tap.case("E-034 R-020 R-021 a phone's reliable 183 gets PRACK")
def prack(lab):
    agent = lab.phone()
    c = lab.trunk().invite(agent.number)
    a = agent.incoming()
    assert "100rel" in a.invite.get("Supported"), a.invite.get("Supported")
    a.reply(183, Sdp(), headers=[("Require", "100rel"), ("RSeq", "100")])
    p = a.expect("PRACK")
    assert p.get("RAck").split() == ["100", str(a.invite.cseq), "INVITE"], p.get("RAck")
    c.expect(183)
    a.reply(180, headers=[("Require", "100rel"), ("RSeq", "101")])
    p = a.expect("PRACK")
    assert p.get("RAck").startswith("101 ")
    a.reply(200)
    ok = c.expect(200, method="INVITE")
    c.ack()
    assert ok.sdp is None or ok.sdp.port() == a.sdp.port
    a.expect("ACK")
    end(c, a)


@tap.case("R-021 a repeated reliable 1xx and one out of order get no new PRACK")
def prack_order(lab):
    agent = lab.phone()
    c = lab.trunk().invite(agent.number)
    a = agent.incoming()
    m = a.reply(180, headers=[("Require", "100rel"), ("RSeq", "7")])
    a.expect("PRACK")
    a.ua.send(m, a.invite.src)
    a.reply(180, headers=[("Require", "100rel"), ("RSeq", "9")])
    a.expect_none("PRACK", 0.4)
    pick_up(c, a)
    end(c, a)


@tap.case("R-020 a caller who requires 100rel gets reliable 1xx; no PRACK that matches: 481")
def prack_required(lab):
    agent, trunk = lab.phone(), lab.trunk()
    c = trunk.invite(agent.number, headers=[("Require", "100rel")])
    a = agent.incoming()
    a.reply(180)
    r = c.expect(180)
    assert "100rel" in r.get("Require") and int(r.get("RSeq")) >= 1, r.headers
    c._do("PRACK", [("RAck", f"{int(r.get('RSeq')) + 5} {r.get('CSeq')}")])
    c.expect(481, method="PRACK")
    c.prack(r)
    c.expect(200, method="PRACK")
    n = trunk.count(180)
    pick_up(c, a)
    assert trunk.count(180) <= n + 1
    end(c, a)


@tap.case("R-020 the next reliable 1xx waits for the PRACK of the one before; RSeq rises by one")
def prack_in_turn(lab):
    agent, trunk = lab.phone(), lab.trunk()
    c = trunk.invite(agent.number, headers=[("Require", "100rel")])
    a = agent.incoming()
    a.reply(180)
    one = c.expect(180)
    assert 1 <= int(one.get("RSeq")) < 2 ** 31, one.headers
    a.reply(183, Sdp())
    c.expect_none(183, 0.3)
    c.prack(one)
    c.expect(200, method="PRACK")
    two = c.expect(183)
    assert int(two.get("RSeq")) == int(one.get("RSeq")) + 1, two.headers
    a.answer(a.sdp)
    c.expect_none(200, 0.3, method="INVITE")  # an answer in a 1xx waits for its PRACK
    c.prack(two)
    c.expect(200, method="PRACK")
    c.expect(200, method="INVITE")
    c.ack()
    a.expect("ACK")
    end(c, a)


@tap.case("R-020 without PRACK the reliable 1xx is repeated")
def prack_repeat(lab):
    agent, trunk = lab.phone(), lab.trunk()
    c = trunk.invite(agent.number, headers=[("Require", "100rel")])
    a = agent.incoming()
    a.reply(180)
    c.expect(180)
    again = c.expect(180)
    c.prack(again)
    c.expect(200, method="PRACK")
    c.cancel()
    c.expect(487)


@tap.case("E-034 an unknown Require: 420 with Unsupported")
def bad_extension(lab):
    agent = lab.phone()
    c = lab.trunk().invite(agent.number, headers=[("Require", "frobnicate")])
    r = c.expect(420)
    assert "frobnicate" in r.get("Unsupported"), r.headers
    agent.expect_none("INVITE", 0.2)


@tap.case("E-034 the phone answers 420 to what we added: repeated once without")
def retry_420(lab):
    agent = lab.phone()
    c = lab.trunk().invite(agent.number)
    a = agent.incoming()
    a.reply(420, headers=[("Unsupported", "timer")])
    a.expect("ACK")
    m = a.expect("INVITE")
    assert "timer" not in m.get("Supported") and "timer" not in m.get("Require"), m.headers
    a.reply(486)
    c.expect(486)


@tap.case("R-060 Session-Expires below the minimum: 422 with Min-SE")
def interval_too_small(lab):
    agent = lab.phone()
    c = lab.trunk().invite(agent.number, headers=[("Session-Expires", "30")])
    r = c.expect(422)
    assert int(r.get("Min-SE")) >= 90, r.headers


@tap.case("E-034 R-060 the phone answers 422: repeated with its Min-SE")
def retry_422(lab):
    agent = lab.phone()
    c = lab.trunk().invite(agent.number)
    a = agent.incoming()
    a.reply(422, headers=[("Min-SE", "2400")])
    a.expect("ACK")
    m = a.expect("INVITE")
    assert int(m.get("Min-SE").split(";")[0]) >= 2400, m.headers
    se = m.get("Session-Expires")
    assert not se or int(se.split(";")[0]) >= 2400, se
    a.reply(486)
    c.expect(486)


@tap.case("R-060 a caller that asks for a timer gets Session-Expires with a refresher")
def session_timer(lab):
    agent = lab.phone()
    c = lab.trunk().invite(agent.number, headers=[("Session-Expires", "180;refresher=uac")])
    a = agent.incoming()
    a.reply(180)
    a.answer()
    ok = c.expect(200, method="INVITE")
    assert ok.get("Session-Expires").replace(" ", "").startswith("180;refresher=uac"), ok.headers
    c.ack()
    a.expect("ACK")
    c.update(headers=[("Session-Expires", "180;refresher=uac"), ("Supported", "timer")])
    r = c.expect(200, method="UPDATE")
    assert r.get("Session-Expires").startswith("180"), r.headers
    a.expect_none("UPDATE", 0.2)
    end(c, a)


@tap.case("E-055 a refresh by re-INVITE with the same SDP is answered here, the other side rests")
def refresh_local(lab):
    c, a = talk(lab)
    ok = c.reinvite(c.sdp)
    assert ok.sdp and ok.sdp.port() == a.sdp.port
    a.expect_none("INVITE", 0.3)
    end(c, a)


@tap.case("R-005 Record-Route becomes the route set, in the right order on both sides")
def record_route(lab):
    agent, trunk = lab.phone(), lab.trunk()
    me = f"<sip:{trunk.hostport};lr;x=1>"
    c = trunk.invite(agent.number, headers=[("Record-Route", me),
                                            ("Record-Route", "<sip:203.0.113.1;lr>")])
    a = agent.incoming()
    rr = [("Record-Route", "<sip:203.0.113.9;lr>"), ("Record-Route", f"<sip:{agent.hostport};lr;y=2>")]
    a.reply(180, headers=rr)
    r = c.expect(180)
    assert r.all("Record-Route") == [me, "<sip:203.0.113.1;lr>"], r.headers
    a.reply(200, a.fitting(a.invite.sdp), headers=rr)
    c.expect(200, method="INVITE")
    c.routes = []
    c.ack()
    ack = a.expect("ACK")
    assert ack.all("Route") == [f"<sip:{agent.hostport};lr;y=2>", "<sip:203.0.113.9;lr>"], ack.headers
    a.bye()
    a.expect(200, method="BYE")
    bye = c.expect("BYE")
    assert bye.all("Route") == [me, "<sip:203.0.113.1;lr>"], bye.headers
    assert bye.uri == trunk.contact


@tap.case("R-005 a strict router: its URI becomes the Request-URI")
def strict_route(lab):
    agent, trunk = lab.phone(), lab.trunk()
    c = trunk.invite(agent.number, headers=[("Record-Route", f"<sip:strict@{trunk.hostport}>")])
    a = agent.incoming()
    a.answer()
    c.expect(200, method="INVITE")
    c.routes = []
    c.ack()
    a.expect("ACK")
    a.bye()
    a.expect(200, method="BYE")
    bye = c.expect("BYE")
    assert bye.uri == f"sip:strict@{trunk.hostport}", bye.start
    assert uri_of(bye.all("Route")[-1]) == trunk.contact, bye.headers


@tap.case("R-010 re-INVITE while our own is pending: 491")
def glare_491(lab):
    c, a = talk(lab)
    c.manual = {"INVITE"}
    a.do_invite(a.sdp.copy(dir="sendonly"))
    req = c.expect("INVITE")
    c.do_invite(c.sdp.copy(dir="sendonly"))
    c.expect(491, method="INVITE")
    c.reply(200, c.fitting(req.sdp), req=req)
    ok = a.expect(200, method="INVITE")
    a.ack(cseq=ok.cseq)
    c.expect("ACK")
    c.manual = set()
    end(c, a)


@tap.case("R-010 a second re-INVITE before the first is answered: 500 with Retry-After")
def overlapping(lab):
    c, a = talk(lab)
    a.manual = {"INVITE"}
    first = c.do_invite(c.sdp.copy(dir="sendonly"))
    req = a.expect("INVITE")
    c.do_invite(c.sdp.copy(dir="sendrecv"))
    r = c.expect(500, method="INVITE")
    assert 0 <= int(r.get("Retry-After").split()[0].split(";")[0]) <= 10, r.headers
    a.manual = set()
    a.reply(200, a.fitting(req.sdp), req=req)
    c.expect(200, method="INVITE")
    c.ack(cseq=first.cseq)
    a.expect("ACK")
    end(c, a)


@tap.case("R-023 UPDATE while their UPDATE or re-INVITE is unanswered: 500 with Retry-After 0 to 10")
def overlapping_update(lab):
    for first in (lambda c: c.update(c.sdp.copy(dir="sendonly")),
                  lambda c: c.do_invite(c.sdp.copy(dir="sendonly"))):
        c, a = talk(lab)
        a.manual = {"INVITE", "UPDATE"}
        first(c)
        req = a.expect(("INVITE", "UPDATE"))
        c.update(c.sdp.copy(dir="sendrecv"))
        r = c.expect(500, method="UPDATE")
        assert 0 <= int(r.get("Retry-After").split()[0].split(";")[0]) <= 10, r.headers
        a.manual = set()
        a.reply(200, a.fitting(req.sdp), req=req)
        ok = c.expect(200, where=lambda m: m.method in ("INVITE", "UPDATE"))
        if ok.method == "INVITE":
            c.ack(cseq=ok.cseq)
        end(c, a)


@tap.case("R-023 an UPDATE that the other side refuses: 488 comes back, the session stays")
def refused_update(lab):
    c, a = talk(lab)
    a.manual = {"INVITE", "UPDATE"}
    c.update(c.sdp.copy(port=c.sdp.port + 2))
    a.reply(488, req=a.expect(("INVITE", "UPDATE")))
    c.expect(488, method="UPDATE")
    a.manual = set()
    ok = a.reinvite(a.sdp.copy(port=a.sdp.port + 2))
    assert ok.sdp.port() in (c.sdp.port - 2, c.sdp.port)
    end(c, a)


@tap.case("E-044 BYE while a re-INVITE is pending: BYE 200, re-INVITE 487, the other leg ends")
def bye_pending(lab):
    c, a = talk(lab)
    a.manual = {"INVITE"}
    c.do_invite(c.sdp.copy(dir="sendonly"))
    req = a.expect("INVITE")
    c.bye()
    c.expect(200, method="BYE")
    c.expect(487, method="INVITE")
    a.reply(200, a.fitting(req.sdp), req=req)
    a.expect("ACK")
    a.expect("BYE")


@tap.case("E-045 CANCEL of a re-INVITE does not end the dialog")
def cancel_reinvite(lab):
    c, a = talk(lab)
    a.manual = {"INVITE"}
    c.do_invite(c.sdp.copy(dir="sendonly"))
    req = a.expect("INVITE")
    c.cancel()
    c.expect(200, method="CANCEL")
    c.expect(487, method="INVITE")
    a.manual = set()
    a.reply(200, a.fitting(req.sdp), req=req)
    a.expect("ACK")
    assert not a.ended and not c.ended
    end(c, a)


@tap.case("R-009 a refused re-INVITE leaves the call as it was; 488 passes back")
def refused_reinvite(lab):
    c, a = talk(lab)
    a.manual = {"INVITE"}
    c.do_invite(c.sdp.copy(dir="sendonly"))
    req = a.expect("INVITE")
    a.manual = set()
    a.reply(488, req=req)
    assert c.expect((488, 500), method="INVITE").status == 488
    end(c, a)


for _status in (481, 408):
    def _gone(lab, status=_status):
        c, a = talk(lab)
        a.manual = {"INVITE"}
        c.do_invite(c.sdp.copy(dir="sendonly"))
        req = a.expect("INVITE")
        a.reply(status, req=req)
        r = c.expect(range(200, 700), method="INVITE")
        if r.status == 200:
            c.ack(cseq=r.cseq)
        c.expect("BYE")
        assert lab.ledger(c).conversation["ended_at"]
    tap.case(f"R-009 {_status} to a re-INVITE ends the call")(_gone)


if __name__ == "__main__":
    tap.main(lambda: Lab(t={"setup": 8000}))
