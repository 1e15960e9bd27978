"""sipp: SIPp as one side of a test."""
import os
import subprocess

import tap
from flows import wait
from segued import SRC

SCENARIOS = os.path.join(SRC, "tests/sip/scenarios")


def has_port(port):
    """Somebody listens on that UDP port: what is sent there is not refused."""
    with open("/proc/net/udp") as f:
        return any(line.split()[1].endswith(f":{port:04X}") for line in list(f)[1:])


class Sipp:
    """One SIPp process, which listens when this is made; any exit status but 0 is a failure."""

    def __init__(self, lab, scenario, ip, port, *args, **texts):
        """texts: what stands for @NAME@ in the scenario."""
        self.scenario = scenario
        with open(f"{SCENARIOS}/{scenario}.xml") as f:
            xml = f.read()
        for name, text in texts.items():
            xml = xml.replace(f"@{name.upper()}@", str(text))
        path = os.path.join(lab.dir, f"{scenario}-{port}.xml")
        with open(path, "w") as f:
            f.write(xml)
        self.errors = os.path.join(lab.dir, f"{scenario}-{port}.errors")
        self.proc = subprocess.Popen(
            ["sipp", f"{lab.ip}:{lab.port}", "-sf", path, "-i", ip, "-p",
             str(port), "-timeout", "300s", "-timeout_error", "-nostdin", "-trace_err",
             "-error_file", self.errors, *map(str, args)],
            cwd=lab.dir, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace")
        tap.at_end(self.end)
        wait("SIPp has its port", lambda: self.proc.poll() is not None or has_port(port))

    def end(self):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()

    def finish(self):
        out, _ = self.proc.communicate(timeout=330)
        if self.proc.returncode:
            errors = open(self.errors).read()[:3000] if os.path.exists(self.errors) else ""
            raise AssertionError(f"sipp {self.scenario} ended with {self.proc.returncode}:\n{errors}\n"
                                 f"{out[-1500:]}")
