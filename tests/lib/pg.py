"""pg: a private PostgreSQL 15 cluster on a unix socket, for tests.

Promise: never touches a system cluster, listens on no network port, works as root (the server then
runs as the system user `postgres`) and as an ordinary user, and is gone when the test is gone, even
if the test is killed.

    with pg.Cluster() as c:            # starts; stops and removes at the end
        c.createdb("segue")
        rows = c.psql("select 1, 'a'", "segue")      # [("1", "a")]
        c.stop(); c.start()                           # an outage
        c.conninfo("segue")                           # for libpq

pg.test_cluster() gives the cluster that SEGUE_TEST_PG (its directory) names, or a private one.
From a shell: `python3 pg.py start DIR`, `python3 pg.py stop DIR`.
"""
import atexit
import csv
import ctypes
import io
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SUPERUSER = "segue"
_NULL = "\x01"
_PR_SET_PDEATHSIG = 1


def bindir():
    """The directory of initdb and postgres (Debian keeps them out of PATH)."""
    out = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True).stdout.strip()
    for d in [out, "/usr/lib/postgresql/15/bin"]:
        if d and os.access(os.path.join(d, "initdb"), os.X_OK):
            return d
    raise RuntimeError("no initdb found: install the package postgresql-15")


class SqlError(Exception):
    """psql failed; the text is what it printed."""


class Cluster:
    """A cluster in directory `dir` (made, and removed by remove(), if None)."""

    def __init__(self, dir=None, settings=None):
        self.made = dir is None
        self.dir = os.path.abspath(dir or tempfile.mkdtemp(prefix="segue-pg-"))
        self.settings = {
            "listen_addresses": "", "unix_socket_directories": self.dir, "fsync": "off",
            "max_connections": "60", "shared_buffers": "64MB", "log_min_messages": "warning",
        }
        self.settings.update(settings or {})
        self.server = None
        self.root = os.geteuid() == 0
        if len(self.dir) > 80:
            raise ValueError(f"{self.dir}: too long for the path of a unix socket")

    # -- life ---------------------------------------------------------------------------------

    def _as(self):
        return {"user": "postgres", "group": "postgres", "extra_groups": []} if self.root else {}

    def _init(self):
        data = os.path.join(self.dir, "data")
        if os.path.exists(os.path.join(data, "PG_VERSION")):
            return
        os.makedirs(self.dir, exist_ok=True)
        if self.root:
            os.chmod(self.dir, 0o755)
            shutil.chown(self.dir, "postgres", "postgres")
        subprocess.run(
            [os.path.join(bindir(), "initdb"), "-D", data, "-A", "peer", "-U", SUPERUSER, "-E",
             "UTF8", "--locale=C", "--no-sync"],
            check=True, stdout=subprocess.DEVNULL, cwd="/", **self._as())
        # only the user who runs the test gets in, under the cluster's own superuser name
        me = pwd.getpwuid(os.geteuid()).pw_name
        with open(os.path.join(data, "pg_hba.conf"), "w") as f:
            f.write("local all all peer map=test\n")
        with open(os.path.join(data, "pg_ident.conf"), "w") as f:
            f.write(f"test {me} {SUPERUSER}\n")

    def start(self, outlive=False):
        """Starts the server and waits until it takes connections. It dies with this process,
        unless outlive is set."""
        self._init()
        parent = os.getpid()

        def child():
            if not outlive:
                ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
                if os.getppid() != parent:
                    os._exit(1)

        args = [os.path.join(bindir(), "postgres"), "-D", os.path.join(self.dir, "data")]
        for key, value in self.settings.items():
            args += ["-c", f"{key}={value}"]
        with open(os.path.join(self.dir, "log"), "ab") as log:
            self.server = subprocess.Popen(
                args, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                start_new_session=True, preexec_fn=child, **self._as())
        atexit.register(self._atexit)
        self._wait_ready()

    def _wait_ready(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.server.poll() is not None:
                raise RuntimeError(f"postgres did not start, see {self.dir}/log:\n" + self.log())
            try:
                self.psql("select 1", "postgres")
                return
            except SqlError:
                time.sleep(0.05)
        raise RuntimeError(f"postgres takes no connections after 60 s, see {self.dir}/log")

    def pid(self):
        with open(os.path.join(self.dir, "data", "postmaster.pid")) as f:
            return int(f.readline())

    def stop(self, mode="fast"):
        """Stops the server: "fast" ends its sessions, "immediate" is a crash."""
        try:
            pid = self.pid()
        except FileNotFoundError:
            return
        os.kill(pid, signal.SIGQUIT if mode == "immediate" else signal.SIGINT)
        if self.server:
            self.server.wait(60)
            self.server = None
            return
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and _alive(pid):
            time.sleep(0.05)

    def remove(self):
        self.stop("immediate")
        shutil.rmtree(self.dir, ignore_errors=True)

    def _atexit(self):
        if self.server:
            self.remove() if self.made else self.stop()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.remove() if self.made else self.stop()

    # -- use ----------------------------------------------------------------------------------

    def conninfo(self, db="segue", **more):
        extra = "".join(f" {k}={v}" for k, v in more.items())
        return f"host={self.dir} user={SUPERUSER} dbname={db}{extra}"

    def psql(self, sql, db="segue", variables=None):
        """Runs SQL in one session; returns the rows of all its queries as tuples of str or None.
        Raises SqlError on the first error."""
        args = ["psql", "-X", "-q", "-t", "--csv", "-v", "ON_ERROR_STOP=1", "-P", f"null={_NULL}",
                "-d", self.conninfo(db)]
        for key, value in (variables or {}).items():
            args += ["-v", f"{key}={value}"]
        p = subprocess.run(args, input=sql, capture_output=True, text=True)
        if p.returncode:
            raise SqlError(p.stderr.strip())
        return [tuple(None if v == _NULL else v for v in row)
                for row in csv.reader(io.StringIO(p.stdout, newline="")) if row]

    def value(self, sql, db="segue"):
        """The first column of the first row, or None."""
        rows = self.psql(sql, db)
        return rows[0][0] if rows else None

    def createdb(self, name="segue"):
        self.psql(f'create database "{name}"', "postgres")

    def dropdb(self, name):
        self.psql(f'drop database if exists "{name}" with (force)', "postgres")

    def log(self):
        try:
            with open(os.path.join(self.dir, "log"), errors="replace") as f:
                return f.read()[-4000:]
        except OSError:
            return ""


def test_cluster():
    """A running cluster: the shared one of SEGUE_TEST_PG, or a private one that ends with us."""
    shared = os.environ.get("SEGUE_TEST_PG")
    c = Cluster(shared)
    if not shared:
        c.start()
    return c


def test_database(cluster):
    """Creates an empty database with a name of its own and returns the name; it is dropped when
    the test ends, if the cluster is shared."""
    name = "t_" + secrets.token_hex(6)
    cluster.createdb(name)
    if not cluster.server:
        atexit.register(cluster.dropdb, name)
    return name


def _alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


def main(argv):
    if len(argv) != 3 or argv[1] not in ("start", "stop"):
        print("usage: pg.py start|stop DIR", file=sys.stderr)
        return 2
    c = Cluster(argv[2])
    if argv[1] == "start":
        c.start(outlive=True)
        c.server = None  # leave it running
        print(c.conninfo("postgres"))
    else:
        c.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
