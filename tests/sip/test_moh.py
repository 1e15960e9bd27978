"""Music from a SIP server (RFC 7088) where no media engine carries the call: who is held hears it."""
import itertools
import os
import sys
import threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import rtp
import tap
import ua
from desk import Desk
from flows import end, final_notify, joined, refer, ring, wait
from segued import Lab

SILENCE = set()
TUNE = rtp.TONES[-1]
SERVER = ua.Ua("music", ("127.0.0.1", 0))


def voice(tone):
    v = rtp.Rtp(tone)
    tap.at_end(v.close)
    return v


def voices(n=2):
    return [voice(t) for t in rtp.TONES[:n]]


def talk(lab, cv, av, **kw):
    """C calls A, their audio runs between them; both hear each other. Returns (C, A)."""
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent, cv.sdp(**kw))
    a.answer(av.sdp())
    c.expect(200, method="INVITE")
    c.ack()
    a.expect("ACK")
    cv.follow(c)
    av.follow(a)
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    return c, a


def called_for(lab, v):
    """The music server's call for the party with that voice."""
    SERVER.server = (lab.ip, lab.port)
    m = SERVER.incoming(where=lambda r: r.sdp is not None and r.sdp.port() == v.port)
    assert m.remote_sdp.dir() == "recvonly", m.remote_sdp.text
    return m


def plays(lab, v):
    """.. which it answers, and plays. Its call and its voice."""
    m, mv = called_for(lab, v), voice(TUNE)
    m.answer(mv.sdp(dir="sendonly"))
    m.expect("ACK")
    mv.follow(m)
    return m, mv


def hold(x):
    x.reinvite(x.sdp.copy(dir="sendonly"))


def unhold(x):
    x.reinvite(x.sdp.copy(dir="sendrecv"))


@tap.case("RFC 7088 section 2.1: held by a phone, C hears the music server and A nothing; then each other")
def by_phone(lab):
    cv, av = voices()
    c, a = talk(lab, cv, av)
    hold(a)
    m, mv = plays(lab, cv)
    rtp.wait_heard({cv: {TUNE}, av: SILENCE, mv: SILENCE})
    assert c.remote_sdp.dir() == "sendonly", c.remote_sdp.text
    assert a.remote_sdp.dir() == "inactive", a.remote_sdp.text  # it would be heard with the music
    unhold(a)
    m.expect("BYE")
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    joined(c, a)
    hold(a)
    m, mv = plays(lab, cv)
    rtp.wait_heard({cv: {TUNE}, av: SILENCE})
    unhold(a)
    m.expect("BYE")
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    end(c, a)
    led = lab.ledger(c)
    assert len(led.segments) == 1 and led.segments[0]["hold_ms"] > 0, led.segments


@tap.case("RFC 7088: held by command, C hears the music server; the agent hears nobody")
def by_command(lab):
    cv, av = voices()
    c, a = talk(lab, cv, av)
    call = lab.conversation(c, final=False)["call"]
    lab.seguectl("hold", call)
    m, mv = plays(lab, cv)
    rtp.wait_heard({cv: {TUNE}, av: SILENCE, mv: SILENCE})
    lab.seguectl("unhold", call)
    m.expect("BYE")
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    end(c, a)


@tap.case("E-049 RFC 7088: one server plays from A's hold until B has C, also when A leaves; nobody books it")
def transferred(lab):
    cv, av, bv = voices(3)
    c, a = talk(lab, cv, av)
    hold(a)
    m, mv = plays(lab, cv)
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    assert b.remote_sdp.port() == cv.port and b.remote_sdp.dir() == "sendrecv", b.remote_sdp.text
    a.hangup()
    b.reply(180)
    rtp.wait_heard({cv: {TUNE}, bv: SILENCE, mv: SILENCE})
    b.answer(bv.sdp())
    bv.follow(b)
    m.expect("BYE")
    rtp.wait_heard({cv: {bv.tone}, bv: {cv.tone}})
    end(c, b)
    led = lab.ledger(c)
    assert [s["kind"] for s in led.segments] == ["agent", "agent"], led.segments


@tap.case("E-025 RFC 7088: by command to B, who is busy: C hears the music, and then A again")
def failed(lab):
    cv, av = voices()
    c, a = talk(lab, cv, av)
    target = lab.phone()
    lab.seguectl("transfer", lab.conversation(c, final=False)["call"], target.number)
    b = target.incoming()
    m, mv = plays(lab, cv)
    rtp.wait_heard({cv: {TUNE}, av: SILENCE, mv: SILENCE})
    b.reply(486)
    m.expect("BYE")
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    end(c, a)


@tap.case("RFC 7088 section 2.5: the server refuses: plain hold, and the call goes on")
def refuses(lab):
    cv, av = voices()
    c, a = talk(lab, cv, av)
    hold(a)
    m = called_for(lab, cv)
    m.reply(503)
    m.expect("ACK")
    rtp.wait_heard({cv: {av.tone}, av: SILENCE})  # whatever a phone sends that says a=sendonly
    unhold(a)
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    end(c, a)


@tap.case("RFC 7088: the server is still silent when A comes back: it is cancelled, and nobody waits for it")
def silent(lab):
    cv, av = voices()
    c, a = talk(lab, cv, av)
    hold(a)
    m = called_for(lab, cv)
    m.reply(180)
    unhold(a)
    m.expect("CANCEL")
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    end(c, a)


@tap.case("RFC 7088: the server hangs up while it plays: silence, and A has C when he comes back")
def dies(lab):
    cv, av = voices()
    c, a = talk(lab, cv, av)
    hold(a)
    m, mv = plays(lab, cv)
    rtp.wait_heard({cv: {TUNE}})
    mv.follow(None)
    m.hangup()
    rtp.wait_heard({cv: SILENCE, av: SILENCE})
    unhold(a)
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    end(c, a)


@tap.case("E-015 RFC 7088: C hangs up while the server plays: everybody is released")
def leaves(lab):
    cv, av = voices()
    c, a = talk(lab, cv, av)
    hold(a)
    m, mv = plays(lab, cv)
    rtp.wait_heard({cv: {TUNE}})
    c.hangup()
    m.expect("BYE")
    a.expect("BYE")


@tap.case("E-054 RFC 7088 section 2.8.1: no payload number of C means another codec in the music")
def payloads(lab):
    cv, av = voices()
    sdp = cv.sdp(extra=["a=rtpmap:96 telephone-event/8000"])
    sdp.audio = "0 96"
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent, sdp)
    a.answer(av.sdp())
    c.expect(200, method="INVITE")
    c.ack()
    a.expect("ACK")
    hold(a)
    m = called_for(lab, cv)
    assert m.remote_sdp.formats() == ["0", "96"] and "a=rtpmap:96 telephone-event/8000" in \
        m.remote_sdp.text, m.remote_sdp.text
    mv = voice(TUNE)
    m.answer(mv.sdp(dir="sendonly"))
    m.expect("ACK")
    mv.follow(m)
    cv.follow(c)
    rtp.wait_heard({cv: {TUNE}})
    assert set(c.remote_sdp.formats()) <= {"0", "96"}, c.remote_sdp.text
    c.hangup()
    m.expect("BYE")


@tap.case("E-056 RFC 7088: C changes its port while it hears music: the server plays there")
def moves(lab):
    cv, av, new = voices(3)
    c, a = talk(lab, cv, av)
    hold(a)
    m, mv = plays(lab, cv)
    rtp.wait_heard({cv: {TUNE}})
    a.keeps_hold = True
    c.reinvite(new.sdp())
    rtp.wait_heard({new: {TUNE}, av: SILENCE})
    new.follow(c)
    cv.follow(None)
    unhold(a)
    m.expect("BYE")
    rtp.wait_heard({new: {av.tone}, av: {new.tone}})
    end(c, a)


@tap.case("RFC 7088: a caller is answered by a queue, hears its own server, and then the agent")
def queue(lab):
    cv, av = voices()
    agent = lab.phone()
    desk = Desk(lab, agent, music=f"sip:jazz@{SERVER.hostport}")
    c = lab.trunk().invite(desk.number, sdp=cv.sdp())
    c.expect(200, method="INVITE")
    c.ack()
    cv.follow(c)
    m, mv = plays(lab, cv)
    assert m.invite.uri.startswith("sip:jazz@"), m.invite.start
    rtp.wait_heard({cv: {TUNE}})
    a = agent.incoming()
    a.answer(av.sdp())
    av.follow(a)
    m.expect("BYE")
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    end(c, a)


@tap.case("RFC 7088: REFER from the music server is refused, and everything stays as it is")
def hostile(lab):
    cv, av = voices()
    c, a = talk(lab, cv, av)
    hold(a)
    m, mv = plays(lab, cv)
    rtp.wait_heard({cv: {TUNE}})
    m.refer(f"sip:{lab.phone().number}@{lab.domain}")
    assert m.expect(range(400, 700), method="REFER").status in (403, 481, 603)
    rtp.wait_heard({cv: {TUNE}, av: SILENCE})
    c.hangup()
    m.expect("BYE")


tap.main(lambda: Lab(conf=f'media: {{ music_uri = "sip:music@{SERVER.hostport}"; }};'), jobs=3)
