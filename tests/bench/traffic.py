"""traffic: SIPp as customer, callee, agent and target, with a watcher on the wire."""
import csv
import os
import shutil
import signal
import subprocess
import time

from systems import (AGENT_IP, AGENTS, CALLEE_IP, CALLEES, CALLER_IP, HERE, OTHER_CPUS, PASSWORD,
                     QUEUE, SUT_IP, TARGET_IP, TARGETS, free_port, tool)


# kind of call: who is called, the scenario that answers, that which calls, the numbers
KINDS = {
    "plain": ("callee", "callee", "caller", "callees"),
    "queued": ("callee", "callee", "caller", "queue"),
    "transfer": ("agent", "agent", "customer", "agents"),
    "attended": ("agent", "consult", "held", "agents"),
}
TOLERATED = 0.02  # SIPp is easily confused by messages that come late on a busy machine


class Failed(Exception):
    """So many calls failed that no figure of this run means anything."""


def percentile(values, p):
    s = sorted(values)
    return s[min(len(s) - 1, int(len(s) * p / 100))] if s else float("nan")


class Traffic:
    def __init__(self, dir):
        self.dir = dir
        self.ports = {"caller": free_port(CALLER_IP), "callee": free_port(CALLEE_IP),
                      "agent": free_port(AGENT_IP), "target": free_port(TARGET_IP)}
        self.watcher = tool("watch", dir)
        for name, users in (("callees", CALLEES), ("agents", AGENTS), ("targets", TARGETS),
                            ("queue", [QUEUE])):
            with open(os.path.join(dir, name), "w") as f:
                f.write("SEQUENTIAL\n" + "".join(f"{n};\n" for n in users))
        with open(os.path.join(dir, "logins"), "w") as f:
            f.write("SEQUENTIAL\n" + "".join(
                f"{n};[authentication username=u{n} password={PASSWORD}]\n" for n in AGENTS))
        self.sipp = shutil.which("sipp")
        if not self.sipp:
            raise RuntimeError("sipp is missing: install the package sip-tester")

    def _sipp(self, scenario, ip, port, *args):
        """A SIPp in the background; its statistics go to a file."""
        name = f"{scenario}-{port}"
        stats = os.path.join(self.dir, name + ".csv")
        if os.path.exists(stats):
            os.unlink(stats)
        with open(os.path.join(self.dir, name + ".out"), "wb") as out:
            p = subprocess.Popen(
                [self.sipp, "-sf", os.path.join(HERE, f"{scenario}.xml"), "-i", ip, "-p", str(port),
                 "-nostdin", "-buff_size", "4194304", "-trace_stat", "-stf", stats,
                 # a busy machine is no reason to give up
                 "-watchdog_minor_maxtriggers", "1000000", "-watchdog_major_maxtriggers", "1000000",
                 "-fd", "1", "-trace_err", "-error_file", os.path.join(self.dir, name + ".err"),
                 *args],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.dir,
                env=dict(os.environ, TERM="dumb"),
                preexec_fn=lambda: os.sched_setaffinity(0, OTHER_CPUS))
        p.stats, p.errors = stats, os.path.join(self.dir, name + ".err")
        return p

    def _caller(self, sut, scenario, numbers, rate, calls, hold):
        return self._sipp(scenario, CALLER_IP, self.ports["caller"], "-inf",
                          os.path.join(self.dir, numbers), "-r", str(rate), "-m", str(calls),
                          "-l", str(calls), "-d", str(int(hold * 1000)),
                          f"{SUT_IP}:{sut.port}")

    def _callee(self, scenario, role, ip, sut, *args):
        return self._sipp(scenario, ip, self.ports[role], *args, f"{SUT_IP}:{sut.port}")

    @staticmethod
    def _end(p):
        if p.poll() is None:
            p.send_signal(signal.SIGKILL)
        p.wait()

    @staticmethod
    def _last(p):
        """The last line of its statistics."""
        try:
            with open(p.stats) as f:
                return list(csv.DictReader(f, delimiter=";"))[-1]
        except (FileNotFoundError, IndexError):
            raise Failed("SIPp left no statistics")

    @staticmethod
    def _complaint(p):
        """What a SIPp wrote about the first call that it gave up."""
        if not os.path.exists(p.errors):
            return ""
        with open(p.errors, errors="replace") as f:
            text = f.read()
        at = text.find("Aborting call")
        return text[at:at + 600] if at >= 0 else ""

    def _judge(self, p, calls, others):
        """(retransmissions of the caller, calls that failed); raises Failed if those are many."""
        if p.poll() is None:
            self._end(p)
        last = self._last(p)
        ok, bad = int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"])
        if bad > calls * TOLERATED or ok + bad != calls:
            why = "\nThen: ".join(filter(None, map(self._complaint, [*others, p])))
            raise Failed(f"{ok} of {calls} calls succeeded, {bad} failed. {why}")
        return int(last["Retransmissions(C)"]), bad

    def _latency(self, p):
        """What the watcher saw: {"invite": [seconds], "refer": [seconds]}."""
        p.terminate()
        out = p.communicate(timeout=20)[0]
        seen = {"invite": [], "refer": []}
        for line in out.splitlines():
            kind, value = line.split()
            if kind in seen:
                seen[kind].append(int(value) / 1e9)
        return seen

    def run(self, sut, rate, seconds, hold=1.0, kind="plain", patience=60):
        """Calls of a kind at that rate for so long; returns what was seen, raises Failed."""
        calls = int(rate * seconds)
        helpers = []
        watch = subprocess.Popen(
            [self.watcher, str(sut.port), str(self.ports[KINDS[kind][0]]),
             str(self.ports["target"])],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, OTHER_CPUS))
        try:
            role, answers, asks, numbers = KINDS[kind]
            if role == "agent":
                helpers = [self._callee(answers, "agent", AGENT_IP, sut, "-inf", "targets",
                                        "-inf", "logins", "-infindex", "logins", "0"),
                           self._callee("asked" if kind == "attended" else "callee", "target",
                                        TARGET_IP, sut)]
            else:
                helpers = [self._callee(answers, role, CALLEE_IP, sut)]
            time.sleep(0.3)
            caller = self._caller(sut, asks, numbers, rate, calls, hold)
            t0 = time.monotonic()
            try:
                caller.wait(seconds + hold + patience)
            except subprocess.TimeoutExpired:
                pass
            took = time.monotonic() - t0
            for p in helpers:
                if p.poll() is not None:
                    raise Failed(f"a SIPp ended by itself, status {p.returncode}")
            retrans, bad = self._judge(caller, calls, helpers)
            return {"calls": calls, "took": took, "retrans": retrans, "bad": bad,
                    "latency": self._latency(watch)}
        finally:
            for p in helpers + [caller] if "caller" in locals() else helpers:
                self._end(p)
            if watch.poll() is None:
                watch.kill()
            watch.wait()

    def wait_ready(self, sut, patience=30):
        """Until a call goes through: the directory is loaded, too."""
        deadline = time.monotonic() + patience
        while True:
            try:
                return self.run(sut, 1, 1, hold=0.05, patience=3)
            except Failed as e:
                if time.monotonic() > deadline:
                    raise Failed(f"{sut.name} takes no calls: {e}\n{sut.tail()}")

    def hold_calls(self, sut, rate, calls, hold):
        """Starts calls that last for `hold` seconds; returns when all are up: (caller, callee)."""
        callee = self._callee("callee", "callee", CALLEE_IP, sut)
        time.sleep(0.3)
        caller = self._caller(sut, "caller", "callees", rate, calls, hold)
        time.sleep(calls / rate)
        deadline = time.monotonic() + 15
        while int(self._last(caller)["TotalCallCreated"]) < calls:
            if time.monotonic() > deadline or caller.poll() is not None:
                raise Failed("the calls did not come up")
            time.sleep(0.5)
        time.sleep(1)
        return caller, callee
