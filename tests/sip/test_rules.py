"""Rules of the RFCs that no case is about: crossings, roll-back, what a list of headers tells."""
import os
import sys
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
import ua
from flows import (end, final_notify, hears, joined, pick_up, refer, ring, talk, transfer, wait)
from segued import Lab
from ua import Sdp, uri_of

NOBODY = "0" * 32


def offering(lab):
    """C and A talk; A's re-INVITE has reached C, who does not answer yet. C, A, that request."""
    c, a = talk(lab)
    c.manual = {"INVITE"}
    a.do_invite(a.sdp.copy(dir="sendonly"))
    return c, a, c.expect("INVITE")


# ---- session timers; first, since they take their time while the others run ---------------


@tap.case("R-060 we refresh at half-time, after a join too; what is answered keeps the call")
def refreshed(lab):
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent, headers=[("Session-Expires", "90;refresher=uas")])
    a.answer()
    ok = c.expect(200, method="INVITE")
    assert ok.get("Session-Expires").replace(" ", "") == "90;refresher=uas", ok.headers
    c.ack()
    a.expect("ACK")
    c.mine = lambda m: m.has("Session-Expires")
    refer(lab, a, (target := lab.phone()).number)
    b = target.incoming()
    b.answer()
    for due in (ua.WAIT, 80):  # the join, then the refresh 45 s later
        asked = time.monotonic()
        m = c.expect(("INVITE", "UPDATE"), timeout=due)
        assert m.get("Session-Expires").replace(" ", "") == "90;refresher=uac", m.headers
        c.reply(200, c.fitting(m.sdp) if m.sdp else None, req=m,
                headers=[("Session-Expires", "90;refresher=uac"), ("Require", "timer")])
    assert time.monotonic() - asked > 40, "that was no refresh at half-time"
    final_notify(a, 200)
    c.mine = None
    end(c, b)


@tap.case("R-060 no refresh from the side that promised it: BYE to both before the end, with Reason")
def expired(lab):
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    a.answer(headers=[("Session-Expires", "90;refresher=uas"), ("Require", "timer")])
    c.expect(200, method="INVITE")
    c.ack()
    a.expect("ACK")
    started = time.monotonic()
    bye = a.expect("BYE", timeout=100)
    assert time.monotonic() - started > 55, "the phone had 60 s"
    assert "cause=408" in bye.get("Reason"), bye.headers
    c.expect("BYE")
    assert lab.ledger(c).conversation["talk_ms"] > 55000


# ---- what nobody acknowledges, 64 * T1 long ------------------------------------------


def unacknowledged(transport):
    def run(lab):
        agent, caller = lab.phone(), lab.phone(transport=transport)
        c, a = ring(caller, agent.number, agent)
        a.answer()
        c.expect(200, method="INVITE")
        a.expect("ACK")
        started = time.monotonic()
        c.expect("BYE", timeout=60)
        assert 28 < time.monotonic() - started < 50, "the ACK may take 64*T1"
        a.expect("BYE")
        mine = lambda m: m.call_id == c.call_id and m.method == "INVITE"
        assert caller.count(200, where=mine) >= 8, "T1, 2*T1 .. T2 until then"
        assert lab.ledger(c).conversation["talk_ms"] == 0
    return run


for _transport in ("udp", "tcp"):
    tap.case(f"R-008 a caller on {_transport.upper()} never sends ACK: 200 again and again, "
             "BYE after 64*T1")(unacknowledged(_transport))


@tap.case("R-020 a reliable 1xx that is never PRACKed: the call is refused after 64*T1")
def unpracked(lab):
    agent = lab.phone()
    c = lab.trunk().invite(agent.number, headers=[("Require", "100rel")])
    a = agent.incoming()
    a.reply(180)
    c.expect(180)
    r = c.expect(range(400, 700), timeout=60, method="INVITE")
    assert r.status >= 500, str(r)
    a.expect("CANCEL")


# ---- reasons and identities -------------------------------------------------------


@tap.case("R-061 the Reason of a BYE passes; the BYE to a transferor has our own")
def reasons(lab):
    c, a = talk(lab)
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    b.reply(180)
    b.answer()
    joined(c, b)
    final_notify(a, 200)
    assert "cause=200" in a.expect("BYE").get("Reason")
    b.bye(headers=[("Reason", 'Q.850;cause=31;text="Odd end"')]).expect(200, method="BYE")
    bye = c.expect("BYE")
    assert "cause=31" in bye.get("Reason"), bye.headers


@tap.case("R-062 who calls anonymously stays so on the transferred leg; his identity, if trusted")
def anonymous(lab):
    headers = [("P-Asserted-Identity", "<sip:+4930777@carrier.example>"), ("Privacy", "id")]
    for trusted in (True, False):
        agent, trunk = lab.phone(), lab.trunk(trusted=True)
        out = lab.trunk(trusted=trusted)
        c = trunk.invite(agent.number, headers=headers,
                         from_uri="sip:anonymous@anonymous.invalid")
        a = agent.incoming()
        pick_up(c, a)
        refer(lab, a, lab.outside(out, "4711"))
        b = out.incoming()
        for x in (a, b):
            assert "anonymous" in x.invite.get("From") and "777" not in x.invite.get("From")
        assert ("+4930777" in b.invite.get("P-Asserted-Identity")) == trusted, b.invite.headers
        assert b.invite.has("Privacy") == trusted, b.invite.headers
        b.reply(486)
        final_notify(a, 486)
        end(c, a)


# ---- who may send BYE, and when ------------------------------------------------------


@tap.case("R-011 the caller sends BYE into the early dialog: 200, INVITE 487, the phone stops")
def bye_early(lab):
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    c.bye()
    c.expect(200, method="BYE")
    c.expect(487, method="INVITE")
    a.expect("CANCEL")


@tap.case("R-011 the agent hangs up before the caller's ACK: the caller gets BYE only after it")
def bye_before_ack(lab):
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    a.answer()
    a.expect("ACK")
    c.expect(200, method="INVITE")
    a.hangup()
    c.expect_none("BYE")
    c.ack()
    c.expect("BYE")


@tap.case("R-011 BYE of a dialog that is over: 481; a repeated BYE: the same 200")
def bye_twice(lab):
    c, a = talk(lab)
    end(c, a)
    c.ua.send(c.sent["BYE"], c.where())
    wait("the 200 to BYE came again", lambda: c.ua.count(200, where=lambda m: (
        m.method == "BYE" and m.call_id == c.call_id)) >= 2)
    c.bye()
    c.expect(481, method="BYE")


# ---- RFC 5407 ------------------------------------------------------------------------


@tap.case("R-012 RFC 5407 3.1.5: our re-INVITE crosses C's BYE: 200, the call ends, ACK of its 481")
def reinvite_bye(lab):
    c, a, req = offering(lab)
    c.bye()
    c.expect(200, method="BYE")
    c.reply(481, req=req)
    c.expect("ACK")
    r = a.expect((200, 487, 481, 500), method="INVITE")
    if r.status == 200:
        a.ack(cseq=r.cseq)
    a.expect("BYE")


@tap.case("R-012 RFC 5407 3.3.3: C's BYE crosses its own 2xx to our re-INVITE: ACKed, one BYE to A")
def bye_reinvite_2xx(lab):
    c, a, req = offering(lab)
    c.bye()
    c.reply(200, c.fitting(req.sdp), req=req)
    c.expect(200, method="BYE")
    c.expect("ACK")
    a.expect("BYE")
    a.expect_none("BYE")


@tap.case("R-012 RFC 5407 3.1.3: INVITE comes again after our 200 and before ACK: no second call")
def invite_after_2xx(lab):
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    a.answer()
    ok = c.expect(200, method="INVITE")
    c.ua.send(c.last_invite, c.ua.server)
    again = c.expect(200, method="INVITE")
    assert (again.to_tag, again.cseq, again.body) == (ok.to_tag, ok.cseq, ok.body)
    c.ack()
    a.expect("ACK")
    agent.expect_none("INVITE", 0.2)
    end(c, a)


@tap.case("R-012 RFC 5407 3.1.4: A's re-INVITE overtakes its ACK: served once the ACK is there")
def reinvite_before_ack(lab):
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    a.answer()
    ok = c.expect(200, method="INVITE")
    first = c.last_invite.cseq
    req = c.do_invite(c.sdp.copy(port=c.sdp.port + 2))
    early = c.expect((200, 491, 500), method="INVITE", where=lambda m: m.cseq == req.cseq)
    c.ack(cseq=first)
    assert ok.cseq == first
    if early.status == 200:
        c.ack(cseq=req.cseq)
    else:
        c.reinvite(c.sdp.copy())
    joined(c, a)
    end(c, a)


@tap.case("R-012 RFC 5407 3.2: UPDATE and re-INVITE of both sides cross: 491, then both agree")
def update_reinvite(lab):
    c, a, req = offering(lab)
    c.update(c.sdp.copy(port=c.sdp.port + 2))
    c.expect(491, method="UPDATE")
    c.reply(200, c.fitting(req.sdp), req=req)
    ok = a.expect(200, method="INVITE")
    a.ack(cseq=ok.cseq)
    c.expect("ACK")
    c.manual = set()
    c.update(c.sdp.copy(port=c.sdp.port + 4, dir="sendrecv"))
    c.expect(200, method="UPDATE")
    wait("A was told C's newest port", lambda: a.remote_sdp.port() == c.sdp.port)
    end(c, a)


@tap.case("R-012 RFC 5407 3.3.1: A's REFER crosses C's BYE: refused or ended, nobody is left")
def refer_bye(lab):
    c, a = talk(lab)
    target = lab.phone()
    a.manual = {"BYE"}
    c.bye()
    bye = a.expect("BYE")
    a.refer(lab.refer_to(target.number))
    a.expect(481, method="REFER")
    c.expect(200, method="BYE")
    a.reply(200, req=bye)
    target.expect_none("INVITE", 0.2)


# ---- a refused re-INVITE leaves nothing behind ------------------------------------------


@tap.case("R-013 a refused re-INVITE: neither its Contact nor its SDP stay")
def rolled_back(lab):
    c, a = talk(lab, trunk=lab.trunk())
    was, port = c.ua.contact, c.sdp.port
    a.manual = {"INVITE"}
    c.ua.contact = f"sip:moved@{c.ua.hostport}"
    try:
        c.do_invite(c.sdp.copy(port=port + 2))
    finally:
        c.ua.contact = was
    a.reply(488, req=a.expect("INVITE"))
    a.expect("ACK")
    c.expect(488, method="INVITE")
    a.manual = set()
    ok = a.reinvite(a.sdp.copy(port=a.sdp.port + 2))
    assert c.expect("INVITE").uri == was
    assert ok.sdp.port() == port + 2 or ok.sdp.port() == c.sdp.port
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    assert b.invite.uri != was and b.remote_sdp.port() == c.sdp.port
    b.reply(486)
    final_notify(a, 486)
    end(c, a)


@tap.case("R-013 the Contact of a re-INVITE that is answered stays")
def moved(lab):
    c, a = talk(lab)
    was = c.ua.contact
    c.ua.contact = f"sip:moved@{c.ua.hostport}"
    try:
        c.reinvite(c.sdp.copy(port=c.sdp.port + 2))
        a.update(a.sdp.copy(port=a.sdp.port + 2))
        a.expect(200, method="UPDATE")
        m = c.expect(("INVITE", "UPDATE"))
        assert m.uri == f"sip:moved@{c.ua.hostport}", m.uri
        end(c, a)
    finally:
        c.ua.contact = was


# ---- transport ------------------------------------------------------------------


@tap.case("R-014 requests of over 1300 bytes reach phones on UDP whole, and those on TCP by TCP")
def large(lab):
    for transport in ("udp", "tcp"):
        agent = lab.phone(transport=transport)
        c, a = ring(lab.trunk(), agent.number, agent,
                    headers=[(f"X-Filler-{i}", "y" * 200) for i in range(8)])
        i = a.invite
        assert len(i.raw) > 1600 and i.get("X-Filler-7") == "y" * 200
        assert f"/{transport.upper()}" in i.get("Via"), i.get("Via")
        pick_up(c, a)
        end(c, a)


@tap.case("R-014 rport is in every Via of ours on UDP")
def rport(lab):
    c, a = talk(lab)
    end(c, a)
    for x in (c, a):
        vias = [m.get("Via") for way, m in x.ua.log
                if way == "<-" and m.is_request and m.call_id == x.call_id]
        assert x is c or vias
        assert all("rport" in v for v in vias), vias


@tap.case("R-016 no 408 to anything but INVITE, and no 1xx but 100")
def no_408(lab):
    c, a = talk(lab)
    a.manual = {"INFO"}
    c.send(c.request("INFO", body="Signal=1\r\n", ctype="application/dtmf-relay"))
    a.reply(408, req=a.expect("INFO"))
    assert c.expect(range(200, 700), method="INFO").status == 500
    a.manual = set()
    end(c, a)
    assert not c.ua.count(range(101, 200), where=lambda m: m.method != "INVITE")


# ---- offers and answers ---------------------------------------------------


@tap.case("R-022 the answer that a 183 showed is the answer of the 200")
def preview(lab):
    agent = lab.phone()
    c = lab.trunk().invite(agent.number)
    a = agent.incoming()
    a.reply(183, Sdp())
    early = c.expect(183)
    a.answer(a.sdp)
    ok = c.expect(200, method="INVITE")
    c.ack()
    a.expect("ACK")
    assert early.body == ok.body, (early.text, ok.text)
    end(c, a)


@tap.case("R-022 an answer in a reliable 183 settles it: the 200 needs none")
def settled_early(lab):
    agent = lab.phone()
    c = lab.trunk().invite(agent.number)
    a = agent.incoming()
    a.reply(183, Sdp(), headers=[("Require", "100rel"), ("RSeq", "1")])
    a.expect("PRACK")
    a.reply(200)
    ok = c.expect(200, method="INVITE")
    c.ack()
    a.expect("ACK")
    assert ok.sdp.port() == a.sdp.port
    end(c, a)


@tap.case("R-034 B is offered what C said last; C then B's answer; a new answer of C goes to B")
def flow(lab):
    c, a = talk(lab)
    c.reinvite(c.sdp.copy(port=c.sdp.port + 2))
    hears(a, c)
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    assert b.invite.sdp.port() == c.sdp.port
    b.reply(180)
    c.expect_none("INVITE", 0.2)  # while a person rings C keeps what it has
    c.manual = {"INVITE"}
    b.answer()
    req = c.expect("INVITE")
    assert req.sdp.port() == b.sdp.port
    c.manual = set()
    c.reply(200, c.fitting(req.sdp).copy(port=c.sdp.port + 4), req=req)
    joined(c, b)
    final_notify(a, 200)
    end(c, b)


@tap.case("R-035 C refuses the join: C's next exchange with A has the old session; A's passes")
def restored(lab):
    c, a = talk(lab)
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    b.reply(180)
    c.manual = {"INVITE"}
    b.answer()
    c.reply(488, req=c.expect("INVITE"))
    c.manual = set()
    b.expect("BYE")
    assert final_notify(a) >= 400
    ok = a.reinvite(a.sdp.copy(port=a.sdp.port + 2))
    assert ok.sdp.port() == c.sdp.port
    joined(c, a)
    c.reinvite(c.sdp.copy(port=c.sdp.port + 2))
    joined(c, a)
    end(c, a)


# ---- E-058: what headers tell ----------------------------------------------------


@tap.case("R-063 Diversion and History-Info stay whole and in order, on the transferred leg too")
def history(lab):
    told = [("Diversion", "<sip:900@pbx.example>;reason=user-busy;counter=1"),
            ("Diversion", "<sip:800@pbx.example>;reason=no-answer;counter=1"),
            ("History-Info", "<sip:800@pbx.example>;index=1, <sip:900@pbx.example>;index=1.1"),
            ("History-Info", "<sip:901@pbx.example>;index=1.1.1")]
    c, a = talk(lab, headers=told)
    b = transfer(lab, c, a, lab.phone())
    for x in (a, b):
        users = [uri_of(v) for v in x.invite.all("Diversion")]
        assert users == ["sip:900@pbx.example", "sip:800@pbx.example"], users
        index = [v.split("index=")[1] for v in x.invite.all("History-Info")]
        assert index == ["1", "1.1", "1.1.1"], index
    end(c, b)


@tap.case("R-067 Session-ID: both halves pass; after a join each side is told the other's")
def session_id(lab):
    of_c, of_a, of_b = (d * 32 for d in "cab")
    agent, target = lab.phone(), lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent,
                headers=[("Session-ID", f"{of_c};remote={NOBODY}")])
    assert a.invite.get("Session-ID") == f"{of_c};remote={NOBODY}"
    a.answer(headers=[("Session-ID", f"{of_a};remote={of_c}")])
    ok = c.expect(200, method="INVITE")
    assert ok.get("Session-ID") == f"{of_a};remote={of_c}", ok.get("Session-ID")
    c.ack()
    a.expect("ACK")
    refer(lab, a, target.number)
    b = target.incoming()
    assert b.invite.get("Session-ID") == f"{of_c};remote={NOBODY}", b.invite.get("Session-ID")
    b.reply(180)
    b.answer(headers=[("Session-ID", f"{of_b};remote={of_c}")])
    req = c.expect("INVITE")
    assert req.get("Session-ID") == f"{of_b};remote={of_c}", req.get("Session-ID")
    joined(c, b)
    final_notify(a, 200)
    end(c, b)


@tap.case("R-067 a malformed Session-ID stays behind")
def session_id_bad(lab):
    agent = lab.phone()
    for bad in ("c" * 31, "C" * 32, "c" * 33, "hello"):
        c, a = ring(lab.trunk(), agent.number, agent, headers=[("Session-ID", bad)])
        assert not a.invite.has("Session-ID"), a.invite.get("Session-ID")
        c.cancel()
        c.expect(487)


@tap.case("E-058 RFC 5876 the join tells C who B is; met by 491 it is told again")
def connected_line(lab):
    asserted = "<sip:+4930123@carrier.example>"
    c, a = talk(lab, trunk=lab.trunk(trusted=True))
    far = lab.trunk(trusted=True)
    refer(lab, a, lab.outside(far, "123"))
    b = far.incoming()
    b.reply(180)
    c.manual = {"INVITE"}
    b.answer(headers=[("P-Asserted-Identity", asserted)])
    b.expect("ACK")
    req = c.expect("INVITE")
    assert req.get("P-Asserted-Identity") == asserted, req.headers
    c.reply(491, req=req)
    again = c.expect("INVITE")
    assert again.get("P-Asserted-Identity") == asserted, again.headers
    c.manual = set()
    c.reply(200, c.fitting(again.sdp), req=again)
    joined(c, b)
    final_notify(a, 200)
    end(c, b)


@tap.case("E-071 REFER to the customer's own number, who is in the call: refused")
def already_party(lab):
    customer, agent = lab.phone(), lab.phone()
    c, a = ring(customer, agent.number, agent)
    pick_up(c, a)
    a.refer(lab.refer_to(customer.number))
    a.expect(403, method="REFER")
    customer.expect_none("INVITE", 0.2)
    end(c, a)
    wait("there is an audit row that says so", lambda: lab.rows(
        f"select 1 from segue.audit where who = '{agent.user}' and why = 'already_party'"))


if __name__ == "__main__":
    tap.main(lambda: Lab(t={"setup": 60000}))
