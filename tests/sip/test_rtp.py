"""The voices and ears of the tests themselves (tests/lib/rtp.py)."""
import os
import sys
import tempfile
import types
import wave
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))

import rtp
import tap
import ua

F, G, H = rtp.TONES[:3]


class Nothing:
    """A lab of nothing."""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass


def voice(tone):
    v = rtp.Rtp(tone)
    tap.at_end(v.close)
    return v


def told(v, where, mine="sendrecv", theirs="sendrecv", audio="0"):
    """v is in a call and was told to send there; returns that call."""
    theirs = ua.Sdp(port=where.port, dir=theirs, audio=audio)
    call = types.SimpleNamespace(ended=False, sdp=ua.Sdp(port=v.port, dir=mine),
                                 remote_sdp=ua.SdpView(str(theirs)))
    v.follow(call)
    return call


def fails(fn):
    try:
        fn()
    except AssertionError as e:
        return str(e)
    raise SystemError("it did not fail")


@tap.case("mu-law: the corner values of G.711, and an error that grows with the sample")
def ulaw(lab):
    for sample, byte in ((0, 0xff), (-1, 0x7f), (32767, 0x80), (-32768, 0x00), (8, 0xfe)):
        assert rtp.ulaw_encode(sample) == byte, (sample, hex(rtp.ulaw_encode(sample)))
    assert rtp.DECODED[0x80] == 32124 and rtp.DECODED[0x00] == -32124, rtp.DECODED
    assert rtp.DECODED[0xff] == 0 and rtp.DECODED[0xfe] == 8, rtp.DECODED
    for x in range(-32124, 32125, 7):
        wrong = abs(rtp.ulaw_decode(rtp.ulaw_encode(x)) - x)
        assert wrong <= max(4, abs(x) / 16), (x, wrong)


@tap.case("each tone is found, alone and among others, and none that is not there")
def found(lab):
    for f in rtp.TONES:
        assert rtp.tones_in(rtp.sine(f, rtp.WINDOW)) == {f}, f
    mixed = [x + y for x, y in zip(rtp.sine(F, 0.2), rtp.sine(H, 0.2, amplitude=4000))]
    assert rtp.tones_in(mixed) == {F, H}
    assert rtp.tones_in([0] * 1600) == set() == rtp.tones_in([])
    between = (rtp.TONES[2] + rtp.TONES[3]) / 2
    assert rtp.tones_in(rtp.sine(between, 0.2)) == set()
    faint = rtp.sine(F, 0.2, amplitude=rtp.NOTICED // 2)
    assert rtp.tones_in(faint) == set()


@tap.case("a file with a tone is a WAV file")
def wav(lab):
    with tempfile.TemporaryDirectory() as d:
        with wave.open(rtp.write_wav(os.path.join(d, "x.wav"), G, 2, 16000)) as w:
            assert (w.getnchannels(), w.getsampwidth(), w.getframerate()) == (1, 2, 16000)
            assert w.getnframes() == 32000, w.getnframes()
            data = memoryview(w.readframes(3200)).cast("h")
    assert rtp.tones_in(data, 16000) == {G}


@tap.case("two parties hear each other and nobody else")
def two(lab):
    a, b, c = voice(F), voice(G), voice(H)
    told(a, b)
    told(b, a)
    rtp.wait_heard({a: {G}, b: {F}, c: set()})
    assert not a.strange and set(a.sources) == {("127.0.0.1", b.port)}, a.sources


@tap.case("an ear hears everybody who sends to it")
def three(lab):
    a, b, c = voice(F), voice(G), voice(H)
    told(a, c)
    told(b, c)
    rtp.wait_heard({c: {F, G}, a: set(), b: set()})


@tap.case("the newest description counts: hold is silence, then the other one hears")
def moves(lab):
    a, b, c = voice(F), voice(G), voice(H)
    call = told(a, b)
    rtp.wait_heard({b: {F}, c: set()})
    for theirs in ("sendonly", "inactive"):
        told(a, b, theirs=theirs)
        rtp.wait_heard({b: set(), c: set()})
    told(a, b, theirs="recvonly")
    rtp.wait_heard({b: {F}})
    for mine in ("recvonly", "inactive"):
        told(a, b, mine=mine)
        rtp.wait_heard({b: set()})
    told(a, b, audio="8")
    rtp.wait_heard({b: set()})
    call = told(a, c)
    rtp.wait_heard({b: set(), c: {F}})
    call.ended = True
    rtp.wait_heard({b: set(), c: set()})


@tap.case("what should be heard and is not, or should not and is, is said")
def said(lab):
    a, b = voice(F), voice(G)
    told(a, b)
    rtp.wait_heard({b: {F}})
    assert f"hears [{F}], expected []" in fails(lambda: rtp.wait_heard({b: set()}, 0.5))
    assert f"hears [], expected [{G}]" in fails(lambda: rtp.wait_heard({a: {G}}, 0.5))
    assert "expected" in fails(lambda: rtp.wait_heard({b: {F, G}}, 0.5))


if __name__ == "__main__":
    tap.main(Nothing)
