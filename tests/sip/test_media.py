"""The audio of calls runs through real rtpengines: who hears whom, by the tones that they play."""
import array
import base64
import itertools
import os
import subprocess
import sys
import threading
import wave
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import engine
import rtp
import tap
from engine import JAZZ, MUSIC, RINGBACK
from flows import arrived, end, final_notify, pick_up, refer, ring, wait
from segued import SRC, Lab

SILENCE = set()
RECORDED = "7900"  # number of the queue whose callers are recorded
numbers, numbers_lock = itertools.count(7000), threading.Lock()
DTMF101 = ["a=rtpmap:101 telephone-event/8000"]
DTMF96 = ["a=rtpmap:96 telephone-event/8000"]


def voice(tone):
    v = rtp.Rtp(tone)
    tap.at_end(v.close)
    return v


def voices(n=3):
    return [voice(t) for t in rtp.TONES[:n]]


def talk(lab, cv, av, agent=None, **kw):
    """C calls A, with voices; both hear each other through the engine. Returns (C, A)."""
    agent = agent or lab.phone()
    offer = cv.sdp(**kw)
    offer.audio = "0 101" if kw else "0"
    c, a = ring(lab.trunk(), agent.number, agent, offer)
    a.answer(av.sdp())
    c.expect(200, method="INVITE")
    c.ack()
    a.expect("ACK")
    cv.follow(c)
    av.follow(a)
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    assert c.remote_sdp.port() != av.port and a.remote_sdp.port() != cv.port, "not anchored"
    return c, a


def secure(v):
    """A description of that voice with SRTP. It is not spoken here: who offers what is the case."""
    sdp = v.sdp()
    key = base64.b64encode(os.urandom(30)).decode()
    sdp.raw = str(sdp).replace("RTP/AVP", "RTP/SAVP") \
        + f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n"
    return sdp


def is_secure(view):
    return "RTP/SAVP" in view.text and "a=crypto:" in view.text


def call_of(lab, c):
    return lab.conversation(c, final=False)["call"]


@tap.case("music: A holds C by phone: C hears music and nobody else, A hears nothing; then each other")
def hold(lab):
    cv, av = voices(2)
    c, a = talk(lab, cv, av)
    a.reinvite(a.sdp.copy(dir="sendonly"))
    rtp.wait_heard({cv: {MUSIC}, av: SILENCE})
    rtp.apart(cv, av)
    a.reinvite(a.sdp.copy(dir="sendrecv"))
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    end(c, a)


@tap.case("music: what C hears lasts longer than the file, and stays when C re-INVITEs")
def hold_long(lab):
    cv, av = voices(2)
    c, a = talk(lab, cv, av)
    a.reinvite(a.sdp.copy(dir="sendonly"))
    rtp.wait_heard({cv: {MUSIC}, av: SILENCE})
    c.reinvite(c.sdp.copy(dir="recvonly"))
    rtp.wait_heard({cv: {MUSIC}, av: SILENCE})
    wait("C has heard music for longer than the file", lambda: len(cv.samples(1.6)) > 12000)
    rtp.wait_heard({cv: {MUSIC}, av: SILENCE})
    end(c, a)


@tap.case("blind transfer with audio: before, music while B rings, and C with B after")
def blind(lab):
    cv, av, bv = voices()
    c, a = talk(lab, cv, av)
    target = lab.phone()
    a.reinvite(a.sdp.copy(dir="sendonly"))
    rtp.wait_heard({cv: {MUSIC}, av: SILENCE})
    refer(lab, a, target.number)
    b = target.incoming()
    b.reply(180)
    rtp.wait_heard({cv: {MUSIC}, av: SILENCE, bv: SILENCE})
    rtp.apart(cv, av)
    b.answer(bv.sdp())
    bv.follow(b)
    final_notify(a, 200)
    rtp.wait_heard({cv: {bv.tone}, bv: {cv.tone}, av: SILENCE})
    a.hangup()
    end(c, b)


@tap.case("blind transfer without a hold: C and A talk on while B rings and speaks early")
def blind_early(lab):
    cv, av, bv = voices()
    c, a = talk(lab, cv, av)
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    b.reply(183, bv.sdp())
    bv.follow(b)
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    b.reply(486)
    final_notify(a, 486)
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    end(c, a)


@tap.case("E-001 the agent's phone leaves while B rings: C hears music until B is there")
def leaves(lab):
    cv, av, bv = voices()
    c, a = talk(lab, cv, av)
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    b.reply(180)
    a.hangup()
    rtp.wait_heard({cv: {MUSIC}, av: SILENCE})
    b.answer(bv.sdp())
    bv.follow(b)
    rtp.wait_heard({cv: {bv.tone}, bv: {cv.tone}})
    end(c, b)


@tap.case("a transfer by command: C hears music, A nobody; cancelled, they talk again")
def command(lab):
    cv, av = voices(2)
    c, a = talk(lab, cv, av)
    target = lab.phone()
    call = call_of(lab, c)
    lab.seguectl("transfer", call, target.number)
    b = target.incoming()
    b.reply(180)
    rtp.wait_heard({cv: {MUSIC}, av: SILENCE})
    lab.seguectl("cancel", call)
    b.expect("CANCEL")
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    end(c, a)


@tap.case("a consultation by command: C answers the hold as B answers; C hears music all the while, then A again")
def late_hold(lab):
    cv, av, bv = voices()
    c, a = talk(lab, cv, av)
    target = lab.phone()
    call = call_of(lab, c)
    c.manual = {"INVITE"}
    lab.seguectl("consult", call, target.number)
    b = target.incoming()
    b.reply(180)
    hold = c.expect("INVITE")
    b.answer(bv.sdp())   # while segue waits for the engine about this, C answers
    c.reply(200, c.sdp.copy(dir="recvonly"), req=hold)
    c.manual = set()
    bv.follow(b)
    rtp.wait_heard({av: {bv.tone}, bv: {av.tone}, cv: {MUSIC}})
    rtp.apart(cv, av)
    lab.seguectl("cancel", call)
    b.expect("BYE")
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    end(c, a)


@tap.case("E-054 A's DTMF number differs from B's: after the join each is told the other's own")
def dtmf(lab):
    cv, av, bv = voices()
    c, a = talk(lab, cv, av, extra=DTMF101)
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    bsdp = bv.sdp(extra=DTMF96)
    bsdp.audio = "0 96"
    b.answer(bsdp)
    bv.follow(b)
    final_notify(a, 200)
    rtp.wait_heard({cv: {bv.tone}, bv: {cv.tone}})
    assert "96" in c.remote_sdp.formats() and "telephone-event" in c.remote_sdp.text, c.remote_sdp.text
    assert "101" in b.remote_sdp.formats(), b.remote_sdp.text
    a.hangup()
    cv.press("17#")
    wait("B is sent C's keys under the number that B has asked for",
         lambda: bv.keys() == [(96, "1"), (96, "7"), (96, "#")] or None)
    bv.press("*0")
    wait("C is sent B's keys under the number that C has asked for",
         lambda: cv.keys() == [(101, "*"), (101, "0")] or None)
    rtp.wait_heard({cv: {bv.tone}, bv: {cv.tone}})
    end(c, b)


@tap.case("E-054 keys that C presses while A has the call reach A, and after a hold again")
def dtmf_hold(lab):
    cv, av = voices(2)
    agent = lab.phone()
    offer = cv.sdp(extra=DTMF101)
    offer.audio = "0 101"
    c, a = ring(lab.trunk(), agent.number, agent, offer)
    answer = av.sdp(extra=DTMF101)
    answer.audio = "0 101"
    pick_up(c, a, answer)
    cv.follow(c)
    av.follow(a)
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    cv.press("5")
    wait("A is sent the key", lambda: av.keys() == [(101, "5")] or None)
    a.reinvite(a.sdp.copy(dir="sendonly"))
    rtp.wait_heard({cv: {MUSIC}, av: SILENCE})
    a.reinvite(a.sdp.copy(dir="sendrecv"))
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    cv.press("6")
    wait("A is sent the next key", lambda: av.keys() == [(101, "5"), (101, "6")] or None)
    end(c, a)


@tap.case("E-057 C speaks SRTP: A and B are offered SRTP, never less; B cannot, and C stays with A")
def srtp(lab):
    cv, av, bv = voices()
    agent, target = lab.phone(), lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent, secure(cv))
    assert is_secure(a.remote_sdp), a.remote_sdp.text
    pick_up(c, a, secure(av))
    assert is_secure(c.remote_sdp), c.remote_sdp.text
    assert c.remote_sdp.port() != av.port, "not anchored"
    arrived(c)  # its ACK: before that there is no call to transfer
    refer(lab, a, target.number)
    b = target.incoming()
    assert is_secure(b.remote_sdp), b.remote_sdp.text
    b.reply(488)
    final_notify(a, 488)
    end(c, a)


@tap.case("an INVITE without SDP: the engine is between the two, whoever offers")
def late(lab):
    cv, av = voices(2)
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent, late=True)
    a.answer(av.sdp())
    c.expect(200, method="INVITE")
    c.ack(cv.sdp())
    a.expect("ACK")
    cv.follow(c)
    av.follow(a)
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    assert c.remote_sdp.port() != av.port and a.remote_sdp.port() != cv.port, "not anchored"
    end(c, a)


@tap.case("click-to-dial: A hears it ring, then what the number plays early, then they talk; all by the engine")
def dialled(lab):
    av, nv = voices(2)
    agent, trunk = lab.phone(), lab.trunk()
    lab.seguectl("dial", agent.user, lab.outside(trunk, "5551234"))
    a = agent.incoming()
    a.answer(av.sdp())
    a.expect("ACK")
    av.follow(a)
    c = trunk.incoming()
    c.reply(180)
    rtp.wait_heard({av: {RINGBACK}})
    c.reply(183, nv.sdp())
    nv.follow(c)
    rtp.wait_heard({av: {nv.tone}})
    c.answer()
    c.expect("ACK")
    rtp.wait_heard({av: {nv.tone}, nv: {av.tone}})
    assert a.remote_sdp.port() != nv.port and c.remote_sdp.port() != av.port, "not anchored"
    end(c, a)


def queue_with(lab, agent, music=None, number=None):
    """A queue of that agent alone; its number, which segue knows when this returns."""
    with numbers_lock:
        number = number or str(next(numbers))
    mark = lab.daemon.mark()
    lab.sql(f"""insert into segue.queues (name, number, display_name, music)
                values ('q{number}', '{number}', 'Queue', {f"'{music}'" if music else 'null'});
                insert into segue.queue_members (queue, user_name)
                values ('q{number}', '{agent.user}')""")
    lab.daemon.wait_log(f"agent_state user={agent.user} state=free", since=mark)
    return number


def queued(lab, late):
    """C is answered into a queue's music, then A answers and they talk."""
    cv, av = voices(2)
    agent = lab.phone()
    number = queue_with(lab, agent, "jazz")
    offer = None if late else cv.sdp()
    c = lab.trunk().invite(number, sdp=offer, late=late)
    c.expect(200, method="INVITE")
    c.ack(cv.sdp() if late else None)
    cv.follow(c)
    a = agent.incoming()
    a.reply(180)
    rtp.wait_heard({cv: {JAZZ}})
    a.answer(av.sdp())
    av.follow(a)
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    end(c, a)


@tap.case("a queue answers C with its own music; the agent answers, and they hear each other")
def queue(lab):
    queued(lab, late=False)


@tap.case("a queue answers an INVITE without SDP with an offer of music")
def queue_late(lab):
    queued(lab, late=True)


def recorded(eng, lab, led):
    """The recordings of a conversation, converted: (row, the tones of each side)."""
    subprocess.run([os.path.join(SRC, "contrib", "recording-to-wav"), eng.records, eng.wavs],
                   check=True, capture_output=True)
    rows = lab.rows(f"select * from segue.recordings where conversation_id = "
                    f"'{led.conversation['id']}' order by started_at")
    return [(r, sides(r["file"])) for r in rows]


def sides(path):
    """The tones that the left and the right side of a recording hold."""
    with wave.open(path) as w:
        assert w.getnchannels() == 2 and w.getframerate() == rtp.RATE
        data = array.array("h", w.readframes(w.getnframes()))
    return [rtp.tones_in(data[i::2]) for i in (0, 1)]


@tap.case("E-130 M16 a recorded queue: a part before the hold and one after, each with both voices")
def recording(lab):
    cv, av = voices(2)
    agent = lab.phone()
    number = queue_with(lab, agent, number=RECORDED)
    c = lab.trunk().invite(number, sdp=cv.sdp())
    c.expect(200, method="INVITE")
    c.ack()
    cv.follow(c)
    a = agent.incoming()
    a.answer(av.sdp())
    av.follow(a)
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    a.reinvite(a.sdp.copy(dir="sendonly"))
    rtp.wait_heard({av: SILENCE})
    a.reinvite(a.sdp.copy(dir="sendrecv"))
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    end(c, a)
    led = lab.ledger(c)
    parts = recorded(engine_of[0], lab, led)
    assert [r["state"] for r, _ in parts] == ["paused", "ended"], parts
    for row, tones in parts:
        assert row["segment_id"] == led.segment(agent.user)["id"], (row, led.segments)
        assert tones == [{cv.tone}, {av.tone}] or tones == [{av.tone}, {cv.tone}], tones
    assert parts[0][0]["offset_ms"] < parts[1][0]["offset_ms"], parts
    kinds = [t for t in led.types() if t.startswith("recording")]
    assert kinds == ["recording_on", "recording_paused", "recording_on", "recording_off"], kinds


@tap.case("M16 a recording that is asked for by command, paused and stopped")
def recording_command(lab):
    cv, av = voices(2)
    c, a = talk(lab, cv, av)
    call = call_of(lab, c)
    assert "expected start" in lab.seguectl("record", call, "loudly", ok=False)
    lab.seguectl("record", call, "start")
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    wait("sound has been captured", lambda: len(cv.samples(0.5)) > 3000)
    lab.seguectl("record", call, "stop")
    end(c, a)
    led = lab.ledger(c)
    parts = recorded(engine_of[0], lab, led)
    assert [r["state"] for r, _ in parts] == ["paused"], parts
    assert {cv.tone} in parts[0][1] and {av.tone} in parts[0][1], parts
    kinds = [t for t in led.types() if t.startswith("recording")]
    assert kinds == ["recording_on", "recording_off"], kinds


engine_of = []


def main():
    with engine.Engine() as e:
        engine_of.append(e)
        record = f'record_queues = [ "q{RECORDED}" ]; recordings = "{e.wavs}";'
        tap.main(lambda: Lab(conf=e.conf(extra=record)), jobs=3)


main()
