"""The two programs from the outside, without a database: command lines, --check, what is printed,
signals, the control socket when nobody or somebody else is behind it."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from segued import SRC, Daemon, free_port, program

ENV = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:exitcode=99", LC_ALL="C")


def run(name, *args, stdin=None):
    """Runs a program to its end: status, what it said, what it complained about."""
    p = subprocess.run([program(name), *args], capture_output=True, text=True, timeout=60, env=ENV,
                       stdin=subprocess.DEVNULL)
    assert "Sanitizer" not in p.stderr and "runtime error" not in p.stderr, p.stderr
    return p.returncode, p.stdout, p.stderr


class Box:
    """A directory of its own for each test, and a daemon without a database in it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="segue-app-")
        self.conf = os.path.join(self.dir, "segue.conf")
        self.socket = os.path.join(self.dir, "run", "ctl.sock")
        self.port = free_port()
        self.daemon = None
        tap.at_end(self.close)

    def close(self):
        try:
            if self.daemon:
                self.daemon.stop()
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

    def write(self, text="", ledger='database = "";', level="info", port=None):
        with open(self.conf, "w") as f:
            f.write(f"""
sip: {{ listen = [ "udp:127.0.0.1:{port or self.port}" ]; registrations = ""; }};
ledger: {{ {ledger} outbox = "{self.dir}/state/outbox"; outbox_size = "16MB"; directory_copy = ""; }};
control: {{ socket = "{self.socket}"; mode = "0600"; drain = "2s"; }};
log: {{ level = "{level}"; }};
{text}
""")

    def start(self, *args, **kw):
        self.write(*args, **kw)
        self.daemon = Daemon(self.dir, self.conf)
        self.daemon.start()
        self.daemon.wait_log(" started ")
        return self.daemon

    def ctl(self, *args, status=0):
        rc, out, err = run("seguectl", "-c", self.conf, *args)
        assert rc == status, f"seguectl {args} ended with {rc}, not {status}:\n{out}{err}"
        return out if rc == 0 else err

    def say(self, text):
        """One line to the control socket, one line back."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(self.socket)
            s.sendall(text)
            return s.makefile("rb").readline()


# ---- what is printed ---------------------------------------------------------------------------

def same(option, path):
    rc, out, _ = run("segued", option)
    with open(os.path.join(SRC, path)) as f:
        assert rc == 0 and out == f.read(), \
            f"{path} is not what segued {option} prints: make regenerate-app writes it anew"


@tap.case("conf/segue.conf is printed from the option table")
def printed_conf(_):
    same("--print-config", "conf/segue.conf")


@tap.case("man/segue.conf.5 is printed from the option table")
def printed_man(_):
    same("--print-man", "man/segue.conf.5")


@tap.case("docs/options.md is printed from the option table")
def printed_markdown(_):
    same("--print-markdown", "docs/options.md")


@tap.case("docs/api.md is printed from the table of routes")
def printed_api(_):
    same("--print-api", "docs/api.md")


@tap.case("the manual pages name every option and command of --help")
def manuals(_):
    for prog, page in (("segued", "segued.8"), ("seguectl", "seguectl.1")):
        rc, out, _ = run(prog, "--help")
        with open(os.path.join(SRC, "man", page)) as f:
            text = f.read().replace("\\-", "-").replace("\\", "")
        assert rc == 0 and out.startswith("usage: " + prog), out
        for option in set(re.findall(r"--[a-z-]+", out)):
            assert option in text, f"{page} does not name {option}"
        for command in re.findall(r"^  ([a-z]+) ", out, re.M):
            assert command in text, f"{page} does not name {command}"
        rc, out, _ = run(prog, "--version")
        assert rc == 0 and re.fullmatch(prog + r" \d+\.\d+\.\d+\n", out), out


# ---- --check -------------------------------------------------------------------------------------

@tap.case("--check accepts the shipped configuration")
def check_shipped(_):
    rc, out, err = run("segued", "--check", "-c", os.path.join(SRC, "conf", "segue.conf"))
    assert rc == 0 and "segue.conf is good: 2 listeners, 0 peers, 0 routes" in out and err == "", err


@tap.case("--check tells all problems, with file, line, value and what was expected")
def check_bad(_):
    box = Box()
    with open(box.conf, "w") as f:
        f.write('sip: { listen = ["udp:nowhere:5060"]; };\n'
                'transfer: {\n\tring = "abc";\n\tresme = "3s";\n};\n'
                'routes: ( { pattern = "1X"; kind = "user"; examples = ["20->user"]; } );\n')
    rc, out, err = run("segued", "--check", "-c", box.conf)
    assert rc == 1 and out == "", out
    assert err.splitlines() == [
        f"{box.conf}:1: sip.listen = `udp:nowhere:5060': expected udp or tcp, an IP address and a "
        "port, such as udp:127.0.0.1:5060 or tcp:[::1]:5060",
        f"{box.conf}:3: transfer.ring = `abc': expected a time such as 20s or 1500ms",
        f"{box.conf}:4: unknown option `resme' in transfer: did you mean `resume'?",
    ], err


@tap.case("--check reads the connection string of the database; what may be a password is not quoted")
def check_database(_):
    box = Box()
    for text, said in (("hots=x", "`hots': expected a keyword of libpq such as host, dbname or user"),
                       ("host", "expected KEYWORD=VALUE ... or postgresql://..."),
                       ("password=hunter2 hunter3", "expected KEYWORD=VALUE ... or postgresql://..."),
                       ("hunter2hunter2hunter2hunter2hunter2hunter2=1",
                        "expected KEYWORD=VALUE ... or postgresql://..."),
                       ("postgresql://u:hunter2@[::1/db",
                        "expected KEYWORD=VALUE ... or postgresql://...")):
        with open(box.conf, "w") as f:
            f.write(f'log: {{ level = "info"; }};\nledger: {{ database = "{text}"; }};\n')
        for args in (["--check"], []):
            rc, _, err = run("segued", *args, "-c", box.conf)
            assert rc == 1 and err == f"{box.conf}:2: ledger.database: {said}\n", err


@tap.case("--check tries the examples of the dial plan")
def check_examples(_):
    box = Box()
    with open(box.conf, "w") as f:
        f.write('routes: ( { pattern = "1X"; kind = "user"; examples = ["12->user/12"]; },\n'
                '{ pattern = "0!"; kind = "none"; examples = ["0->none", "12->none"]; } );\n')
    rc, _, err = run("segued", "--check", "-c", box.conf)
    assert rc == 1 and err.splitlines() == [
        f"{box.conf}:2: routes[2].examples: `12->none': expected so, but a call to 12 from users "
        "is: user/12 by routes[1]"], err


@tap.case("a problem in an included file names that file")
def check_include(_):
    box = Box()
    with open(os.path.join(box.dir, "more.conf"), "w") as f:
        f.write('\ntransfer: { ring = "zzz"; };\n')
    with open(box.conf, "w") as f:
        f.write(f'@include "{box.dir}/more.conf"\n')
    rc, _, err = run("segued", "--check", "-c", box.conf)
    assert rc == 1 and err.startswith(f"{box.dir}/more.conf:2: transfer.ring = `zzz'"), err


@tap.case("a configuration that cannot be read is named")
def check_missing(_):
    rc, _, err = run("segued", "--check", "-c", "/nonexistent/segue.conf")
    assert rc == 1 and err == "/nonexistent/segue.conf: cannot be read: No such file or directory\n"


@tap.case("wrong command lines of segued are quoted back")
def segued_usage(_):
    rc, _, err = run("segued", "start")
    assert rc == 2 and "`start': expected options only" in err, err
    rc, _, err = run("segued", "--chekc")
    assert rc == 2 and "--chekc" in err and "--help" in err, err
    rc, _, err = run("segued", "-c")
    assert rc == 2 and "requires an argument" in err, err


# ---- the daemon ------------------------------------------------------------------------------------

@tap.case("it starts without a database, says so, and ends cleanly on SIGTERM and SIGINT")
def start_stop(_):
    for sig in (signal.SIGTERM, signal.SIGINT):
        box = Box()
        d = box.start()
        d.wait_log("ledger_not_shipped")
        assert os.stat(box.socket).st_mode & 0o777 == 0o600
        d.proc.send_signal(sig)
        assert d.proc.wait(20) == 0
        assert d.log(" stopping ") and d.log(" stopped"), d.lines
        assert not os.path.exists(box.socket)


@tap.case("an address that is taken, an outbox that cannot be, a socket in use: said and status 1")
def cannot_start(_):
    first, second = Box(), Box()
    first.start()

    def fails(because, **kw):
        second.write(**kw)
        rc, _, err = run("segued", "-c", second.conf)
        assert rc == 1 and because in err and "not_started" in err, err

    fails(f"127.0.0.1:{first.port}", port=first.port)
    second.socket = first.socket
    fails("another segued is running on it")
    assert json.loads(first.say(b'{"cmd":"status"}\n'))["ok"]
    shutil.rmtree(second.dir + "/state")
    os.makedirs(second.dir + "/state")
    with open(second.dir + "/state/outbox", "w") as f:
        f.write("in the way")
    second.socket = second.dir + "/s"
    fails("outbox_unusable")


@tap.case("a directory of the panel that is not there is told of once, and the rest runs")
def no_panel(_):
    box = Box()
    d = box.start(f'http: {{ listen = [ "127.0.0.1:{free_port()}" ]; panel_dir = "{box.dir}/no"; '
                  f'sessions = ""; answers = ""; access_copy = ""; }};')
    assert d.log(f"warn panel_missing http.panel_dir={box.dir}/no why="), d.lines
    assert "Calls        0 live" in box.ctl("status")


@tap.case("a socket file left over from a crash is no obstacle")
def stale_socket(_):
    box = Box()
    box.start().kill()
    assert os.path.exists(box.socket)
    box.start()
    assert "Calls        0 live" in box.ctl("status")


@tap.case("SIGHUP: a good file takes effect, a fixed option is named, a bad file changes nothing")
def hup(_):
    box = Box()
    d = box.start()
    at = d.mark()
    box.write('transfer: { ring = "7s"; };\nrecorder: { events = 5; };', level="debug")
    d.proc.send_signal(signal.SIGHUP)
    d.wait_log(" reloaded ", since=at)
    assert d.log("config_needs_restart option=recorder.events", since=at), d.lines[at:]
    assert len(d.log("config_needs_restart", since=at)) == 1, d.lines[at:]
    at = d.mark()
    box.write('transfer: { ring = "seven"; };')
    d.proc.send_signal(signal.SIGHUP)
    d.wait_log("reload_refused", since=at)
    assert d.log("config_problem .*transfer.ring = `seven': expected a time", since=at)
    assert json.loads(box.say(b'{"cmd":"status"}\n'))["ok"]


@tap.case("seguectl reload tells what the log tells")
def reload(_):
    box = Box()
    box.start()
    assert box.ctl("reload") == "Reloaded.\n"
    box.write('transfer: { ring = "seven"; };')
    rc, out, err = run("seguectl", "-s", box.socket, "reload")
    assert rc == 1 and "transfer.ring = `seven': expected a time" in out, out + err
    assert "the old one stays" in err, err


@tap.case("two signals end it at once")
def impatient(_):
    box = Box()
    d = box.start()
    d.proc.send_signal(signal.SIGTERM)
    d.proc.send_signal(signal.SIGINT)
    assert d.proc.wait(10) == 0


# ---- seguectl --------------------------------------------------------------------------------------

@tap.case("wrong command lines of seguectl are quoted back")
def ctl_usage(_):
    for args, said in (
            ([], "usage: seguectl"),
            (["dance"], "`dance': expected a command"),
            (["call"], "expected call CALL"),
            (["calls", "now"], "expected calls"),
            (["transfer", "1.1"], "expected transfer CALL NUMBER"),
            (["trace", "1.1", "maybe"], "`maybe': expected on or off"),
            (["trace", "on"], "expected trace CALL on|off"),
            (["trace", "--peer", "pbx", "1.1", "on"], "expected trace CALL on|off"),
            (["db", "drop"], "`drop': expected init, upgrade or version"),
            (["--colour"], "--colour")):
        rc, _, err = run("seguectl", *args)
        assert rc == 2 and said in err, f"{args}: {rc} {err}"


@tap.case("no daemon: seguectl says which socket, and how to start one")
def ctl_no_daemon(_):
    box = Box()
    box.write()
    err = box.ctl("calls", status=1)
    assert f"segued is not running: nobody listens on {box.socket}" in err, err
    assert "segued -c FILE" in err, err
    rc, _, err = run("seguectl", "-s", "/" + "x" * 200, "calls")
    assert rc == 1 and "expected a path of at most 107 characters" in err, err
    rc, _, err = run("seguectl", "-c", "/nonexistent/c", "calls")
    assert rc == 1 and "/nonexistent/c: cannot be read" in err, err


@tap.case("somebody else behind the socket, or one who hangs up: no answer is no crash")
def ctl_strange_server(_):
    for answer in (b"", b"hello\n", b"{", b"[]\n", b"{}\n", b'{"ok":true}\n'):
        box = Box()
        path = box.dir + "/s"
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path)
            s.listen(1)
            p = subprocess.Popen([program("seguectl"), "-s", path, "calls"], env=ENV,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            c, _ = s.accept()
            c.recv(100)
            c.sendall(answer)
            c.close()
            out, err = p.communicate(timeout=30)
        assert "Sanitizer" not in err, err
        assert p.returncode == (0 if b"true" in answer else 1), (answer, out, err)


@tap.case("calls, call, hangup, registrations and status of an idle daemon")
def ctl_idle(_):
    box = Box()
    box.start()
    assert box.ctl("calls") == "No calls.\n"
    assert "no call 17.2: it has ended or never was" in box.ctl("call", "17.2", status=1)
    assert "call `seventeen': expected the id of a call" in box.ctl("call", "seventeen", status=1)
    assert "no call 17.2" in box.ctl("hangup", "17.2", status=1)
    assert "no call 17.2" in box.ctl("cancel", "17.2", status=1)
    assert "no call 17.2" in box.ctl("transfer", "17.2", "1001", status=1)
    assert box.ctl("registrations") == "No phone is registered.\n"
    status = box.ctl("status")
    assert "no database is configured" in status and "0 lost" in status, status
    assert json.loads(box.ctl("--json", "status"))["calls"] == 0
    assert "no peer `nobody'" in box.ctl("trace", "--peer", "nobody", "on", status=1)


@tap.case("recorder writes a new file, and only a new one")
def ctl_recorder(_):
    box = Box()
    box.start()
    path = box.dir + "/flight.rec"
    assert "Written" in box.ctl("recorder", path)
    with open(path, "rb") as f:
        assert f.read(8) == b"SEGREC2\0"
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert "File exists" in box.ctl("recorder", path, status=1)


@tap.case("malformed and hostile requests get an answer, and the daemon lives on")
def ctl_hostile(_):
    box = Box()
    d = box.start()
    for line in (b"\n", b"{\n", b"\x00\x01\xff\n", b'{"cmd":null}\n', b'{"cmd":"call","call":[]}\n',
                 b"[" * 4000 + b"\n", b'{"cmd":"transfer","call":"1.1","number":{}}\n'):
        answer = json.loads(box.say(line))
        assert answer["ok"] is False and answer["error"], (line, answer)
    assert "too long" in json.loads(box.say(b"x" * 8192))["error"]
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(box.socket)
        s.sendall(b'{"cmd":"sta')
    many = [socket.socket(socket.AF_UNIX) for _ in range(100)]
    for s in many:
        s.connect(box.socket)
    for s in many:
        s.close()
    answer, deadline = b"", time.monotonic() + 10
    while not answer and time.monotonic() < deadline:
        try: # while the 100 are being closed, this one may be too many
            answer = box.say(b'{"cmd":"status"}\n')
        except ConnectionError:
            pass
    assert json.loads(answer)["ok"]
    assert d.proc.poll() is None


@tap.case("graph prints the transfer table without a daemon")
def ctl_graph(_):
    rc, text, _ = run("seguectl", "graph")
    assert rc == 0 and "TALK" in text and "transfer asked" in text, text[:400]
    rc, dot, _ = run("seguectl", "graph", "--dot")
    assert rc == 0 and dot.startswith("digraph"), dot[:80]
    rc, md, _ = run("seguectl", "graph", "--markdown")
    assert rc == 0 and "# " in md and "TALK" in md, md[:80]


@tap.case("db without a database says what is wrong")
def ctl_db(_):
    box = Box()
    box.write()
    assert "ledger.database is empty" in box.ctl("db", "init", status=1)
    rc, _, err = run("seguectl", "--db", f"host={box.dir} connect_timeout=2", "db", "version")
    assert rc == 1 and box.dir in err, err


class NoLab:
    def __enter__(self):
        return None

    def __exit__(self, *_):
        pass


tap.main(NoLab, jobs=4)
