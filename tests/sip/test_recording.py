"""What is recorded, and when: policy by user, consultations that succeed and fail, media.record_hold. A
real rtpengine captures the audio, contrib/recording-to-wav makes files of it, and the tones in these say
who is heard."""
import array
import os
import re
import subprocess
import sys
import wave
from urllib.parse import quote
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import engine
import rtp
import tap
from flows import end, final_notify, joined, pick_up, ring, wait
from segued import SRC, Lab

SILENCE = set()
RECORDED, TOO = 148, 146   # the users whose calls are recorded
engines = []


def voices(n=2):
    v = [rtp.Rtp(t) for t in rtp.TONES[:n]]
    for x in v:
        tap.at_end(x.close)
    return v


def captured(*ears):
    """Each of them has heard half a second, so there is something in the file."""
    wait("sound has been captured", lambda: all(len(v.samples(0.5)) > 3000 for v in ears))


def talk(lab, cv, av, agent=None):
    """C talks with a user whose calls are recorded. Returns (C, A)."""
    agent = agent or lab.named(RECORDED)
    agent.register()
    tap.at_end(lambda: agent.register(expires=0))
    mark = lab.daemon.mark()
    c, a = ring(lab.trunk(), agent.number, agent, cv.sdp())
    pick_up(c, a, av.sdp())
    line = lab.daemon.wait_log(f" answered actor={agent.user} ", since=mark)
    c.segue_id = re.search(r" call=(\S+)", line).group(1)
    cv.follow(c)
    av.follow(a)
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    captured(cv, av)
    return c, a


def parts(lab, c):
    """The recordings of C's conversation: (row, the tones of each side); and the ledger."""
    led = lab.ledger(c)
    e = engines[0]
    subprocess.run([os.path.join(SRC, "contrib", "recording-to-wav"), e.records, e.wavs],
                   check=True, capture_output=True)
    rows = lab.rows(f"select * from segue.recordings where conversation_id = "
                    f"'{led.conversation['id']}' order by started_at")
    return [(r, sides(r["file"])) for r in rows], led


def sides(path):
    with wave.open(path) as w:
        data = array.array("h", w.readframes(w.getnframes()))
    return [rtp.tones_in(data[i::2]) for i in (0, 1)]


def both(tones, cv, av):
    """Each side of the recording holds one of the two, and nobody else."""
    assert sorted(map(sorted, tones)) == sorted([[cv.tone], [av.tone]]), tones


def told(led):
    return [t for t in led.types() if t.startswith("recording")]


TWICE = ["recording_on", "recording_paused", "recording_on", "recording_off"]


@tap.case("M16 record_users: the calls of that user are recorded, those of others are not")
def by_user(lab):
    cv, av = voices()
    c, a = talk(lab, cv, av)
    end(c, a)
    got, led = parts(lab, c)
    assert [r["state"] for r, _ in got] == ["ended"] and told(led) == ["recording_on", "recording_off"], got
    assert got[0][0]["segment_id"] == led.segments[0]["id"] and got[0][0]["offset_ms"] >= 0, got
    both(got[0][1], cv, av)
    cv, av = voices()
    c, a = talk(lab, cv, av, lab.user())
    end(c, a)
    got, led = parts(lab, c)
    assert not got and not told(led), (got, led)


@tap.case("E-130 M16 the agent holds C and consults by phone, in vain: a part before, and one after with C again")
def by_phone(lab):
    cv, av = voices()
    target = lab.phone()
    c, a = talk(lab, cv, av)
    a.reinvite(a.sdp.copy(dir="sendonly"))
    rtp.wait_heard({av: SILENCE})
    a2 = a.ua.invite(target.number, sdp=av.sdp())
    b = target.incoming()
    b.reply(180)
    b.reply(486)
    a2.expect(486, method="INVITE")
    a.reinvite(a.sdp.copy(dir="sendrecv"))
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    captured(cv, av)
    end(c, a)
    got, led = parts(lab, c)
    assert [r["state"] for r, _ in got] == ["paused", "ended"] and told(led) == TWICE, (got, led)
    for row, tones in got:
        assert row["segment_id"] == led.segment(a.ua.user)["id"], (row, led.segments)
        both(tones, cv, av)
    assert got[0][0]["offset_ms"] < got[1][0]["offset_ms"], got


def asks(a, av, target, bv):
    """A holds C and asks the target by a call of its own; both have been captured. Returns that call's ends."""
    a.reinvite(a.sdp.copy(dir="sendonly"))
    rtp.wait_heard({av: SILENCE})
    av.follow(None)
    a2v = rtp.Rtp(rtp.TONES[3])
    tap.at_end(a2v.close)
    a2 = a.ua.invite(target.number, sdp=a2v.sdp())
    b = target.incoming()
    b.answer(bv.sdp())
    a2.expect(200, method="INVITE")
    a2.ack()
    b.expect("ACK")
    a2v.follow(a2)
    bv.follow(b)
    rtp.wait_heard({bv: {a2v.tone}, a2v: {bv.tone}})
    captured(a2v, bv)
    return a2, b


@tap.case("E-130 M16 a consultation by phone that is answered: the consulted party is in no recording; then C again")
def consulted(lab):
    cv, av, bv = voices(3)
    target = lab.phone()
    c, a = talk(lab, cv, av)
    a2, b = asks(a, av, target, bv)
    end(a2, b)
    av.follow(a)
    a.reinvite(a.sdp.copy(dir="sendrecv"))
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    captured(cv, av)
    end(c, a)
    got, led = parts(lab, c)
    assert [r["state"] for r, _ in got] == ["paused", "ended"] and told(led) == TWICE, (got, led)
    for _, tones in got:
        both(tones, cv, av)


@tap.case("M16 E-085 both agents of an attended transfer are recorded: a part for each, nothing of the consultation")
def attended(lab):
    cv, av, bv = voices(3)
    target = lab.named(TOO)
    target.register()
    tap.at_end(lambda: target.register(expires=0))
    c, a = talk(lab, cv, av)
    a2, b = asks(a, av, target, bv)
    name = quote(f"{a2.call_id};to-tag={a2.remote_tag};from-tag={a2.local_tag}", safe="")
    a.refer(f"<sip:{target.dial}@{lab.domain}?Replaces={name}>")
    final_notify(a, 200)
    rtp.wait_heard({cv: {bv.tone}, bv: {cv.tone}})
    captured(cv, bv)
    end(c, b)
    got, led = parts(lab, c)
    assert [r["state"] for r, _ in got] == ["paused", "ended"] and told(led) == TWICE, (got, led)
    assert [s["kind"] for s in led.segments] == ["agent", "consult", "agent"], led.segments
    assert [r["segment_id"] for r, _ in got] == [led.segments[0]["id"], led.segments[2]["id"]], got
    both(got[0][1], cv, av)
    both(got[1][1], cv, bv)


@tap.case("E-130 M16 a consultation by command that is cancelled: nothing of it is recorded; then C again")
def by_command(lab):
    cv, av, bv = voices(3)
    target = lab.phone()
    c, a = talk(lab, cv, av)
    lab.seguectl("consult", c.segue_id, target.number)
    b = target.incoming()
    b.answer(bv.sdp())
    bv.follow(b)
    rtp.wait_heard({av: {bv.tone}, bv: {av.tone}})
    captured(av, bv)
    lab.seguectl("cancel", c.segue_id)
    b.expect("BYE")
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    captured(cv, av)
    end(c, a)
    got, led = parts(lab, c)
    assert [r["state"] for r, _ in got] == ["paused", "ended"] and told(led) == TWICE, (got, led)
    for _, tones in got:
        both(tones, cv, av)


def record_hold(lab):
    """From now on recordings run on in holds and consultations."""
    text = open(lab.conf).read()
    with open(lab.conf, "w") as f:
        f.write(text.replace("record_hold = false", "record_hold = true"))
    lab.seguectl("reload")


@tap.case("M16 record_hold: a recording runs on during a hold")
def on_hold(lab):
    record_hold(lab)
    cv, av = voices()
    c, a = talk(lab, cv, av)
    a.reinvite(a.sdp.copy(dir="sendonly"))
    rtp.wait_heard({av: SILENCE})
    a.reinvite(a.sdp.copy(dir="sendrecv"))
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    end(c, a)
    got, led = parts(lab, c)
    assert [r["state"] for r, _ in got] == ["ended"] and told(led) == ["recording_on", "recording_off"], got
    both(got[0][1], cv, av)


@tap.case("E-130 M16 record_hold: a consultation by command is in the recording, which is one")
def on_consultation(lab):
    record_hold(lab)
    cv, av, bv = voices(3)
    target = lab.phone()
    c, a = talk(lab, cv, av)
    lab.seguectl("consult", c.segue_id, target.number)
    b = target.incoming()
    b.answer(bv.sdp())
    bv.follow(b)
    rtp.wait_heard({av: {bv.tone}, bv: {av.tone}})
    captured(av, bv)
    lab.seguectl("cancel", c.segue_id)
    b.expect("BYE")
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    captured(cv, av)
    end(c, a)
    got, led = parts(lab, c)
    assert [r["state"] for r, _ in got] == ["ended"] and told(led) == ["recording_on", "recording_off"], got
    assert sorted(map(sorted, got[0][1])) == sorted([[av.tone], [cv.tone, bv.tone]]), got[0][1]


def main():
    with engine.Engine() as e:
        engines.append(e)
        record = (f'record_users = [ "u{RECORDED}", "u{TOO}" ]; record_hold = false; recordings = "{e.wavs}";')
        tap.main(lambda: Lab(conf=e.conf(extra=record)), jobs=1)


main()
