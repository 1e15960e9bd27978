"""Keys that segue presses for a caller in a menu (`digits` of segue.ivrs, ;postd= of a command): in the
audio by a real rtpengine, as telephone events (RFC 4733) or as tones, and by INFO where that fails."""
import itertools
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import engine
import rtp
import srtp
import tap
from flows import end, final_notify, pick_up, ring, wait
from segued import Lab

MENUS, OLD, STRICT = 40, 42, 44
PEERS = {MENUS: "", OLD: 'dtmf = "info";', STRICT: 'dtmf = "rtp";'}
ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
numbers = itertools.count(7300)


def voice(tone, kind=rtp.Rtp):
    v = kind(tone)
    tap.at_end(v.close)
    return v


def described(v, number, **kw):
    """That voice, which takes telephone events under this number; None: it knows none."""
    sdp = v.sdp(extra=[f"a=rtpmap:{number} telephone-event/8000"] if number else [], **kw)
    sdp.audio = f"0 {number}" if number else "0"
    return sdp


def talk(lab, cv, number=101):
    """C talks with A, who speaks as C does, through the engine. C's voice takes telephone events under that
    number."""
    av = voice(rtp.TONES[1], type(cv))
    agent = lab.phone()
    c, a = ring(lab.trunk(), agent.number, agent, described(cv, number))
    pick_up(c, a, av.sdp())
    cv.follow(c)
    av.follow(a)
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    return c, a


def new_menu(lab, peer, digits):
    """A menu of that peer, whose keys are these. Its number; the directory will have it."""
    row = str(next(numbers))
    lab.sql(f"insert into segue.ivrs (name, number, peer, dial, digits) values "
            f"('menu{row}', '{row}', 'peer{peer:02d}', '9', '{digits}')")
    return row


def menu(lab, c, a, mv, digits, peer=MENUS, number=101):
    """A transfers C to a menu of that peer, whose keys are these. The menu's call, which has answered."""
    trunk, row = lab.trunk(index=peer), new_menu(lab, peer, digits)

    def accepted():
        a.refer(lab.refer_to(row))
        return a.expect(range(200, 700), method="REFER").status == 202
    wait("the directory has it", accepted)
    m = trunk.incoming()
    m.answer(described(mv, number))
    m.expect("ACK")
    mv.follow(m)
    final_notify(a, 200)
    a.hangup()
    return m


def key_in(samples):
    """The key whose two tones are in the samples, or None."""
    found = rtp.tones_in(samples, among=ROWS + COLUMNS)
    row, column = [f for f in ROWS if f in found], [f for f in COLUMNS if f in found]
    if len(row) != 1 or len(column) != 1:
        return None
    return "123A456B789C*0#D"[ROWS.index(row[0]) * 4 + COLUMNS.index(column[0])]


def in_order(heard):
    """Each key that was heard, once."""
    return "".join(key for key, _ in itertools.groupby(x for x in list(heard) if x))


@tap.case("E-054 a menu behind an engine hears the keys as telephone events, under the number that it was offered; no INFO")
def events(lab):
    cv, mv = voice(rtp.TONES[0]), voice(rtp.TONES[2])
    c, a = talk(lab, cv)
    m = menu(lab, c, a, mv, "1,2#")
    wait("the menu has heard the keys", lambda: [k for _, k in mv.keys()] == list("12#") or None)
    assert mv.keys() == [(101, "1"), (101, "2"), (101, "#")], mv.keys()
    rtp.wait_heard({cv: {mv.tone}, mv: {cv.tone}})
    mv.press("5")
    wait("C hears the menu's own keys", lambda: cv.keys() == [(101, "5")] or None)
    cv.press("7")
    wait("and the menu C's", lambda: mv.keys()[3:] == [(101, "7")] or None)
    m.expect_none("INFO", 0.1)
    end(c, m)


@tap.case("a caller who dials the menu himself: the keys are pressed for him, too")
def dialled(lab):
    cv, mv = voice(rtp.TONES[0]), voice(rtp.TONES[2])
    menus, row = lab.trunk(index=MENUS), new_menu(lab, MENUS, "12")
    trunk = lab.trunk()

    def taken():
        c = trunk.invite(row, sdp=described(cv, 101))
        wait("the call is refused, or is at the menu", lambda: c.holds(404) or menus.holds("INVITE"))
        return None if c.holds(404) else c
    c = wait("the directory has it", taken)
    m = menus.incoming()
    m.answer(described(mv, 101))
    m.expect("ACK")
    c.expect(200, method="INVITE")
    c.ack()
    cv.follow(c)
    mv.follow(m)
    wait("the menu has heard the keys", lambda: mv.keys() == [(101, "1"), (101, "2")] or None)
    m.expect_none("INFO", 0.1)
    end(c, m)


@tap.case("E-054 a menu that takes them under another number than C gets them so; C's and its own keys pass as well")
def other_number(lab):
    cv, mv = voice(rtp.TONES[0]), voice(rtp.TONES[2])
    c, a = talk(lab, cv)
    m = menu(lab, c, a, mv, "9#", number=96)
    wait("the menu has heard the keys", lambda: mv.keys() == [(96, "9"), (96, "#")] or None)
    cv.press("7")
    wait("and C's own", lambda: mv.keys()[2:] == [(96, "7")] or None)
    mv.press("5")
    wait("C hears the menu's keys", lambda: cv.keys() == [(101, "5")] or None)
    rtp.wait_heard({cv: {mv.tone}, mv: {cv.tone}})
    m.expect_none("INFO", 0.1)
    end(c, m)


@tap.case("E-054 a menu that knows no telephone events hears tones")
def tones(lab):
    cv, mv = voice(rtp.TONES[0]), voice(rtp.TONES[2])
    c, a = talk(lab, cv)
    heard, hear = [], mv.listen

    def listen(samples):
        hear(samples)
        heard.append(key_in(mv.samples(0.06)))
    mv.listen = listen
    tap.note(lambda: f"the menu has heard {in_order(heard)!r}")
    m = menu(lab, c, a, mv, "9#", number=None)
    wait("the menu has heard both keys", lambda: in_order(heard) == "9#" or None)
    rtp.wait_heard({cv: {mv.tone}, mv: {cv.tone}})
    m.expect_none("INFO", 0.1)
    end(c, m)


@tap.case("E-057 E-054 C and the menu speak SRTP: the engine presses the keys under the key that the menu was told; C's own pass, and the menu's")
def secure(lab):
    cv, mv = voice(rtp.TONES[0], srtp.Srtp), voice(rtp.TONES[2], srtp.Srtp)
    c, a = talk(lab, cv)
    m = menu(lab, c, a, mv, "1,2#")
    assert "RTP/SAVP" in m.remote_sdp.text and "RTP/SAVP" in c.remote_sdp.text, m.remote_sdp.text
    wait("the menu has heard the keys", lambda: [k for _, k in mv.keys()] == list("12#") or None)
    assert mv.keys() == [(101, "1"), (101, "2"), (101, "#")], mv.keys()
    rtp.wait_heard({cv: {mv.tone}, mv: {cv.tone}})
    cv.press("7")
    wait("and C's own", lambda: mv.keys()[3:] == [(101, "7")] or None)
    mv.press("5")
    wait("C hears the menu's own keys", lambda: cv.keys() == [(101, "5")] or None)
    m.expect_none("INFO", 0.1)
    end(c, m)


@tap.case("a caller who sends no audio: the engine cannot press the keys, INFO does")
def mute(lab):
    cv, mv = voice(rtp.TONES[0]), voice(rtp.TONES[2])
    c, a = talk(lab, cv)
    cv.follow(None)
    m = menu(lab, c, a, mv, "34")
    for key in "34":
        info = m.expect("INFO")
        assert info.text.splitlines()[0] == f"Signal={key}", info.text
    rtp.wait_heard({cv: {mv.tone}})
    assert not mv.keys(), mv.keys()
    end(c, m)


@tap.case("dtmf = \"info\": a menu that wants INFO gets it, whatever the engine could do")
def wants_info(lab):
    cv, mv = voice(rtp.TONES[0]), voice(rtp.TONES[2])
    c, a = talk(lab, cv)
    m = menu(lab, c, a, mv, "8", peer=OLD)
    assert m.expect("INFO").text.splitlines()[0] == "Signal=8"
    rtp.wait_heard({cv: {mv.tone}, mv: {cv.tone}})
    assert not mv.keys(), mv.keys()
    end(c, m)


@tap.case("dtmf = \"rtp\": where the engine cannot press the keys, the menu is not asked by INFO")
def wants_rtp(lab):
    cv, mv = voice(rtp.TONES[0]), voice(rtp.TONES[2])
    c, a = talk(lab, cv)
    cv.follow(None)
    mark = lab.daemon.mark()
    m = menu(lab, c, a, mv, "8", peer=STRICT)
    lab.daemon.wait_log("event type=UNPRESSED", since=mark)
    m.expect_none("INFO", 0.2)
    end(c, m)


def main():
    with engine.Engine() as e:
        tap.main(lambda: Lab(conf=e.conf(), peer_conf=lambda i: PEERS.get(i, "")), jobs=1)


main()
