"""Plain calls: both directions, every way to ring, refuse and end; what passes and what is ours."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import arrived, booked, end, hears, joined, pick_up, ring, talk, wait
from segued import Lab
from ua import Sdp, tag_of, uri_of


@tap.case("a customer calls an agent: signalling and rows")
def inbound(lab):
    agent = lab.phone()
    c, a = talk(lab, agent)
    joined(c, a)
    end(c, a)
    led = lab.ledger(c)
    conv = led.conversation
    assert conv["kind"] == "inbound", conv
    assert conv["customer_number"] == c.ua.user, conv
    assert len(led.segments) == 1 and led.segments[0]["who"] == agent.user, led
    s = led.segments[0]
    assert s["kind"] == "agent" and s["talk_ms"] > 0 and s["ring_ms"] >= 0, s
    assert conv["talk_ms"] == s["talk_ms"], led
    for t in ("conversation_started", "offered", "answered", "conversation_ended"):
        assert t in led.types(), led.types()


@tap.case("R-005 each leg has its own Call-ID, tags, CSeq and Contact; R-001 Max-Forwards minus one")
def own_dialogs(lab):
    c, a = talk(lab)
    assert c.call_id != a.call_id
    assert c.local_tag != a.remote_tag and a.invite.from_tag != c.local_tag
    assert a.invite.get("Max-Forwards") == "69", a.invite.get("Max-Forwards")
    assert str(lab.port) in a.invite.get("Contact"), a.invite.get("Contact")
    assert str(lab.port) in c.target, c.target
    end(a, c)


@tap.case("an agent calls out through a trunk")
def outbound(lab):
    agent, trunk = lab.phone(), lab.trunk()
    a, c = ring(agent, lab.outside(trunk, "5551234"), trunk)
    assert c.invite.uri.startswith("sip:5551234@"), c.invite.uri
    pick_up(a, c)
    joined(a, c)
    end(c, a)
    led = lab.ledger(a)
    assert led.conversation["kind"] == "outbound", led.conversation
    assert led.conversation["talk_ms"] > 0


@tap.case("an agent calls an agent")
def internal(lab):
    one, two = lab.phone(), lab.phone()
    a, b = ring(one, two.number, two)
    assert one.number in b.invite.get("From"), b.invite.get("From")
    pick_up(a, b)
    joined(a, b)
    end(a, b)
    assert lab.ledger(a).conversation["kind"] == "internal"


@tap.case("INVITEs of users are challenged; a wrong password gets no call")
def wrong_password(lab):
    one, two = lab.phone(), lab.phone()
    one.password = "wrong"
    c = one.invite(two.number)
    assert c.expect((401, 403, 407)).status
    two.expect_none("INVITE")


@tap.case("a number that nobody has: 404")
def nobody(lab):
    c = lab.trunk().invite("7999999")
    c.expect(404)


@tap.case("a user without a registered phone: 480")
def unregistered(lab):
    user = lab.user()
    c = lab.trunk().invite(user.number)
    c.expect(480)
    led = lab.ledger(c)
    assert led.conversation["talk_ms"] == 0 and led.conversation["outcome"] != "answered"


@tap.case("the agent is busy: 486 passes, with Reason; the row says failed")
def busy(lab):
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    a.reply(486, headers=[("Reason", "Q.850;cause=17")])
    assert "cause=17" in c.expect(486).get("Reason")
    a.expect("ACK")
    led = lab.ledger(c)
    assert led.segments[0]["talk_ms"] == 0, led
    assert led.conversation["outcome"] == "failed", led.conversation


@tap.case("R-003 the customer cancels: 200 to CANCEL, 487, the phone stops ringing")
def cancel(lab):
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    c.cancel()
    c.expect(200, method="CANCEL")
    c.expect(487)
    a.expect("CANCEL")
    a.expect("ACK")
    led = lab.ledger(c)
    assert led.conversation["outcome"] == "abandoned", led.conversation
    assert led.conversation["talk_ms"] == 0


@tap.case("R-003 CANCEL before any 1xx from the phone: it is stopped once it rings")
def cancel_early(lab):
    agent = lab.phone()
    c = lab.trunk().invite(agent.number)
    a = agent.incoming()
    c.cancel()
    c.expect(200, method="CANCEL")
    c.expect(487)
    a.expect_none("CANCEL", 0.2)
    a.reply(180)
    a.expect("CANCEL")


@tap.case("R-004 E-016 our CANCEL crosses the 200: ACK, then BYE; nobody talked")
def cancel_race(lab):
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    a.manual = {"CANCEL"}
    c.cancel()
    c.expect(487)
    req = a.expect("CANCEL")
    a.answer()
    a.reply(200, req=req)
    ack = a.expect("ACK")
    assert ack.cseq == a.invite.cseq
    assert a.expect("BYE").cseq > ack.cseq
    assert lab.ledger(c).conversation["talk_ms"] == 0


@tap.case("R-003 CANCEL after our 200 changes nothing")
def cancel_late(lab):
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    a.answer()
    c.expect(200, method="INVITE")
    c.cancel()
    c.expect((200, 481), method="CANCEL")  # RFC 3261 17.2.1: its transaction is gone; RFC 6026: not yet
    c.ack()
    a.expect("ACK")
    a.expect_none("BYE")
    end(c, a)


@tap.case("the phone rings out: CANCEL, 408 to the customer")
def ring_out(lab):
    agent = lab.phone()
    c = lab.trunk().invite(agent.number)
    a = agent.incoming()
    a.reply(180)
    a.expect("CANCEL")
    c.expect(408)
    s = lab.ledger(c).segments[0]
    assert s["talk_ms"] == 0 and s["ring_ms"] > 1000, s


@tap.case("the agent hangs up first; released_by says so")
def agent_ends(lab):
    c, a = talk(lab)
    end(a, c)
    led = lab.ledger(c)
    assert led.conversation["ended_by"] == "agent", led.conversation


@tap.case("a caller of whose phone nothing is heard gets a 100, once, before he would call again")
def trying(lab):
    agent, trunk = lab.phone(), lab.trunk()
    c = trunk.invite(agent.number)
    a = agent.incoming()
    tried = lambda: [m for way, m in trunk.log if way == "<-" and m.status == 100 and m.call_id == c.call_id]
    wait("a 100 has come", tried)
    c.send(c.invite)  # the INVITE again: the same answer again
    wait("the 100 came again", lambda: len(tried()) == 2)
    a.reply(180)
    c.expect(180)
    pick_up(c, a)
    end(c, a)
    assert len(tried()) == 2, tried()


@tap.case("both hang up at once: both get 200, one row")
def both_end(lab):
    c, a = talk(lab)
    a.manual = {"BYE"}  # its answer would end the dialog, were it faster than its own BYE
    c.bye()
    a.bye()
    c.expect(200, method="BYE")
    a.expect(200, method="BYE")
    a.manual = set()
    crossed = a.take("BYE", 0)
    if crossed:
        a.reply(200, req=crossed)
    led = lab.ledger(c)
    assert led.types().count("conversation_ended") == 1, led.types()


@tap.case("early media: SDP of a 183 passes, the 200's stays with it")
def early_media(lab):
    agent, trunk = lab.phone(), lab.trunk()
    c = trunk.invite(agent.number)
    a = agent.incoming()
    sdp = Sdp()
    a.reply(183, sdp)
    r = c.expect(183)
    assert r.sdp and r.sdp.port() == sdp.port, str(r)
    a.answer(sdp)
    ok = c.expect(200, method="INVITE")
    assert ok.sdp is None or ok.sdp.port() == sdp.port
    c.ack()
    a.expect("ACK")
    end(c, a)


@tap.case("late offer: the customer's INVITE has no SDP, the answer comes in the ACK (R-033)")
def late_offer(lab):
    agent = lab.phone()
    c = lab.trunk().invite(agent.number, late=True)
    a = agent.incoming()
    assert a.invite.sdp is None or a.invite.sdp.port(), str(a.invite)
    a.reply(180)
    a.reply(200, Sdp())
    ok = c.expect(200, method="INVITE")
    assert ok.sdp and ok.sdp.port() == a.sdp.port, str(ok)
    answer = Sdp()
    c.ack(answer)
    ack = a.expect("ACK")
    if a.invite.sdp is None:
        assert ack.sdp and ack.sdp.port() == answer.port, str(ack)
    end(c, a)


@tap.case("E-048 R-033 late offer: the phone's 200 comes again and gets the same ACK, answer and all")
def late_offer_again(lab):
    agent = lab.phone()
    c = lab.trunk().invite(agent.number, late=True)
    a = agent.incoming()
    assert a.invite.sdp is None, str(a.invite)
    again = a.reply(200, Sdp())
    c.expect(200, method="INVITE")
    answer = Sdp()
    c.ack(answer)
    one = a.expect("ACK")
    assert one.sdp.port() == answer.port, str(one)
    a.ua.send(again, a.invite.src)
    two = a.expect("ACK")
    assert (two.cseq, two.body, two.to_tag) == (one.cseq, one.body, one.to_tag), two.text
    end(c, a)


@tap.case("R-053 Supported: replaces and Allow on every leg")
def capabilities(lab):
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    a.answer()
    ok = c.expect(200, method="INVITE")
    c.ack()
    for m in (a.invite, ok):
        assert "replaces" in m.get("Supported"), str(m) + m.get("Supported")
        for method in ("REFER", "NOTIFY", "UPDATE", "PRACK", "INFO"):
            assert method in m.get("Allow"), m.get("Allow")
    end(c, a)


@tap.case("header policy: what passes and what never does")
def headers(lab):
    agent, trunk = lab.phone(), lab.trunk()
    c, a = ring(trunk, agent.number, agent, headers=[
        ("Subject", "about the bill"), ("User-to-User", "3132;encoding=hex"), ("X-Shop", "berlin"),
        ("Diversion", "<sip:900@pbx.example>;reason=user-busy"),
        ("History-Info", "<sip:900@pbx.example>;index=1"),
        ("Session-ID", "0123456789abcdef0123456789abcdef"),
        ("Organization", "internal"), ("Warning", '399 x "y"'), ("Route", f"<sip:{lab.ip}:{lab.port};lr>")])
    i = a.invite
    assert i.get("Subject") == "about the bill"
    assert i.get("User-to-User").startswith("3132") and i.get("X-Shop") == "berlin"
    assert "900@" in i.get("Diversion") and "index=1" in i.get("History-Info")
    assert "0123456789abcdef0123456789abcdef" in i.get("Session-ID")
    for never in ("Route", "Warning", "Authorization", "Record-Route"):
        assert not i.has(never), f"{never}: {i.get(never)}"
    assert len(i.all("Via")) == 1
    c.cancel()
    c.expect(487)


@tap.case("R-062 P-Asserted-Identity of a trusted peer reaches a user; of others not")
def identity(lab):
    for trusted in (True, False):
        agent = lab.phone()
        c, a = ring(lab.trunk(trusted), agent.number, agent,
                    headers=[("P-Asserted-Identity", "<sip:+4930777@carrier.example>")])
        got = a.invite.get("P-Asserted-Identity")
        assert ("+4930777" in got) == trusted, (trusted, got)
        c.cancel()
        c.expect(487)


@tap.case("an agent's hold and un-hold pass, and make intervals")
def hold(lab):
    c, a = talk(lab)
    mark = lab.daemon.mark()
    ok = a.reinvite(a.sdp.copy(dir="sendonly"))
    assert ok.sdp.dir() == "recvonly", ok.sdp.short()
    c.expect("INVITE")
    hears(c, a, "sendonly")
    booked(lab, c, "hold_on", mark)
    v1 = c.remote_sdp.origin
    ok = a.reinvite(a.sdp.copy(dir="sendrecv"))
    assert ok.sdp.dir() == "sendrecv", ok.sdp.short()
    hears(c, a)
    v2 = c.remote_sdp.origin
    assert v1[0] == v2[0] and v2[1] > v1[1], (v1, v2)
    end(c, a)
    led = lab.ledger(c)
    assert led.segments[0]["hold_ms"] > 0, led
    assert "hold_on" in led.types() and "hold_off" in led.types(), led.types()


@tap.case("R-031 hold by inactive, and by c=0.0.0.0 as old phones do: passed on, answered, counted")
def hold_shapes(lab):
    for held in (lambda sdp: sdp.copy(dir="inactive"), lambda sdp: sdp.copy(ip="0.0.0.0")):
        c, a = talk(lab)
        mark = lab.daemon.mark()
        ok = a.reinvite(held(a.sdp))
        assert ok.sdp.dir() in ("inactive", "recvonly"), ok.sdp.short()
        assert ok.sdp.port() == c.sdp.port, "a hold takes no port away"
        wait("C was told of the hold", lambda: c.remote_sdp.dir() in ("inactive", "sendonly"))
        booked(lab, c, "hold_on", mark)
        a.reinvite(a.sdp.copy(dir="sendrecv", ip="127.0.0.1"))
        hears(c, a)
        end(c, a)
        assert lab.ledger(c).segments[0]["hold_ms"] > 0


@tap.case("R-031 each side holds the other: un-holding one leaves the other's hold")
def hold_both(lab):
    c, a = talk(lab)
    a.reinvite(a.sdp.copy(dir="sendonly"))
    hears(c, a, "sendonly")
    c.keeps_hold = a.keeps_hold = True
    ok = c.reinvite(c.sdp.copy(dir="inactive"))
    assert ok.sdp.dir() == "inactive", ok.sdp.short()
    a.keeps_hold = False
    ok = a.reinvite(a.sdp.copy(dir="sendrecv"))
    assert ok.sdp.dir() in ("sendonly", "inactive"), "C still holds"
    c.keeps_hold = False
    ok = c.reinvite(c.sdp.copy(dir="sendrecv"))
    assert ok.sdp.dir() == "sendrecv", ok.sdp.short()
    joined(c, a)
    end(c, a)


@tap.case("E-051a a carrier holds with sendonly: answered recvonly, counted as held")
def carrier_hold(lab):
    c, a = talk(lab)
    mark = lab.daemon.mark()
    ok = c.reinvite(c.sdp.copy(dir="sendonly"))
    assert ok.sdp.dir() == "recvonly", ok.sdp.short()
    hears(a, c, "sendonly")
    booked(lab, c, "hold_on", mark)
    ok = c.reinvite(c.sdp.copy(dir="sendrecv"))
    assert ok.sdp.dir() == "sendrecv", ok.sdp.short()
    end(c, a)
    assert lab.ledger(c).segments[0]["held_ms"] > 0


@tap.case("UPDATE with an offer passes and is answered in its 2xx (R-023)")
def update(lab):
    c, a = talk(lab)
    a.update(a.sdp.copy(dir="sendonly"))
    ok = a.expect(200, method="UPDATE")
    assert ok.sdp and ok.sdp.dir() == "recvonly", str(ok)
    hears(c, a, "sendonly")
    end(c, a)


@tap.case("UPDATE without SDP is answered at once")
def update_empty(lab):
    c, a = talk(lab)
    a.update()
    a.expect(200, method="UPDATE")
    end(c, a)


@tap.case("re-INVITE without an offer gets one (R-033)")
def reinvite_late(lab):
    c, a = talk(lab)
    req = a.do_invite(None)
    ok = a.expect(200, method="INVITE")
    assert ok.sdp and ok.sdp.dir() == "sendrecv", str(ok)
    a.ack(a.sdp, cseq=req.cseq)
    joined(c, a)
    end(c, a)


@tap.case("R-032 A holds, then sends a re-INVITE without an offer: it gets an open one, no mirror of its hold")
def reinvite_late_from_hold(lab):
    c, a = talk(lab)
    ok = a.reinvite(a.sdp.copy(dir="sendonly"))
    assert ok.sdp.dir() == "recvonly", ok.sdp.short()
    hears(c, a, "sendonly")
    arrived(c)
    req = a.do_invite(None)
    ok = a.expect(200, method="INVITE")
    assert ok.sdp and ok.sdp.dir() == "sendrecv", str(ok)
    a.ack(a.sdp.copy(dir="sendrecv"), cseq=req.cseq)
    joined(c, a)
    end(c, a)


@tap.case("R-032 C holds, and A sends a re-INVITE without an offer: it says what C wants")
def reinvite_late_while_held(lab):
    c, a = talk(lab)
    c.reinvite(c.sdp.copy(dir="sendonly"))
    hears(a, c, "sendonly")
    arrived(a)
    req = a.do_invite(None)
    ok = a.expect(200, method="INVITE")
    assert ok.sdp and ok.sdp.dir() == "sendonly", str(ok)
    a.ack(a.sdp.copy(dir="recvonly"), cseq=req.cseq)
    arrived(a)
    c.reinvite(c.sdp.copy(dir="sendrecv"))
    joined(c, a)
    end(c, a)


@tap.case("R-030 the o= line is ours: one id per leg, the version rises with changes only")
def origin(lab):
    c, a = talk(lab)
    first = c.remote_sdp.origin
    assert first[0] != str(a.sdp.id)
    a.reinvite(a.sdp.copy(port=a.sdp.port + 2))
    hears(c, a)
    second = c.remote_sdp.origin
    assert first[0] == second[0] and second[1] == first[1] + 1, (first, second)
    end(c, a)


@tap.case("R-064 INFO with DTMF passes; its answer comes back")
def info(lab):
    c, a = talk(lab)
    c._do("INFO", [], "Signal=5\r\nDuration=160\r\n", "application/dtmf-relay")
    got = a.expect("INFO")
    assert got.get("Content-Type") == "application/dtmf-relay" and "Signal=5" in got.text
    c.expect(200, method="INFO")
    end(c, a)


@tap.case("R-064 INFO with an unknown Info-Package: 469")
def info_package(lab):
    c, a = talk(lab)
    c._do("INFO", [("Info-Package", "nonsense")], "x", "text/plain")
    c.expect(469, method="INFO")
    a.expect_none("INFO", 0.1)
    end(c, a)


@tap.case("R-064 INFO without a package passes, of whatever type; the other side's refusal too")
def info_plain(lab):
    c, a = talk(lab)
    a.manual = {"INFO"}
    c._do("INFO", [], "<x/>", "application/media_control+xml")
    got = a.expect("INFO")
    assert got.text == "<x/>" and got.get("Content-Type") == "application/media_control+xml"
    a.reply(415, req=got)
    c.expect(415, method="INFO")
    end(c, a)


@tap.case("OPTIONS is answered with what we can; MESSAGE is refused politely")
def options(lab):
    trunk = lab.trunk()
    o = trunk.plain("OPTIONS").expect(200)
    assert "REFER" in o.get("Allow") and "replaces" in o.get("Supported"), o.headers
    m = trunk.plain("MESSAGE", "2001", body="hello", ctype="text/plain").expect((403, 405, 415, 501))
    if m.status == 405:
        assert m.has("Allow")
    s = trunk.plain("SUBSCRIBE", "2001", [("Event", "presence")]).expect((403, 405, 489, 501))
    assert s.status >= 400


@tap.case("OPTIONS and MESSAGE inside a call do not disturb it")
def options_inside(lab):
    c, a = talk(lab)
    c._do("OPTIONS").expect(200, method="OPTIONS")
    assert c._do("MESSAGE", [], "hi", "text/plain").expect(range(400, 600), method="MESSAGE")
    end(c, a)


@tap.case("a request in no dialog: 481; of an unknown method: 501 or 405")
def stray(lab):
    trunk = lab.trunk()
    c = trunk.call("2001")
    c.remote_tag = "nosuchtag"
    c.dest = trunk.server
    c.bye().expect(481)
    assert trunk.plain("FROBNICATE").expect((405, 501))


@tap.case("R-006 a lower CSeq inside the dialog: 500")
def cseq_back(lab):
    c, a = talk(lab)
    c.send(c.request("INFO", cseq=c.cseq - 1, body="Signal=1\r\n", ctype="application/dtmf-relay"))
    c.expect(500, method="INFO")
    end(c, a)


@tap.case("R-001 Max-Forwards 0: 483, and nobody rings")
def max_forwards(lab):
    agent, trunk = lab.phone(), lab.trunk()
    c = trunk.call(agent.number)
    m = c.request("INVITE", body=str(Sdp()))
    m.set("Max-Forwards", "0")
    c.invite = c.last_invite = m
    c.send(m)
    c.expect(483)
    agent.expect_none("INVITE", 0.2)


@tap.case("R-002 the same INVITE by another path: 482 Merged")
def merged(lab):
    agent, trunk = lab.phone(), lab.trunk()
    c, a = ring(trunk, agent.number, agent)
    m = c.request("INVITE", body=str(Sdp()), cseq=c.invite.cseq, tag="")
    c.send(m)
    c.expect(482)
    agent.expect_none("INVITE", 0.2)
    c.cancel()
    c.expect(487)


@tap.case("R-008 our 200 is repeated until the ACK comes, and the ACK then silences it")
def repeat_200(lab):
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    a.answer()
    c.expect(200, method="INVITE")
    wait("the 200 was repeated", lambda: c.ua.count(200, where=lambda m: m.call_id == c.call_id) >= 2)
    c.ack()
    a.expect("ACK")
    end(c, a)


@tap.case("a lost ACK to the phone is sent again when its 200 comes again")
def repeat_ack(lab):
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent)
    ok = a.answer()
    a.expect("ACK")
    a.ua.send(ok, a.invite.src)
    a.expect("ACK")
    c.expect(200, method="INVITE")
    c.ack()
    end(c, a)


@tap.case("a repeated INVITE makes one call")
def repeat_invite(lab):
    agent, trunk = lab.phone(), lab.trunk()
    c, a = ring(trunk, agent.number, agent)
    trunk.send(c.invite)
    c.expect(180)
    agent.expect_none("INVITE", 0.3)
    pick_up(c, a)
    end(c, a)


@tap.case("case: X-Case-ID from a trusted peer wins; the next call with it joins")
def cases(lab):
    trunk, agent = lab.trunk(trusted=True), lab.phone()
    key = f"CRM-{agent.user}"
    c, a = talk(lab, agent, trunk=trunk, headers=[("X-Case-ID", key)])
    end(c, a)
    one = lab.ledger(c).conversation
    c, a = talk(lab, lab.phone(), trunk=lab.trunk(trusted=True), headers=[("X-Case-ID", key)])
    end(c, a)
    two = lab.ledger(c)
    owner, two = two.segments[0]["who"], two.conversation
    assert one["case_id"] and two["case_id"], (one, two)
    case = lab.rows(f"select * from segue.cases where id = '{one['case_id']}'")[0]
    assert case["case_key"] == key and case["origin"] == "external", case
    assert case["owner"] == owner, case
    assert one["case_id"] == two["case_id"], (one, two)


if __name__ == "__main__":
    tap.main(lambda: Lab(t={"setup": 4000}))
