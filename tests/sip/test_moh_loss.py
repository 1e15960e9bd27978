"""Music when what plays it dies: the only media engine, and then a SIP server takes its place (RFC 7088);
segued itself, while that server plays. One case after the other: they end what all calls run on."""
import os
import re
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import engine
import rtp
import tap
import ua
from engine import MUSIC
from flows import arrived, end, joined, pick_up, ring, wait
from segued import Lab

SILENCE = set()
TUNE = rtp.TONES[3]
SERVER = ua.Ua("music", ("127.0.0.1", 0))
engines = []


def voice(tone):
    v = rtp.Rtp(tone)
    tap.at_end(v.close)
    return v


def engine_back(lab):
    """The engine runs, and segue knows."""
    e = engines[0]
    if e.proc is None:
        mark = lab.daemon.mark()
        e.start()
        lab.daemon.wait_log(f"media_engine_back engine={e.address}", since=mark)


def talk(lab):
    """C and A talk and hear each other. Returns C, A and their voices."""
    cv, av = voice(rtp.TONES[0]), voice(rtp.TONES[1])
    agent = lab.phone()
    mark = lab.daemon.mark()
    c, a = ring(lab.trunk(), agent.number, agent, cv.sdp())
    pick_up(c, a, av.sdp())
    line = lab.daemon.wait_log(f" answered actor={agent.user} ", since=mark)
    c.segue_id = re.search(r" call=(\S+)", line).group(1)
    cv.follow(c)
    av.follow(a)
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    return c, a, cv, av


def held(lab):
    """A's phone holds C."""
    c, a, cv, av = talk(lab)
    a.reinvite(a.sdp.copy(dir="sendonly"))
    a.keeps_hold = True
    return c, a, cv, av


def plays(lab, cv):
    """The music server is called for C, and plays. Its call."""
    SERVER.server = (lab.ip, lab.port)
    m = SERVER.incoming(where=lambda r: r.sdp is not None and r.sdp.port() == cv.port)
    mv = voice(TUNE)
    m.answer(mv.sdp(dir="sendonly"))
    m.expect("ACK")
    mv.follow(m)
    return m


def taken_back(c, a, cv, av):
    """A's phone, which was told to send nothing while the server plays, takes C back."""
    wait("A was told to send nothing", lambda: a.remote_sdp.dir() == "inactive")
    arrived(a)
    a.keeps_hold = False
    a.reinvite(a.sdp.copy(dir="sendrecv"))
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})


@tap.case("RFC 7088: the engine dies while C hears its music: the music server plays instead; then A has C again")
def engine_dies(lab):
    engine_back(lab)
    c, a, cv, av = held(lab)
    rtp.wait_heard({cv: {MUSIC}, av: SILENCE})
    engines[0].kill()
    m = plays(lab, cv)
    rtp.wait_heard({cv: {TUNE}, av: SILENCE})
    taken_back(c, a, cv, av)
    m.expect("BYE")
    end(c, a)
    led = lab.ledger(c)
    assert len(led.segments) == 1 and led.segments[0]["hold_ms"] > 0, led.segments


@tap.case("RFC 7088: the engine dies while both are held by a command: the music server plays to C; then A has C again")
def engine_dies_in_command(lab):
    engine_back(lab)
    c, a, cv, av = talk(lab)
    lab.seguectl("hold", c.segue_id)
    rtp.wait_heard({cv: {MUSIC}, av: SILENCE})
    engines[0].kill()
    m = plays(lab, cv)
    rtp.wait_heard({cv: {TUNE}, av: SILENCE})
    lab.seguectl("unhold", c.segue_id)
    m.expect("BYE")
    rtp.wait_heard({cv: {av.tone}, av: {cv.tone}})
    end(c, a)


@tap.case("RFC 7088 E-124 kill while the music server plays: it is called anew, and C hears it again; then A")
def killed(lab):
    engines[0].kill()
    c, a, cv, av = held(lab)
    m = plays(lab, cv)
    rtp.wait_heard({cv: {TUNE}, av: SILENCE})
    lab.daemon.kill()
    rtp.wait_heard({cv: {TUNE}, av: SILENCE})
    lab.restart()
    m.expect("BYE")
    m = plays(lab, cv)
    rtp.wait_heard({cv: {TUNE}, av: SILENCE})
    taken_back(c, a, cv, av)
    m.expect("BYE")
    joined(c, a)
    end(c, a)
    led = lab.ledger(c, timeout=20)
    assert led.types().count("recovered") == 1 and not led.conversation["estimated"], led
    assert len(led.segments) == 1 and led.segments[0]["hold_ms"] > 0, led.segments


def main():
    with engine.Engine() as e:
        engines.append(e)
        tap.main(lambda: Lab(conf=e.conf(extra=f'music_uri = "sip:music@{SERVER.hostport}";')), jobs=1)


main()
