"""rtp: voices and ears for tests. Each party of a call plays a tone of its own, and is asked which
tones it hears.

    c_voice = rtp.Rtp(TONES[0])            # a socket that sends G.711 mu-law in real time
    c = trunk.invite("2000", sdp=c_voice.sdp())
    c_voice.follow(c)                      # where and whether to send: as the call's SDPs say
    ...
    rtp.wait_heard({c_voice: {TONES[1]}, a_voice: {TONES[0]}})

Promise: it sends only what a phone may send (RFC 3264: not while held), it never sends to where the
newest description does not say, and it hears whatever arrives at its port, from whoever. What is heard
is found by frequency (Goertzel), in windows of WINDOW seconds. Keys are pressed as telephone events
(RFC 4733) under the payload number that the other side has asked for, and heard under whatever comes.
"""
import array
import collections
import math
import random
import re
import select
import socket
import struct
import threading
import time

import ua

RATE = 8000
PTIME = 0.02
FRAME = int(RATE * PTIME)
PCMU = 0
# multiples of 20 Hz, so that a second is a whole number of waves in whole frames; none is a harmonic,
# a sum or a difference of two others, and none is a DTMF or ringing tone
TONES = (340, 560, 820, 1180, 1660, 2260)
WINDOW = 0.2
KEEP = 2.0        # seconds that an ear remembers
KEYS = "0123456789*#ABCD"   # telephone events 0 to 15
KEY_FRAMES = 5    # 100 ms; then the end of the key, three times (RFC 4733 section 2.5.1.4)
LOUD = 8000       # amplitude of what is played, of 32767
NOTICED = 800     # amplitude from which a tone counts as heard; much louder than coding noise


# ---- G.711 (ITU-T G.711, mu-law) -----------------------------------------------------------------


def ulaw_encode(sample):
    """A 16-bit sample as a byte."""
    sign = 0x80 if sample < 0 else 0
    x = min(abs(sample), 32635) + 132
    exponent = x.bit_length() - 8
    return ~(sign | exponent << 4 | (x >> (exponent + 3)) & 15) & 0xff


def ulaw_decode(byte):
    byte = ~byte & 0xff
    x = (((byte & 15) << 3) + 132 << (byte >> 4 & 7)) - 132
    return -x if byte & 0x80 else x


DECODED = [ulaw_decode(b) for b in range(256)]


# ---- tones -----------------------------------------------------------------------------------------


def sine(freq, seconds=1.0, rate=RATE, amplitude=LOUD):
    """Samples of a tone."""
    step = 2 * math.pi * freq / rate
    return array.array("h", (round(amplitude * math.sin(i * step))
                             for i in range(int(seconds * rate))))


def amplitude(samples, freq, rate=RATE):
    """How strong that frequency is in the samples, as the amplitude of a sine (Goertzel, Hann)."""
    n = len(samples)
    if n == 0:
        return 0.0
    step = 2 * math.pi / n
    c = 2 * math.cos(2 * math.pi * freq / rate)
    s1 = s2 = 0.0
    for i, x in enumerate(samples):
        s1, s2 = x * (1 - math.cos(i * step)) + c * s1 - s2, s1
    return 2 * math.sqrt(max(0.0, s1 * s1 + s2 * s2 - c * s1 * s2)) / n


def tones_in(samples, rate=RATE, among=TONES):
    """The tones that the samples hold: loud enough, and not the shadow of a much louder one."""
    found = {f: amplitude(samples, f, rate) for f in among}
    least = max(NOTICED, max(found.values()) / 10)
    return {f for f, a in found.items() if a >= least}


def write_wav(path, freq, seconds, rate=RATE):
    """A mono 16-bit file with a tone, for phones that play files."""
    data = sine(freq, 1.0, rate).tobytes() * int(seconds)
    with open(path, "wb") as f:
        f.write(b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt "
                + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16)
                + b"data" + struct.pack("<I", len(data)) + data)
    return path


# ---- ears ------------------------------------------------------------------------------------------


class Ear:
    """What was heard lately. Who fills it calls listen() with samples as they come."""
    tone = None    # what the party itself plays, for messages

    def __init__(self):
        self.lock = threading.Lock()
        self.heard = collections.deque()   # (when, samples), the newest last

    def listen(self, samples):
        now = time.monotonic()
        with self.lock:
            self.heard.append((now, samples))
            while self.heard[0][0] < now - KEEP:
                self.heard.popleft()

    def samples(self, seconds=WINDOW):
        """What was heard in the last seconds; nothing where nothing came."""
        since, got = time.monotonic() - seconds, array.array("h")
        with self.lock:
            for at, samples in self.heard:
                if at >= since:
                    got.extend(samples)
        return got

    def hears(self):
        """The tones of the last WINDOW seconds. Less than half a window of sound is silence."""
        samples = self.samples()
        return tones_in(samples) if len(samples) >= WINDOW * RATE / 2 else set()


def wait_heard(expected, timeout=ua.WAIT):
    """Until each ear hears exactly the tones it should: {ear: {frequency, ...}}."""
    expected = {ear: set(tones) for ear, tones in expected.items()}
    deadline = time.monotonic() + timeout
    while True:
        got = {ear: ear.hears() for ear in expected}
        if got == expected:
            return
        if time.monotonic() > deadline:
            raise AssertionError("not heard as it should be: " + "; ".join(
                f"the party of {e.tone} Hz hears {sorted(got[e])}, expected {sorted(t)}"
                for e, t in expected.items()))
        time.sleep(WINDOW / 4)


def apart(ear, mouth, packets=50):
    """mouth speaks, and nothing of it comes to the ear to which it came before: not now and then, not
    under something else. wait_heard() is content with a moment in which it is so."""
    ssrc = struct.pack("!I", mouth.ssrc)
    assert ear.speakers[ssrc], "it was never heard there, or under another SSRC"
    before, since = ear.speakers[ssrc], mouth.seq
    deadline = time.monotonic() + ua.WAIT
    while mouth.seq < since + packets and time.monotonic() < deadline:
        time.sleep(PTIME)
    assert mouth.target() and mouth.seq >= since + packets, "it does not speak"
    got = ear.speakers[ssrc] - before
    assert got < packets / 10, f"the party of {ear.tone} Hz got {got} packets of {mouth.tone} Hz"


def telephone_event(sdp):
    """The payload number of telephone events in that description (RFC 4733)."""
    found = re.search(r"a=rtpmap:(\d+) telephone-event/", sdp.text)
    assert found, "no telephone events in " + sdp.text
    return int(found.group(1))


# ---- a scripted party ------------------------------------------------------------------------------


class Rtp(Ear):
    """One end of a media session: a port, a tone to play (None: it only listens), an ear."""

    def __init__(self, tone=None, ip="127.0.0.1"):
        super().__init__()
        self.tone, self.ip = tone, ip
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
        self.sock.bind((ip, 0))
        self.sock.setblocking(False)
        self.port = self.sock.getsockname()[1]
        self.sources = {}      # address: packets
        self.speakers = collections.Counter()  # SSRC: packets
        self.strange = []      # what came and is no mu-law
        self.pressed = collections.deque()  # telephone events to be sent yet: (payload, starts)
        self.call = None
        self.over = False
        wave = bytes(ulaw_encode(x) for x in sine(tone)) if tone else b""
        self.frames = [wave[i:i + FRAME] for i in range(0, len(wave), FRAME)]
        self.key_at = 0        # when the present key was pressed
        self.ssrc, self.seq = random.getrandbits(32), random.getrandbits(15)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def sdp(self, **kw):
        """A session description with this port."""
        return ua.Sdp(port=self.port, ip=self.ip, audio=str(PCMU), **kw)

    def follow(self, call):
        """Sends as the newest descriptions of that call say, from now on. None: it is silent."""
        self.call = call

    def press(self, keys):
        """Presses those keys, one after the other, as the newest description numbers them."""
        number = telephone_event(self.call.remote_sdp)
        for key in keys:
            for i in range(1, KEY_FRAMES + 4):
                ended, frames = i > KEY_FRAMES, min(i, KEY_FRAMES)
                payload = struct.pack("!BBH", KEYS.index(key), 10 | (0x80 if ended else 0),
                                      frames * FRAME)
                self.pressed.append((number, payload, i == 1))

    def keys(self):
        """The keys that came to their end, in order: (payload number, key)."""
        ends = {}
        for data in list(self.strange):
            if len(data) == 16 and data[0] >> 6 == 2 and data[13] & 0x80 and data[12] < len(KEYS):
                ends.setdefault(data[4:8], (data[1] & 0x7f, KEYS[data[12]]))
        return list(ends.values())

    def close(self):
        self.over = True
        self.thread.join(5)
        self.sock.close()

    # -- mouth -----------------------------------------------------------------------------

    def target(self):
        """Where to send now, or None."""
        call = self.call
        if call is None or call.ended or call.remote_sdp is None or call.sdp is None:
            return None
        try:
            there = call.remote_sdp
            if there.dir() not in ("sendrecv", "recvonly") or there.port() == 0 \
                    or call.sdp.dir not in ("sendrecv", "sendonly") \
                    or str(PCMU) not in there.formats():
                return None
            return there.address(), there.port()
        except (ValueError, IndexError, StopIteration):
            return None

    def _send(self):
        self.seq += 1
        to = self.target()
        if to is None or not self.frames:
            return
        kind, payload = PCMU, self.frames[self.seq % len(self.frames)]
        at = self.seq
        if self.pressed:  # a key takes the place of the voice, all of it under one timestamp
            number, payload, starts = self.pressed.popleft()
            kind = number | (0x80 if starts else 0)
            self.key_at = at = self.seq if starts else self.key_at
        head = struct.pack("!BBHII", 0x80, kind, self.seq & 0xffff, at * FRAME & 0xffffffff,
                           self.ssrc)
        try:
            self.sock.sendto(self.protect(head + payload), to)
        except OSError:
            pass  # nobody is there any more: the silence is noticed at the other end

    def protect(self, packet):
        """As it goes on the wire."""
        return packet

    def open(self, packet):
        """What came, as RTP; None: it means nothing."""
        return packet

    # -- ear -------------------------------------------------------------------------------

    def _receive(self):
        try:
            data, src = self.sock.recvfrom(2048)
        except OSError:
            return  # the echo of a packet that nobody took
        data = self.open(data)
        if data is None:
            return
        if len(data) < 12 or data[0] >> 6 != 2 or data[1] & 0x7f != PCMU:
            self.strange.append(data)
            return
        self.sources[src] = self.sources.get(src, 0) + 1
        self.speakers[data[8:12]] += 1
        self.listen(array.array("h", (DECODED[b] for b in data[12 + 4 * (data[0] & 15):])))

    # -- both ------------------------------------------------------------------------------

    def _run(self):
        due = time.monotonic()
        while not self.over:
            left = due - time.monotonic()
            if left <= 0:
                self._send()
                due += PTIME
            elif select.select([self.sock], [], [], left)[0]:
                self._receive()
