"""phones: real softphones, headless, as registered users of a lab.

    agent = phones.Linphone(lab, 560)  # a user, a directory, and a tone of its own
    agent.open()                       # the process, registered by digest
    agent.rings(); agent.answer(); agent.hold(); agent.resume()
    agent.transfer("2001"); agent.hangup(); agent.ended()

Promise: no phone touches audio hardware, the real home directory or a fixed port; each dies with the
test, and is stopped by its pid. While it is in a call it plays its tone, and hears() says which tones
it hears. All kinds have the same methods; each returns when the phone has said
that it is so and fails after WAIT seconds, showing what the phone did say. What is peculiar to a
program is said where it is stepped around.
"""
import ctypes
import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time

import rtp
import segued
import sound
import tap

WAIT = 40.0
SPEECH = 160   # seconds that a played file lasts: longer than any case
RTP_PORTS = 20
PR_SET_PDEATHSIG = 1
CRASHES = (signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV)


class Ports:
    """The ports of a phone: a block below those that the kernel gives out, and those of media engines
    (tests/lib/engine.py). Nobody else takes it while its first port is held here."""
    FIRST, LAST, SIZE = 20000, 29900, 24

    def __init__(self):
        self.guard = None
        while self.guard is None:
            base = random.randrange(self.FIRST, self.LAST, self.SIZE)
            self.guard = self._held(base)
        # a phone may take the port after its SIP port as well, for TLS
        self.sip, self.control, self.rtp = base + 1, base + 3, base + self.SIZE - RTP_PORTS

    def _held(self, base):
        """The socket that holds the block, or None if something in it is taken."""
        socks = []
        try:
            for port in range(base, base + self.SIZE):
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    socks.append(socket.socket(socket.AF_INET, kind))
                    socks[-1].bind(("127.0.0.1", port))
            return socks.pop(0)
        except OSError:
            return None
        finally:
            for s in socks:
                s.close()

    def close(self):
        self.guard.close()


def connect(family, address, proc):
    """A connection to a control socket, once the phone has opened it."""
    deadline = time.monotonic() + WAIT
    while True:
        s = socket.socket(family, socket.SOCK_STREAM)
        try:
            s.connect(address)
            return s
        except OSError:
            s.close()
            if proc.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


class Phone:
    """A user, a directory, ports and a process. Kinds fill in the commands and what they answer."""
    kind = None

    def __init__(self, lab, tone=rtp.TONES[1]):
        self.lab, self.tone = lab, tone
        with lab.lock:
            i, lab.next_user = lab.next_user, lab.next_user + 1
        self.user, self.number, self.password = f"u{i:03d}", str(2000 + i), f"pw-u{i:03d}"
        self.name = f"{self.kind} {self.user}"
        self.ports = Ports()
        self.home = os.path.join(lab.dir, f"{self.kind}-{self.user}")
        os.makedirs(self.home)
        self.lines, self.read_to, self.cond = [], 0, threading.Condition()
        self.proc = self.sound = None

    def open(self):
        """Starts it and waits until it is registered."""
        mark = self.lab.daemon.mark()
        self.start()
        self.lab.daemon.wait_log(rf"registered user={self.user} ", WAIT, mark)

    # -- the process -----------------------------------------------------------------------

    def write(self, name, text):
        path = os.path.join(self.home, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        return path

    def spawn(self, *cmd):
        """Starts the program, away from the desktop of whoever runs the test."""
        env = {k: v for k, v in os.environ.items()
               if k not in ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS")}
        env.update(HOME=self.home, TMPDIR=self.home, XDG_RUNTIME_DIR=self.home, LC_ALL="C",
                   PULSE_SERVER="unix:/nonexistent")
        libc = ctypes.CDLL(None)
        self.proc = subprocess.Popen(
            cmd, cwd=self.home, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.proc.stdout:
            self.heard(line.decode("utf-8", "replace").rstrip())

    def heard(self, line):
        with self.cond:
            if line:
                self.lines.append(line)
                self.cond.notify_all()

    def ended_with(self, timeout=0):
        """Its exit status if it ended, negative for a signal, or None if it runs."""
        try:
            return self.proc.wait(timeout) if self.proc else None
        except subprocess.TimeoutExpired:
            return None

    def crashed(self, timeout=0):
        """Did the program die of a fault of its own? No exit by itself is one, nor a kill."""
        return -(self.ended_with(timeout) or 0) in CRASHES

    def close(self):
        """Asks it to quit, kills it by pid if it does not."""
        if self.proc and self.proc.poll() is None:
            try:
                self.quit()
                self.proc.wait(2)
            except (OSError, subprocess.TimeoutExpired):
                self.proc.kill()
                self.proc.wait()
        if self.sound:
            self.sound.close()
        self.ports.close()

    # -- what it says ----------------------------------------------------------------------

    def poll(self):
        """For kinds that speak only when asked."""

    def says(self, pattern, timeout=WAIT):
        """Waits for a line after those that earlier calls have taken; returns the match."""
        deadline = time.monotonic() + timeout
        while True:
            over = self.is_mute() or time.monotonic() > deadline
            self.poll()
            with self.cond:
                for i in range(self.read_to, len(self.lines)):
                    m = re.search(pattern, self.lines[i])
                    if m:
                        self.read_to = i + 1
                        return m
                if over:
                    raise AssertionError(f"{self.name} did not say {pattern!r}; its last words:\n"
                                         + "\n".join(self.lines[-25:]))
                self.cond.wait(0.05)

    def forget(self):
        """What was said so far is of no interest any more."""
        self.poll()
        with self.cond:
            self.read_to = len(self.lines)

    def is_mute(self, timeout=1.0):
        """It has ended, and all that it said has been read."""
        if self.proc.poll() is None:
            return False
        self.reader.join(timeout)  # what it has started may hold its end of the pipe
        return True

    def last_words(self):
        self.is_mute()
        return "\n".join(self.lines[-8:])

    def story(self):
        return f"-- {self.name}:\n" + "\n".join(self.lines[-60:])

    # -- what tests ask --------------------------------------------------------------------

    def hears(self):
        """The tones that it hears now."""
        self.poll()
        return self.sound.hears()

    def owns(self, port):
        """Is that one of its RTP ports?"""
        return self.ports.rtp <= port < self.ports.rtp + RTP_PORTS

    def uri(self, number):
        return f"sip:{number}@{self.lab.domain}"


class Linphone(Phone):
    """linphone-daemon: one line in, one answer out, on a unix socket; events have to be fetched.

    It records by asking the device how much there is until there is no more, which a device without
    hardware never says. So it speaks by its player, which has to be started for each new stream.
    """
    kind = "linphone"
    path = None

    def start(self):
        proxy = f"<sip:{self.lab.ip}:{self.lab.port};transport=udp>"
        self.write(".local/share/linphone/keep", "")  # it does not make the directory itself
        rc = self.write("rc", f"""[sip]
sip_port={self.ports.sip}
sip_tcp_port=0
sip_tls_port=0
use_ipv6=0
guess_hostname=0
default_proxy=0
[rtp]
audio_rtp_port={self.ports.rtp}-{self.ports.rtp + RTP_PORTS - 1}
[sound]
echocancellation=0
alsadev=ear
alsa_forced_rate={rtp.RATE}
playback_dev_id=ALSA: ear
capture_dev_id=
[proxy_0]
reg_proxy={proxy}
reg_route={proxy}
reg_identity=sip:{self.user}@{self.lab.domain}
reg_expires=300
reg_sendregister=1
publish=0
[auth_info_0]
username={self.user}
passwd={self.password}
realm={self.lab.domain}
""")
        self.sound = sound.Card(self.home, self.tone, ear_paces=False)
        self.speech = rtp.write_wav(os.path.join(self.home, "speech.wav"), self.tone, SPEECH)
        pipe = f"segue-{os.getpid()}-{self.user}"
        self.path = os.path.join("/tmp", pipe)  # it looks nowhere else
        self.log = self.write("log", "")
        self.spawn("linphone-daemon", "--config", rc, "--pipe", pipe, "--disable-stats-events",
                   "--log", self.log)
        self.sock = connect(socket.AF_UNIX, self.path, self.proc)
        self.sock.settimeout(WAIT)
        self.call_id = None

    def ask(self, command):
        self.sock.sendall(command.encode() + b"\n")
        return self.sock.recv(65536).decode("utf-8", "replace")

    def do(self, command):
        got = self.ask(command)
        self.heard(f"> {command}: {' | '.join(got.split(chr(10)))}")
        assert got.startswith("Status: Ok"), f"{self.name}: {command}: {got}"
        return got

    def poll(self):
        while True:
            got = self.ask("pop-event")
            if "call-state-changed" not in got:
                if "Event-type" not in got:
                    return
                continue
            state = re.search(r"Event: LinphoneCall(\w+)", got).group(1)
            call_id = re.search(r"Id: (.+)", got).group(1)
            self.heard(f"{state} id={call_id}")
            if state == "StreamsRunning":
                self.ask(f"incall-player-start {self.speech} {call_id}")

    def rings(self):
        self.call_id = self.says(r"^IncomingReceived id=(\d+)").group(1)

    def answer(self):
        self.do(f"answer {self.call_id}")
        self.says("^StreamsRunning")

    def call(self, number):
        got = self.do(f"call {self.uri(number)}")
        self.call_id = re.search(r"Id: (\d+)", got).group(1)

    def connected(self):
        self.says("^StreamsRunning")

    def hold(self):
        self.do(f"call-pause {self.call_id}")
        self.says("^Paused")

    def resume(self):
        self.do(f"call-resume {self.call_id}")
        self.says("^StreamsRunning")

    def transfer(self, number):
        self.log_size = os.path.getsize(self.log)
        self.do(f"call-transfer {self.call_id} {self.uri(number)}")

    def consult(self, number):
        """Holds, and calls somebody."""
        self.hold()
        self.held_id = self.call_id
        self.call(number)

    def hears_ringing(self):
        self.says(f"^OutgoingRinging id={self.call_id}$")

    def complete(self):
        """Connects whom it holds with whom it called."""
        self.do(f"call-transfer {self.held_id} {self.call_id}")

    def back(self):
        """Hangs up on whom it called and takes back whom it holds."""
        self.hangup()
        self.call_id = self.held_id
        self.resume()

    def is_out(self):
        """Both calls have ended."""
        wanted = {self.held_id, self.call_id}
        while wanted:
            wanted.discard(self.says(r"^(?:End|Released) id=(\d+)$").group(1))

    def transfer_failed(self):
        """It tells nobody but its log."""
        deadline = time.monotonic() + WAIT
        while True:
            with open(self.log, errors="replace") as f:
                f.seek(self.log_size)
                if re.search(r"Transfer state .* to \[LinphoneCallError\]", f.read()):
                    return
            assert time.monotonic() < deadline, f"{self.name} does not know that its transfer failed"
            time.sleep(0.02)

    def hangup(self):
        self.do(f"terminate {self.call_id}")
        self.ended()

    def ended(self):
        self.says(f"^(End|Released) id={self.call_id}$")

    def idle(self):
        self.ended()

    def quit(self):
        self.sock.sendall(b"quit\n")

    def close(self):
        super().close()
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)


class Baresip(Phone):
    """baresip: netstrings of JSON on a TCP socket. It offers no attended transfer."""
    kind = "baresip"

    def start(self):
        modules = os.path.join("/usr/lib", "baresip", "modules")
        self.sound = sound.Card(self.home, self.tone)
        self.write("config", f"""sip_listen 127.0.0.1:{self.ports.sip}
net_interface 127.0.0.1
rtp_ports {self.ports.rtp}-{self.ports.rtp + RTP_PORTS - 1}
audio_source alsa,mouth
audio_player alsa,ear
audio_alert aubridge,x
module_path {modules}
module account.so
module menu.so
module ctrl_tcp.so
module g711.so
module aubridge.so
module alsa.so
ctrl_tcp_listen 127.0.0.1:{self.ports.control}
""")
        self.write("contacts", "")
        self.write("accounts", f"<sip:{self.user}@{self.lab.domain}>;regint=300;"
                   f"auth_user={self.user};auth_pass={self.password};answermode=manual;"
                   f'outbound="sip:{self.lab.ip}:{self.lab.port};transport=udp"\n')
        self.spawn("baresip", "-f", self.home)
        self.sock = connect(socket.AF_INET, ("127.0.0.1", self.ports.control), self.proc)
        threading.Thread(target=self._events, daemon=True).start()
        self.do("listcalls")  # events that come before it has taken our connection are lost
        self.says("^listcalls: done")

    def _events(self):
        buf = b""
        while True:
            try:
                data = self.sock.recv(65536)
            except OSError:
                return
            if not data:
                return
            buf += data
            while b":" in buf:
                head, _, rest = buf.partition(b":")
                if len(rest) <= int(head):
                    break
                self._event(json.loads(rest[:int(head)]))
                buf = rest[int(head) + 1:]  # a comma ends it

    def _event(self, e):
        if e.get("event"):
            self.heard(f"{e['type']} {e.get('param', '')}")
        else:
            self.heard(f"{e.get('token')}: {'done' if e.get('ok') else f'refused, {e}'}")

    def do(self, command, params=""):
        self.heard(f"> {command} {params}")
        j = json.dumps({"command": command, "params": params, "token": command}).encode()
        self.sock.sendall(b"%d:%s," % (len(j), j))

    def rings(self):
        self.says("^CALL_INCOMING")

    def answer(self):
        self.do("accept")
        self.connected()

    def call(self, number):
        self.do("dial", self.uri(number))

    def connected(self):
        self.says("^CALL_ESTABLISHED")

    def hold(self):
        self.do("hold")
        self.says("^CALL_REMOTE_SDP answer")

    def resume(self):
        self.do("resume")
        self.says("^CALL_REMOTE_SDP answer")

    def transfer(self, number):
        self.do("transfer", self.uri(number))

    def transfer_failed(self):
        self.says("^TRANSFER_FAILED")

    def hangup(self):
        self.do("hangup")
        self.ended()

    def ended(self):
        self.says("^CALL_CLOSED")

    def quit(self):
        self.do("quit")


class Twinkle(Phone):
    """twinkle-console: commands on its standard input."""
    kind = "twinkle"

    def start(self):
        # it plays no tones: starting one races with an answer that comes at once, and writes to
        # freed memory (found with valgrind)
        self.write(".twinkle/twinkle.sys", f"""sip_port={self.ports.sip}
sip_udp_port={self.ports.sip}
rtp_port={self.ports.rtp}
dev_ringtone=alsa:null
dev_speaker=alsa:ear
dev_mic=alsa:mouth
validate_audio_dev=no
play_ringtone=no
play_ringback=no
""")
        self.write(f".twinkle/{self.user}", f"""user_name={self.user}
user_domain={self.lab.domain}
auth_name={self.user}
auth_pass={self.password}
outbound_proxy={self.lab.ip}:{self.lab.port}
all_requests_to_proxy=yes
registrar={self.lab.ip}:{self.lab.port}
register_at_startup=yes
registration_time=300
codecs=g711u,g711a
allow_refer=yes
ask_user_to_refer=no
speex_dsp_vad=no
speex_dsp_agc=no
speex_dsp_aec=no
speex_dsp_nrd=no
pres_publish_startup=no
""")
        self.sound = sound.Card(self.home, self.tone)
        # the profile is a name inside ~/.twinkle, not a path
        self.spawn("twinkle-console", self.user)

    def do(self, command):
        self.heard(f"> {command}")
        self.proc.stdin.write(command.encode() + b"\n")
        self.proc.stdin.flush()

    def rings(self):
        self.says("incoming call")

    def answer(self):
        self.do("answer")
        self.says("call established")

    def call(self, number):
        self.do(f"call {self.uri(number)}")

    def connected(self):
        self.says("far end answered call")

    def hold(self):
        self.do("hold")
        self.says("re-INVITE successful")

    def resume(self):
        self.do("retrieve")
        self.says("re-INVITE successful")

    def transfer(self, number):
        self.do(f"transfer {self.uri(number)}")

    def consult(self, number):
        self.do(f"transfer -c {self.uri(number)}")
        self.held_line = 3 - int(self.says(r"^Line (\d): setup consultation call").group(1))
        self.says("re-INVITE successful")

    def complete(self):
        self.do("transfer -c")

    def back(self):
        self.do("bye")
        self.says("call ended")
        self.do(f"line {self.held_line}")  # which takes that call off hold; it says both, in either order
        said = {self.says("is now active|re-INVITE successful").group() for _ in range(2)}
        assert len(said) == 2, said

    def is_out(self):
        for _ in range(2):
            self.says("call ended|far end ended call")

    def transfer_failed(self):
        self.says("call refer failed")

    def hangup(self):
        self.do("bye")
        self.says("call ended")

    def ended(self):
        self.says("far end (ended|cancelled) call|call ended")

    def quit(self):
        self.do("quit")


class Cast:
    """The phones of a lab, one of each kind, that play scenes.

    Real phones crash now and then, whatever one sends them, and a test of segue must neither fail for
    that nor hide anything else behind it. So a phone that is gone is replaced before the next scene;
    and a scene during which the *process* of a phone crashed is played again, from the start, with
    new phones. Both are said. Whatever else goes wrong in a scene is its failure.
    """
    AGAIN = 2      # times
    REAPED = 1.0   # seconds in which a process that let go of its sockets has ended

    def __init__(self, lab, kinds):
        self.phones = [kind(lab, rtp.TONES[1 + i]) for i, kind in enumerate(kinds)]

    def replace(self, i):
        old = self.phones[i]
        old.close()
        self.phones[i] = type(old)(old.lab, old.tone)

    def ready(self, roles):
        """The phones of these roles, all of them running."""
        for i in roles:
            p = self.phones[i]
            if p.ended_with() is not None:
                tap.say(f"{p.name} ended between scenes with {p.ended_with()}\n{p.last_words()}")
                self.replace(i)
            if self.phones[i].proc is None:
                self.phones[i].open()
        return [self.phones[i] for i in roles]

    def play(self, lab, scene, *roles):
        for left in reversed(range(1 + self.AGAIN)):
            try:
                return scene(lab, *self.ready(roles))
            except Exception:
                crashed = [p for p in (self.phones[i] for i in roles) if p.crashed(self.REAPED)]
                for i in roles:  # they may be left in the middle of calls
                    self.replace(i)
                if not crashed or not left:
                    raise
            for p in crashed:
                tap.say(f"{p.name} crashed (signal {-p.ended_with()}), the scene is played again\n"
                        + p.last_words())

    def close(self):
        for phone in self.phones:
            phone.close()


class Phones(segued.Lab):
    """A lab with some phones, which stay for the whole test file."""

    def __init__(self, *kinds, music=None, **lab):
        """music: the tone for whoever is held, if audio runs through an engine."""
        super().__init__(users=60, peers=20, **lab)
        self.kinds, self.cast, self.music = kinds, None, music

    def __enter__(self):
        super().__enter__()
        self.cast = Cast(self, self.kinds)
        return self

    def __exit__(self, *exc, quiet=False):
        if self.cast:
            self.cast.close()
        super().__exit__(*exc, quiet=quiet)


def play(name, scene, *roles):
    """A case of the test file: the scene with these phones of the lab in its roles."""
    tap.case(name)(lambda lab: lab.cast.play(lab, scene, *roles))
