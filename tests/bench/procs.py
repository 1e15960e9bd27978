"""procs: what processes cost, read from /proc. Times are seconds, sizes bytes."""
import os

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def _stat(path):
    """The fields of a stat file after the name: index 0 is the state."""
    with open(path) as f:
        return f.read().rsplit(")", 1)[1].split()


def _run_time(path):
    """CPU of a thread by the scheduler's own nanoseconds, where the kernel keeps them."""
    try:
        with open(f"{path}/schedstat") as f:
            return int(f.read().split()[0]) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        s = _stat(f"{path}/stat")
        return (int(s[11]) + int(s[12])) / TICK


def family(pid):
    """A process and all its living descendants."""
    parents = {}
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            parents.setdefault(int(_stat(f"/proc/{p}/stat")[1]), []).append(int(p))
        except (FileNotFoundError, ProcessLookupError):
            pass
    found, todo = [], [pid]
    while todo:
        p = todo.pop()
        found.append(p)
        todo += parents.get(p, [])
    return found


def threads(pid):
    """CPU of each living thread of one process: {(tid, name): seconds}."""
    out = {}
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/comm") as f:
            name = f.read().strip()
        out[int(tid), name] = _run_time(f"/proc/{pid}/task/{tid}")
    return out


def cpu(pid):
    """User and system time of all threads of a process and of its descendants, dead ones too."""
    total = 0.0
    for p in family(pid):
        try:
            s = _stat(f"/proc/{p}/stat")
            total += sum(threads(p).values()) + (int(s[13]) + int(s[14])) / TICK
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total


def rss(pid):
    """Private resident memory of a process."""
    with open(f"/proc/{pid}/statm") as f:
        size, resident, shared = f.read().split()[:3]
    return (int(resident) - int(shared)) * PAGE


def udp_drops(port):
    """Datagrams that UDP sockets of that local port had no room for."""
    drops = 0
    for path in ("/proc/net/udp", "/proc/net/udp6"):
        with open(path) as f:
            for line in f.readlines()[1:]:
                fields = line.split()
                if int(fields[1].rsplit(":", 1)[1], 16) == port:
                    drops += int(fields[-1])
    return drops


def pin(pid, cpus):
    """Keeps a process, its threads and descendants on these CPUs."""
    for p in family(pid):
        try:
            for tid in os.listdir(f"/proc/{p}/task"):
                os.sched_setaffinity(int(tid), cpus)
        except (FileNotFoundError, ProcessLookupError):
            pass


def yield_to_others(pid):
    """Lets the processes that measure go before this one and its descendants."""
    for p in family(pid):
        try:
            os.setpriority(os.PRIO_PROCESS, p, os.getpriority(os.PRIO_PROCESS, 0) + 10)
        except (PermissionError, ProcessLookupError):
            pass
