"""Joining two legs: glare, refused and late offers, hold, odd media (E-040 .. E-058)."""
import os
import sys
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import (booked, end, final_notify, hears, joined, pick_up, refer, ring, talk, transfer,
                   wait)
from segued import Lab
from ua import Sdp


def answered(lab, manual=("INVITE",), sdp=None, answer=None):
    """C-A, transfer to B, who answers; C's join re-INVITE waits. Returns C, A, B, that request."""
    c, a = talk(lab, sdp=sdp)
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    b.reply(180)
    c.manual = set(manual)
    b.answer(answer)
    b.expect("ACK")
    return c, a, b, c.expect("INVITE")


@tap.case("E-040 C sends re-INVITE while our join re-INVITE is pending: 491; C's retry is served")
def e040(lab):
    c, a, b, req = answered(lab)
    c.do_invite(c.sdp.copy(port=c.sdp.port + 2))
    c.expect(491, method="INVITE")
    c.manual = set()
    c.reply(200, c.fitting(req.sdp), req=req)
    c.expect("ACK")
    c.reinvite(c.sdp.copy(port=c.sdp.port + 2))
    joined(c, b)
    final_notify(a, 200)
    end(c, b)


def soon(longest, refused, lab):
    """A busy machine may make one of them later, but not all. Returns the seconds of the one in time."""
    took = []
    while len(took) < 4:
        took.append(refused(lab))
        if took[-1] < longest:
            return took[-1]
    raise AssertionError(f"the re-INVITE came again after {took} s, and never within {longest} s")


def refused_theirs(lab):
    """Seconds until the re-INVITE that was refused is there again; the Call-ID is C's."""
    c, a, b, req = answered(lab)
    refusal = c.reply(491, req=req)
    c.expect("ACK")
    again = c.expect("INVITE")
    assert again.cseq > req.cseq
    c.manual = set()
    c.reply(200, c.fitting(again.sdp), req=again)
    joined(c, b)
    final_notify(a, 200)
    end(c, b)
    return again.at - refusal.at


@tap.case("E-040 R-009 our join re-INVITE meets 491: again within 2 s where the Call-ID is theirs")
def e040_retry(lab):
    soon(2.05, refused_theirs, lab)


def refused_ours(lab):
    """The same of a call that we made."""
    agent, trunk, target = lab.phone(), lab.trunk(), lab.phone()
    a, c = ring(agent, lab.outside(trunk, "555"), trunk)
    pick_up(a, c)
    refer(lab, a, target.number)
    b = target.incoming()
    c.manual = {"INVITE"}
    b.answer()
    req = c.expect("INVITE")
    refusal = c.reply(491, req=req)
    c.expect("ACK")
    again = c.expect("INVITE")
    waited = again.at - refusal.at
    assert waited > 2.09, f"{waited} s"
    c.manual = set()
    c.reply(200, c.fitting(again.sdp), req=again)
    joined(c, b)
    final_notify(a, 200)
    end(c, b)
    return waited


@tap.case("E-040 R-009 the same where the Call-ID is ours: again after 2.1 to 4 s")
def e040_retry_owner(lab):
    soon(4.1, refused_ours, lab)


@tap.case("E-058 R-062 the join names the new party to a trusted C, again after 491; never to others")
def e058(lab):
    for trusted in (True, False):
        target = lab.phone()
        c, a = talk(lab, trunk=lab.trunk(trusted))
        c.manual = {"INVITE"}
        refer(lab, a, target.number)
        b = target.incoming()
        b.answer()
        b.expect("ACK")
        req = c.expect("INVITE")
        assert (target.number in req.get("P-Asserted-Identity")) == trusted, str(req)
        c.reply(491, req=req)
        c.expect("ACK")
        again = c.expect("INVITE")
        assert again.get("P-Asserted-Identity") == req.get("P-Asserted-Identity"), str(again)
        c.manual = set()
        c.reply(200, c.fitting(again.sdp), req=again)
        joined(c, b)
        final_notify(a, 200)
        end(c, b)


@tap.case("E-041 B re-INVITEs (codec lock) while C's join is pending: served after the join")
def e041(lab):
    c, a, b, req = answered(lab)
    b.do_invite(b.sdp.copy(audio="0"))
    c.manual = set()
    c.reply(200, c.fitting(req.sdp), req=req)
    r = b.expect((200, 491), method="INVITE")
    if r.status == 491:
        b.reinvite(b.sdp.copy())
    else:
        b.ack(cseq=r.cseq)
    joined(c, b)
    wait("C knows of the one codec", lambda: "8" not in c.remote_sdp.formats())
    end(c, b)


@tap.case("E-042 both send re-INVITE at the same instant after the join: one 491 at most, converged")
def e042(lab):
    c, a, b, req = answered(lab)
    c.manual = set()
    c.reply(200, c.fitting(req.sdp), req=req)
    c.expect("ACK")
    final_notify(a, 200)
    t0 = time.monotonic()
    for x in (c, b):
        x.do_invite(x.sdp.copy())
    todo = []
    for x in (c, b):
        r = x.expect((200, 491, 500), method="INVITE")
        if r.status == 200:
            x.ack(cseq=r.cseq)
        else:
            todo.append(x)
    for x in todo:
        x.reinvite(x.sdp.copy())
    joined(c, b)
    assert len(todo) < 2 and time.monotonic() - t0 < 20, (len(todo), time.monotonic() - t0)
    end(c, b)


@tap.case("E-043 REFER arrives while A's hold re-INVITE is not yet ACKed: accepted, done after it")
def e043(lab):
    c, a = talk(lab)
    target = lab.phone()
    req = a.do_invite(a.sdp.copy(dir="sendonly"))
    a.expect(200, method="INVITE")
    a.refer(lab.refer_to(target.number))
    a.expect(202, method="REFER")
    a.ack(cseq=req.cseq)
    hears(c, a, "sendonly")
    b = target.incoming()
    b.reply(180)
    b.answer()
    b.expect("ACK")
    joined(c, b)
    final_notify(a, 200)
    end(c, b)


def refused_join(status):
    def run(lab):
        c, a, b, req = answered(lab)
        c.reply(status, req=req)
        c.expect("ACK")
        c.manual = set()
        b.expect("BYE")
        assert final_notify(a) >= 400
        assert not c.ended and not a.ended
        end(c, a)
        t = lab.ledger(c).transfers[0]
        assert t["outcome"] == "failed", t
        if status in (488, 606):
            assert t["cause"] == "media_incompatible", t
    return run


for _status in (488, 500, 503, 606):
    tap.case(f"E-047 R-036 C refuses the join with {_status}: its dialog lives, A has C again")(
        refused_join(_status))


for _status in (481, 408):
    def _gone(lab, status=_status):
        c, a, b, req = answered(lab)
        c.reply(status, req=req)
        b.expect("BYE")
        final_notify(a)
        a.expect("BYE")
        led = lab.ledger(c)
        assert led.transfers[0]["outcome"] == "abandoned", led
        assert led.segment(b.ua.user)["talk_ms"] == 0, led
    tap.case(f"E-047 R-009 C answers the join with {_status}: C is gone, B and A are released")(_gone)


@tap.case("E-048 a 2xx to our offer that comes again gets the same ACK")
def e048(lab):
    c, a, b, req = answered(lab)
    ok = c.reply(200, c.fitting(req.sdp), req=req)
    one = c.expect("ACK")
    c.ua.send(ok, req.src)
    two = c.expect("ACK")
    assert one.cseq == two.cseq and one.body == two.body
    c.manual = set()
    end(c, b)


@tap.case("E-049 C is held by A when transferred: sendrecv after the join")
def e049(lab):
    c, a = talk(lab)
    mark = lab.daemon.mark()
    a.reinvite(a.sdp.copy(dir="sendonly"))
    hears(c, a, "sendonly")
    booked(lab, c, "hold_on", mark)
    b = transfer(lab, c, a, lab.phone())
    assert c.remote_sdp.dir() == "sendrecv" and b.remote_sdp.dir() == "sendrecv"
    end(c, b)
    led = lab.ledger(c)
    assert led.segments[0]["hold_ms"] > 0 and led.segments[1]["hold_ms"] == 0, led


@tap.case("E-050 C had A on hold when A transfers: B starts in C's hold, C's un-hold works")
def e050(lab):
    c, a = talk(lab)
    c.reinvite(c.sdp.copy(dir="sendonly"))
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    b.reply(180)
    c.keeps_hold = True
    b.answer()
    b.expect("ACK")
    final_notify(a, 200)
    assert b.remote_sdp.port() == c.sdp.port and b.remote_sdp.dir() == "sendonly", \
        b.remote_sdp.short()
    time.sleep(0.05)  # the hold that is measured
    c.keeps_hold = False
    c.reinvite(c.sdp.copy(dir="sendrecv"))
    joined(c, b)
    end(c, b)
    assert lab.ledger(c).segment(target.user)["held_ms"] > 0


@tap.case("E-051 R-032 C answers the join with a mirrored hold: offered sendrecv once more")
def e051(lab):
    c, a, b, req = answered(lab)
    c.manual = set()
    c.reply(200, c.sdp.copy(dir="inactive"), req=req)
    c.expect("ACK")
    again = c.expect("INVITE")
    assert again.sdp is None or again.sdp.dir() == "sendrecv", str(again)
    joined(c, b)
    final_notify(a, 200)
    end(c, b)


@tap.case("E-051 C mirrors the hold again: it is asked once, not for ever")
def e051_once(lab):
    c, a, b, req = answered(lab)
    c.reply(200, c.sdp.copy(dir="inactive"), req=req)
    c.expect("ACK")
    again = c.expect("INVITE")
    c.reply(200, c.sdp.copy(dir="inactive"), req=again)
    c.expect("ACK")
    c.expect_none("INVITE", 0.5)
    final_notify(a, 200)
    c.manual = set()
    end(c, b)


@tap.case("E-052 C has audio and video, B audio only: C's video gets port 0, the order stays")
def e052(lab):
    c, a = talk(lab, sdp=Sdp(video=40000), answer=Sdp(video=42000))
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    b.reply(180)
    b.answer(Sdp(video=0) if "video" in b.invite.sdp.kinds() else Sdp())
    b.expect("ACK")
    wait("C was offered B's audio", lambda: c.remote_sdp.port() == b.sdp.port)
    assert c.remote_sdp.kinds() == ["audio", "video"], c.remote_sdp.short()
    assert c.remote_sdp.port(1) == 0, c.remote_sdp.short()
    final_notify(a, 200)
    end(c, b)


@tap.case("E-052 the reverse: C has audio only, B gets one m-line")
def e052_reverse(lab):
    c, a, b, req = answered(lab)
    assert b.invite.sdp.kinds() == ["audio"] and req.sdp.kinds() == ["audio"]
    c.manual = set()
    c.reply(200, c.fitting(req.sdp), req=req)
    joined(c, b)
    end(c, b)


FAX = "v=0\r\no=ua 7 {v} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" \
      "m=image {p} udptl t38\r\na=T38FaxVersion:0\r\n"


@tap.case("E-053 a switch to T.38 passes both ways; a transfer meanwhile is refused media_busy")
def e053(lab):
    c, a = talk(lab)
    a.manual = {"INVITE"}
    sent = c.do_invite(Sdp(raw=FAX.format(v=2, p=40100), port=40100))
    req = a.expect("INVITE")
    assert req.sdp.kinds() == ["image"] and req.sdp.port() == 40100, str(req)
    a.reply(200, Sdp(raw=FAX.format(v=2, p=42100), port=42100), req=req)
    ok = c.expect(200, method="INVITE")
    c.ack(cseq=sent.cseq)
    a.expect("ACK")
    a.manual = set()
    assert ok.sdp.kinds() == ["image"] and ok.sdp.port() == 42100, ok.sdp.short()
    target = lab.phone()
    a.refer(lab.refer_to(target.number))
    a.expect(488, method="REFER")
    target.expect_none("INVITE", 0.2)
    wait("there is an audit row that says media_busy", lambda: lab.rows(
        f"select 1 from segue.audit where who = '{a.ua.user}' and why = 'media_busy'"))
    a.sdp = Sdp()
    c.reinvite(Sdp())
    joined(a, c)
    end(c, transfer(lab, c, a, target))


@tap.case("E-054 telephone-event payload numbers: each leg is offered fresh, not a copied answer")
def e054(lab):
    c, a = talk(lab)
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    assert "101" in b.invite.sdp.formats(), b.invite.sdp.text
    b.reply(180)
    b.answer(Sdp(audio="0 96"))
    b.expect("ACK")
    joined(c, b)
    assert "telephone-event" in c.remote_sdp.text, c.remote_sdp.text
    final_notify(a, 200)
    end(c, b)


@tap.case("E-055 a session refresh by UPDATE in mid-transfer is answered at once")
def e055(lab):
    c, a = talk(lab)
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    b.reply(180)
    c.update()
    c.expect(200, method="UPDATE")  # B has not answered yet
    c.reinvite(c.sdp)
    b.answer()
    b.expect("ACK")
    joined(c, b)
    end(c, b)


@tap.case("E-056 C is alone while B rings (A left): re-INVITE and UPDATE from C get 200 here")
def e056(lab):
    c, a = talk(lab)
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    b.reply(180)
    a.hangup()
    c.expect("INVITE")  # hold: nobody is there to be heard
    c.expect("ACK")
    c.reinvite(c.sdp.copy(port=c.sdp.port + 2))
    c.update(c.sdp.copy())
    c.expect(200, method="UPDATE")
    b.answer()
    b.expect("ACK")
    joined(c, b)
    end(c, b)


@tap.case("E-099-like: C's media moved before the transfer: B is given the newest description")
def moved(lab):
    c, a = talk(lab)
    c.reinvite(c.sdp.copy(port=c.sdp.port + 10))
    hears(a, c)
    b = transfer(lab, c, a, lab.phone())
    assert b.remote_sdp.port() == c.sdp.port
    end(c, b)


@tap.case("E-074 chain: A to B, B to D, D back to A: three transfers, one conversation, new segment")
def e074(lab):
    agents = [lab.phone() for _ in range(3)]
    c, a = talk(lab, agents[0])
    b = transfer(lab, c, a, agents[1])
    d = transfer(lab, c, b, agents[2])
    assert agents[1].number in d.invite.get("Referred-By"), d.invite.get("Referred-By")
    assert agents[0].number not in d.invite.get("Referred-By")
    back = transfer(lab, c, d, agents[0])
    end(c, back)
    led = lab.ledger(c)
    who = [s["who"] for s in led.segments]
    assert who == [x.user for x in agents] + [agents[0].user], who
    assert [t["outcome"] for t in led.transfers] == ["completed"] * 3, led.transfers
    assert led.conversation["n_blind"] == 3
    assert sum(s["talk_ms"] for s in led.segments) == led.conversation["agent_talk_ms"]
    seg = led.segments
    assert seg[3]["id"] != seg[0]["id"]


if __name__ == "__main__":
    tap.main(lambda: Lab())
