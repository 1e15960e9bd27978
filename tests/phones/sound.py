"""sound: what phones use in place of audio hardware, and what is heard there.

A Card is made of two named pipes behind ALSA's `file` plugin: it hands a tone to the phone's
microphone in real time, and takes what the phone plays. It is an ear (tests/lib/rtp.py).

ALSA's own `null` device would not do: it takes and gives samples without end, as fast as a phone can.
"""
import array
import fcntl
import os
import threading
import time

import rtp

CHUNK = rtp.FRAME * 2             # bytes of 16-bit samples in one frame
PIPE_SIZE = 4096                  # the smallest that there is: a quarter of a second


class Card(rtp.Ear):
    """A sound card: HOME/.asoundrc names it `mouth` (with a tone) and `ear`."""

    def __init__(self, home, tone, ear_paces=True):
        """ear_paces: the ear takes samples no faster than they last, for phones that go by that."""
        super().__init__()
        self.names = [os.path.join(home, x) for x in ("mouth", "ear")]
        for name in self.names:
            os.mkfifo(name)
        # opened for both directions, so that the phone may open and close its end as it likes
        self.mouth, self.ear = (os.open(x, os.O_RDWR | os.O_NONBLOCK) for x in self.names)
        for fd in (self.mouth, self.ear):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        self.wave, self.at = rtp.sine(tone).tobytes(), 0
        self.most = CHUNK if ear_paces else 1 << 16
        with open(os.path.join(home, ".asoundrc"), "w") as f:
            f.write(self.config())
        self.over = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def config(self):
        """`mouth` is for recording, `ear` for playing only: who opens it for both gets an error."""
        return f"""pcm.mouth {{
  type file
  slave {{ pcm "null" }}
  file "/dev/null"
  infile "{self.names[0]}"
  format "raw"
}}
pcm.ear {{
  type asym
  playback.pcm {{
    type file
    slave {{ pcm "null" }}
    file "{self.names[1]}"
    format "raw"
  }}
}}
"""

    def _tick(self):
        try:
            os.write(self.mouth, self.wave[self.at:self.at + CHUNK])
            self.at = (self.at + CHUNK) % len(self.wave)
        except BlockingIOError:
            pass  # the phone is not listening to its microphone
        try:
            self.listen(array.array("h", os.read(self.ear, self.most)))
        except BlockingIOError:
            pass  # it plays nothing

    def _run(self):
        due = time.monotonic()
        while not self.over:
            self._tick()
            due = max(due + rtp.PTIME, time.monotonic() - 5 * rtp.PTIME)
            time.sleep(max(0.0, due - time.monotonic()))

    def close(self):
        self.over = True
        self.thread.join(5)
        os.close(self.mouth)
        os.close(self.ear)
