"""What callers of a queue hear: places announced over the music, and music before they are answered."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import engine
import rtp
import tap
from desk import Desk
from engine import MUSIC
from flows import end, wait
from segued import Lab

FIRST, SECOND = rtp.TONES[0], rtp.TONES[1]   # "you are first", "you are second"


def sounds(directory):
    os.makedirs(os.path.join(directory, "en"))
    for name, tone in (("position-1", FIRST), ("position-2", SECOND)):
        rtp.write_wav(os.path.join(directory, "en", name + ".wav"), tone, 2)


def voice(tone):
    v = rtp.Rtp(tone)
    tap.at_end(v.close)
    return v


def enters(lab, desk, tone):
    """A caller who is answered into the queue; its call and its voice."""
    v = voice(tone)
    c = lab.trunk().invite(desk.number, sdp=v.sdp())
    c.expect(200, method="INVITE")
    c.ack()
    v.follow(c)
    return c, v


@tap.case("places are announced over the music, each caller's own, and the music comes back")
def announced(lab):
    b = lab.phone()
    desk = Desk(lab, b, announce="en", announce_after_ms=1000, announce_every_ms=5000)
    c, cv = enters(lab, desk, rtp.TONES[2])
    y = b.incoming()
    y.reply(180)
    d, dv = enters(lab, desk, rtp.TONES[3])
    rtp.wait_heard({cv: {FIRST}})
    rtp.wait_heard({dv: {SECOND}})
    rtp.wait_heard({cv: {MUSIC}, dv: {MUSIC}})
    bv = voice(rtp.TONES[4])
    y.answer(bv.sdp())
    bv.follow(y)
    rtp.wait_heard({cv: {bv.tone}, bv: {cv.tone}})
    rtp.wait_heard({dv: {FIRST}})
    rtp.wait_heard({dv: {MUSIC}})
    end(c, y)
    d.hangup()


@tap.case("an agent answers in the middle of an announcement: the two talk, and nothing more is said")
def cut_short(lab):
    b = lab.phone()
    desk = Desk(lab, b, announce="en", announce_after_ms=1000, announce_every_ms=5000)
    c, cv = enters(lab, desk, rtp.TONES[2])
    y = b.incoming()
    y.reply(180)
    rtp.wait_heard({cv: {FIRST}})
    bv = voice(rtp.TONES[4])
    y.answer(bv.sdp())
    bv.follow(y)
    rtp.wait_heard({cv: {bv.tone}, bv: {cv.tone}})
    end(c, y)


@tap.case("announcements are switched on while a caller waits: the place is told, and the music comes back")
def switched_on(lab):
    b = lab.phone()
    desk = Desk(lab, b)
    c, cv = enters(lab, desk, rtp.TONES[2])
    y = b.incoming()
    y.reply(180)
    rtp.wait_heard({cv: {MUSIC}})
    lab.sql(f"update segue.queues set announce = 'en', announce_after_ms = 1000 where name = '{desk.name}'")
    rtp.wait_heard({cv: {FIRST}})
    rtp.wait_heard({cv: {MUSIC}})
    c.hangup()
    y.expect("CANCEL")


@tap.case("sounds that are not there: the music comes back, the log names the file")
def no_sounds(lab):
    b = lab.phone()
    mark = lab.daemon.mark()
    desk = Desk(lab, b, announce="nowhere", announce_after_ms=1000)
    c, cv = enters(lab, desk, rtp.TONES[2])
    lab.daemon.wait_log("media_refused.*nowhere/position-1.wav", since=mark)
    rtp.wait_heard({cv: {MUSIC}})
    c.hangup()


@tap.case("entry early: music before the answer; 200 only when an agent answers, with the session of the 183, "
          "which is said again meanwhile (RFC 3261 13.3.1.1)")
def early(lab):
    b = lab.phone()
    desk = Desk(lab, b, entry="early")
    cv, bv = voice(rtp.TONES[2]), voice(rtp.TONES[4])
    c = lab.trunk().invite(desk.number, sdp=cv.sdp())
    m = c.expect(183, method="INVITE")
    first = c.remote_sdp.port()
    cv.follow(c)
    y = b.incoming()
    y.reply(180)
    rtp.wait_heard({cv: {MUSIC}})
    again = c.expect(183, method="INVITE")
    assert again.sdp.port() == first and again.sdp.origin == m.sdp.origin, (m.text, again.text)
    assert c.take(200, 0, method="INVITE") is None
    y.answer(bv.sdp())
    bv.follow(y)
    c.expect(200, method="INVITE")
    assert c.remote_sdp.port() == first, (m.text, c.remote_sdp.text)
    c.ack()
    rtp.wait_heard({cv: {bv.tone}, bv: {cv.tone}})
    end(c, y)
    led = lab.ledger(c)
    assert led.conversation["outcome"] == "answered", led
    assert led.segment(desk.name)["outcome"] == "answered", led


@tap.case("entry early: a caller who gives up was never answered, and nothing is billed")
def early_abandoned(lab):
    b = lab.phone()
    desk = Desk(lab, b, entry="early")
    cv = voice(rtp.TONES[2])
    c = lab.trunk().invite(desk.number, sdp=cv.sdp())
    c.expect(183, method="INVITE")
    cv.follow(c)
    y = b.incoming()
    y.reply(180)
    rtp.wait_heard({cv: {MUSIC}})
    c.cancel()
    c.expect(487, method="INVITE")
    y.expect("CANCEL")
    led = lab.ledger(c)
    assert led.conversation["outcome"] == "abandoned" and led.conversation["talk_ms"] == 0, led
    assert led.segment(desk.name)["outcome"] == "abandoned", led


def main():
    with engine.Engine() as e:
        sounds(e.music)
        tap.main(lambda: Lab(users=30, peers=20, conf=e.conf(), sip='progress = "1s";'), jobs=2)


main()
