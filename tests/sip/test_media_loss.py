"""Media engines that die, hang and come back: signalling goes on, and audio finds its way again."""
import os
import sys
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import engine
import rtp
import tap
from engine import MUSIC
from flows import end, final_notify, pick_up, refer, ring, wait
from segued import Lab

SILENCE = set()
MENUS = 40
engines = []


def voice(tone):
    v = rtp.Rtp(tone)
    tap.at_end(v.close)
    return v


def call(lab):
    """C and A talk and hear each other; whether through an engine is the case's business."""
    cv, av = voice(rtp.TONES[0]), voice(rtp.TONES[1])
    agent = lab.phone()
    offer = cv.sdp(extra=["a=rtpmap:101 telephone-event/8000"])
    offer.audio = "0 101"
    c, a = ring(lab.trunk(), agent.number, agent, offer)
    pick_up(c, a, av.sdp())
    cv.follow(c)
    av.follow(a)
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    return c, a, cv, av


def asked(x):
    """x has had a re-INVITE, and segue has its answer."""
    m = x.expect("INVITE")
    x.expect("ACK", where=lambda ack: ack.cseq == m.cseq)


def is_direct(c, av):
    return c.remote_sdp.port() == av.port


def all_back(lab):
    """Every engine runs, and segue knows."""
    for e in engines:
        if e.proc is None:
            mark = lab.daemon.mark()
            e.start()
            lab.daemon.wait_log(f"media_engine_back engine={e.address}", since=mark)


@tap.case("an engine dies while two talk: both are asked anew, and hear each other through the other one")
def dies_in_talk(lab):
    all_back(lab)
    calls = [call(lab), call(lab)]   # in turn: one on each engine
    assert all(len(e.calls()) == 1 for e in engines), [e.calls() for e in engines]
    engines[0].kill()
    for c, a, cv, av in calls:
        rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
        assert not is_direct(c, av)
    wait("both calls are in the engine that lives", lambda: len(engines[1].calls()) == 2)
    for c, a, _, _ in calls:
        end(c, a)
    wait("the engine holds nothing", lambda: not engines[1].calls())


@tap.case("an engine dies while C hears music: A takes C back through the other one")
def dies_in_music(lab):
    all_back(lab)
    c, a, cv, av = call(lab)
    a.reinvite(a.sdp.copy(dir="sendonly"))
    asked(c)
    a.keeps_hold = True
    rtp.wait_heard({cv: {MUSIC}, av: SILENCE})
    next(e for e in engines if e.calls()).kill()
    asked(a)
    asked(c)
    assert any(e.proc and e.calls() for e in engines), "the other engine does not have the call"
    rtp.wait_heard({cv: {MUSIC}, av: SILENCE})
    a.keeps_hold = False
    a.reinvite(a.sdp.copy(dir="sendrecv"))
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    end(c, a)


@tap.case("an engine dies while B rings: the transfer goes through")
def dies_in_transfer(lab):
    all_back(lab)
    c, a, cv, av = call(lab)
    bv = voice(rtp.TONES[2])
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    b.reply(180)
    next(e for e in engines if e.calls()).kill()
    b.answer(bv.sdp())
    bv.follow(b)
    final_notify(a, 200)
    rtp.wait_heard({cv: {bv.tone}, bv: {cv.tone}})
    a.hangup()
    end(c, b)


@tap.case("an engine dies between the keys of a menu: the rest is pressed all the same, and no key twice")
def dies_in_keys(lab):
    all_back(lab)
    menus = lab.trunk(index=MENUS)
    lab.sql(f"insert into segue.ivrs (name, number, peer, dial, digits) values "
            f"('menu', '7399', 'peer{MENUS:02d}', '9', '1,,,2')")
    c, a, cv, av = call(lab)
    mv = voice(rtp.TONES[2])

    def accepted():
        a.refer(lab.refer_to("7399"))
        return a.expect(range(200, 700), method="REFER").status == 202
    wait("the directory has it", accepted)
    m = menus.incoming()
    sdp = mv.sdp(extra=["a=rtpmap:101 telephone-event/8000"])
    sdp.audio = "0 101"
    m.answer(sdp)
    m.expect("ACK")
    mv.follow(m)
    final_notify(a, 200)
    a.hangup()
    wait("the menu has heard the first key", lambda: pressed(m, mv) == ["1"] or None)
    next(e for e in engines if e.calls()).kill()
    wait("the menu has heard the second key", lambda: len(pressed(m, mv)) > 1)
    rtp.wait_heard({cv: {mv.tone}, mv: {cv.tone}})
    assert pressed(m, mv) == ["1", "2"], pressed(m, mv)
    end(c, m)


def pressed(m, mv):
    """The keys that a menu was told of so far, in its audio and by INFO."""
    with m.ua.cond:
        infos = [i.text.split("=")[1][0] for i in m.box if i.is_request and i.method == "INFO"]
    return [key for _, key in mv.keys()] + infos


@tap.case("an engine hangs: set-up waits for its timeout once and goes to the other; then not at all")
def hangs(lab):
    all_back(lab)
    engines[0].pause()
    tap.at_end(engines[0].resume)
    mark = lab.daemon.mark()
    started = time.monotonic()
    calls = [call(lab) for _ in range(2)]
    assert time.monotonic() - started < 5, "it took too long"
    lab.daemon.wait_log(f"media_engine_lost engine={engines[0].address}", since=mark)
    assert not any(is_direct(c, av) for c, _, _, av in calls)
    for c, a, _, _ in calls:
        end(c, a)
    mark = lab.daemon.mark()
    engines[0].resume()
    lab.daemon.wait_log(f"media_engine_back engine={engines[0].address}", since=mark)


@tap.case("no engine lives: calls, holds and transfers go on, the phones talk directly, the log says so")
def none(lab):
    all_back(lab)
    c1, a1, cv1, av1 = call(lab)
    mark = lab.daemon.mark()
    for e in engines:
        e.kill()
    wait("the first two talk directly", lambda: is_direct(c1, av1) and is_direct(a1, cv1))
    rtp.wait_heard({cv1: {av1.tone}, av1: {cv1.tone}})
    c, a, cv, av = call(lab)
    lab.daemon.wait_log("media_not_anchored", since=mark)
    assert is_direct(c, av)
    a.reinvite(a.sdp.copy(dir="sendonly"))
    rtp.wait_heard({cv: {av.tone}, av: SILENCE})  # what the phone itself plays
    a.reinvite(a.sdp.copy(dir="sendrecv"))
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    bv = voice(rtp.TONES[2])
    target = lab.phone()
    refer(lab, a, target.number)
    b = target.incoming()
    b.answer(bv.sdp())
    bv.follow(b)
    final_notify(a, 200)
    rtp.wait_heard({cv: {bv.tone}, bv: {cv.tone}})
    a.hangup()
    end(c, b)
    end(c1, a1)
    all_back(lab)
    c, a, cv, av = call(lab)
    assert not is_direct(c, av), "engines are back, and nobody uses them"
    end(c, a)


@tap.case("E-124 segued is killed: the audio goes on meanwhile, and runs through an engine again after it")
def killed(lab):
    c, a, cv, av = call(lab)
    assert not is_direct(c, av)
    lab.daemon.wait_log(f" answered actor={a.ua.user} ")
    lab.daemon.kill()
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    lab.restart()
    asked(c)
    asked(a)
    cv.follow(c)
    av.follow(a)
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    assert not is_direct(c, av), "no engine is asked any more"
    a.reinvite(a.sdp.copy(dir="sendonly"))
    rtp.wait_heard({cv: {MUSIC}, av: SILENCE})
    a.reinvite(a.sdp.copy(dir="sendrecv"))
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    end(c, a)


def main():
    with engine.Engine() as one, engine.Engine() as other:
        engines[:] = [one, other]
        tap.main(lambda: Lab(conf=one.conf(other)), jobs=1)


main()
