"""What rtpengine captured of calls in other codecs than G.711, and of two parties with different ones:
contrib/recording-to-wav makes files of it, and the tones in these say that each party is on its side, from
beginning to end. The voices are ffmpeg's encoders, the captures a real rtpengine's."""
import array
import glob
import os
import re
import subprocess
import sys
import wave
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import engine
import rtp
import tap
from flows import wait
from segued import SRC, free_port

# name: payload type, rtpmap, ffmpeg's encoder
CODECS = {"PCMU": (0, "PCMU/8000", ["pcm_mulaw", "-ar", "8000"]),
          "PCMA": (8, "PCMA/8000", ["pcm_alaw", "-ar", "8000"]),
          "G722": (9, "G722/8000", ["g722", "-ar", "16000"]),
          "Opus": (111, "opus/48000/2", ["libopus", "-ar", "48000"]),
          "Opus stereo": (96, "opus/48000/2", ["libopus", "-ar", "48000", "-ac", "2"]),
          "Speex": (97, "speex/16000", ["libspeex", "-ar", "16000"])}
LEFT, RIGHT = rtp.TONES[0], rtp.TONES[1]
SECONDS = 2
NAME = "0191f000-0000-7000-8000-%012x"
engines = []


def sdp(port, codec):
    pt, name, _ = CODECS[codec]
    return (f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP {pt}\r\na=rtpmap:{pt} {name}\r\n")


def voice(codec, tone, source, target, seconds=SECONDS):
    pt, _, encoder = CODECS[codec]
    return subprocess.Popen(
        ["ffmpeg", "-nostdin", "-loglevel", "error", "-re", "-f", "lavfi", "-i",
         f"sine=frequency={tone}:duration={seconds}", "-af", "volume=4", "-ac", "1", "-c:a", *encoder,
         "-f", "rtp", "-payload_type", str(pt), f"rtp://127.0.0.1:{target}?localrtpport={source}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def media_port(got):
    return int(re.search(r"m=audio (\d+)", got["sdp"])[1])


def capture(a, b, after=None):
    """Two parties with these codecs are recorded; then the first goes on with another. The WAV's name."""
    eng, ports = engines[0], (free_port(), free_port())
    name = NAME % (eng.asked + 1)
    offer = eng.ask(**{"command": "offer", "call-id": name, "from-tag": "a", "sdp": sdp(ports[0], a)})
    answer = eng.ask(**{"command": "answer", "call-id": name, "from-tag": "a", "to-tag": "b",
                        "sdp": sdp(ports[1], b)})
    got = eng.ask(**{"command": "start recording", "call-id": name, "metadata": name})
    assert got["result"] == "ok", got
    to_a, to_b = media_port(offer), media_port(answer)
    voices = [voice(a, LEFT, ports[0], to_b), voice(b, RIGHT, ports[1], to_a)]
    for v in voices:
        assert v.wait(60) == 0
    if after:
        assert voice(after, LEFT, ports[0], to_b).wait(60) == 0
    eng.ask(**{"command": "delete", "call-id": name})
    wait("the capture is whole", lambda: any(name in open(f).read() for f in glob.glob(
        os.path.join(eng.records, "metadata", "*.txt"))))
    return name


def convert(name, path=None):
    """(exit status, what it said, the samples of both sides and their rate, None without a file)."""
    eng = engines[0]
    env = dict(os.environ, PATH=path) if path else None
    p = subprocess.run([sys.executable, os.path.join(SRC, "contrib", "recording-to-wav"), eng.records,
                        eng.wavs], capture_output=True, text=True, env=env)
    try:
        with wave.open(os.path.join(eng.wavs, name + ".wav")) as w:
            data = array.array("h", w.readframes(w.getnframes()))
            return p.returncode, p.stderr, [data[i::2] for i in (0, 1)], w.getframerate()
    except FileNotFoundError:
        return p.returncode, p.stderr, None, None


def has_both(sides, rate, seconds=SECONDS):
    """One tone on each side, all the time."""
    heard = [rtp.tones_in(s, rate) for s in sides]
    assert heard in ([{LEFT}, {RIGHT}], [{RIGHT}, {LEFT}]), heard
    for side in sides:
        tone, = rtp.tones_in(side, rate)
        loud = [rtp.amplitude(side[i:i + rate // 5], tone, rate) > rtp.NOTICED
                for i in range(0, len(side) - rate // 5, rate // 5)]
        assert sum(loud) >= (seconds - 0.5) * 5, loud


def readable(a, b, rate):
    name = capture(a, b)
    _, said, sides, got = convert(name)
    assert name not in said and sides and got == rate, (said, got)
    has_both(sides, rate)


@tap.case("PCMU and PCMA, one on each side: 8000 Hz, without ffmpeg")
def g711(_):
    readable("PCMU", "PCMA", 8000)


@tap.case("G.722 on both sides: 16000 Hz")
def g722(_):
    readable("G722", "G722", 16000)


@tap.case("Opus on both sides, under numbers of their own, mono and stereo")
def opus(_):
    readable("Opus", "Opus stereo", 16000)


@tap.case("Opus on one side, G.711 on the other, as an engine that transcodes has it")
def mixed(_):
    readable("Opus", "PCMA", 16000)


@tap.case("a party that changes from G.722 to G.711 in the call is heard with both, one after the other")
def changes(_):
    name = capture("G722", "G722", after="PCMU")
    _, said, sides, rate = convert(name)
    assert name not in said and sides, said
    longest = max(len(s) for s in sides)
    assert longest >= (2 * SECONDS - 0.5) * rate, (longest, rate)
    tail = [rtp.tones_in(s[-rate:-rate // 10], rate) for s in sides]
    assert sorted(map(sorted, tail)) == [[], [LEFT]], tail


@tap.case("a codec that cannot be read is named by its number, and the other side is there")
def unreadable(_):
    name = capture("Speex", "PCMU")
    status, said, sides, rate = convert(name)
    assert status == 1 and re.search(rf"{name}: payload types \[97\] cannot be read", said), said
    assert sorted(map(sorted, (rtp.tones_in(s, rate) for s in sides))) == [[], [RIGHT]]


@tap.case("without ffmpeg it says what to install, writes nothing of that one, and does it later")
def no_ffmpeg(_):
    name = capture("G722", "PCMU")
    status, said, sides, _ = convert(name, path="/nonexistent")
    assert status == 1 and sides is None, said
    assert re.search(rf"{name}: .*install ffmpeg", said), said
    _, said, sides, rate = convert(name)
    assert name not in said and sides and rate == 16000, said


@tap.case("what cannot be used is named: no such captures, an output that is a file, a capture that is none")
def unusable(_):
    tool = os.path.join(SRC, "contrib", "recording-to-wav")

    def said(*words):
        got = subprocess.run([tool, *words], capture_output=True, text=True)
        return got.returncode, got.stderr
    e, name = engines[0], NAME % 0xbad
    place = os.path.join(e.dir, "by-hand")
    for sub in ("metadata", "pcaps"):
        os.makedirs(os.path.join(place, sub))
    meta, pcap = os.path.join(place, "metadata", "x.txt"), os.path.join(place, "pcaps", "x.pcap")
    with open(meta, "w") as f, open(pcap, "w") as g:
        f.write(f"x.pcap\n\n{name}\n")
        g.write("no capture")
    status, text = said(os.path.join(e.dir, "nowhere"), e.wavs)
    assert status == 2 and f"`{e.dir}/nowhere': expected the recording-dir" in text, text
    status, text = said(place, pcap)
    assert status == 2 and f"`{pcap}': expected a directory" in text, text
    status, text = said(place, os.path.join(e.dir, "by-hand-wavs"))
    assert status == 1 and re.search(rf"{name}: .*x\.pcap is no pcap file", text), text


class Lab:
    def __enter__(self):
        engines.append(engine.Engine().__enter__())
        return self

    def __exit__(self, *exc):
        engines.pop().__exit__(*exc)


if __name__ == "__main__":
    tap.main(Lab, jobs=1)
