"""report: the result of a run as Markdown, ratios included, and its place in docs/performance.md."""
import datetime
import statistics

from traffic import percentile

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def median(rounds, f):
    return statistics.median(f(r) for r in rounds)


def us(r):
    """CPU microseconds per call of one round."""
    return r["cpu"] / r["calls"] * 1e6


def rows(lines):
    """A Markdown table; the first line is its head, figures stand to the right."""
    mark = "|---|" + "--:|" * (len(lines[0]) - 1)
    out = ["| " + " | ".join(str(c) for c in line) + " |" for line in lines]
    return "\n".join([out[0], mark, *out[1:]])


def spread(rounds):
    """The median, and lowest and highest round if there are several."""
    values = [us(r) for r in rounds]
    text = f"{statistics.median(values):.0f}"
    return text if len(values) == 1 else f"{text} [{min(values):.0f}-{max(values):.0f}]"


def latency(rounds, kind):
    """p50 / p99 in milliseconds, of all rounds together: of one round a dozen calls would decide."""
    all = [value for r in rounds for value in r["latency"][kind]]
    if not all:
        return "not measured"
    p = [percentile(all, p) * 1e3 for p in (50, 99)]
    return f"{p[0]:.2f} / {p[1]:.2f}"


def ratio(seen, a, b, rate):
    """Of two systems, in the same run: median of the ratios round by round."""
    return statistics.median(us(x) / us(y) for x, y in zip(seen[a, rate], seen[b, rate]))


def thread_shares(rounds):
    """CPU per call of each thread."""
    names = {t for r in rounds for t in r.get("threads", {})}
    return {n: median(rounds, lambda r: r["threads"].get(n, 0) / r["calls"] * 1e6) for n in names}


def plain_calls(seen, systems, rates):
    out = [["Plain call", *[f"{r} calls/s" for r in rates]]]

    def add(title, f):
        out.append([title, *[f(r) for r in rates]])
    for name in systems:
        add(f"CPU of {name}, us per call", lambda r: spread(seen[name, r]))
    for other in systems:
        if "segue" in systems and other != "segue":
            add(f"**segue / {other}**", lambda r: f"**{ratio(seen, 'segue', other, r):.2f}**")
    for name in systems:
        add(f"INVITE to INVITE of {name}, p50 / p99 ms", lambda r: latency(seen[name, r], "invite"))
    for name in systems:
        add(f"datagrams dropped by the receive buffer of {name}",
            lambda r: sum(x["drops"] for x in seen[name, r]))
    for name in systems:
        add(f"retransmissions of the caller, {name}",
            lambda r: sum(x["retrans"] for x in seen[name, r]))
    for name in systems:
        add(f"calls that failed, {name}", lambda r: sum(x["bad"] for x in seen[name, r]))
    if "segue" in systems:
        seen = {(s, r): v for (s, r), v in seen.items() if s == "segue"}
        add("facts per call", lambda r: f"{median(seen['segue', r], lambda x: x['facts'] / x['calls']):.1f}")
        add("facts shipped per second of the load",
            lambda r: f"{median(seen['segue', r], lambda x: x['facts'] / x['took']):,.0f}")
        add("all rows in the tables, s after the last call",
            lambda r: f"{median(seen['segue', r], lambda x: x['lag']):.1f}")
        add("CPU of PostgreSQL, us per call (not in the bill)",
            lambda r: f"{median(seen['segue', r], lambda x: x['pg'] / x['calls'] * 1e6):.0f}")
        for t in sorted({t for r in rates for t in thread_shares(seen["segue", r])}):
            add(f"of segue's CPU: thread {t}, us per call",
                lambda r: f"{thread_shares(seen['segue', r]).get(t, 0):.0f}")
    return rows(out)


def transferred(rounds, rate, title):
    return rows([
        [title, f"{rate} calls/s"],
        ["CPU of segue, us per transferred call", spread(rounds)],
        ["REFER to INVITE at the target, p50 / p99 ms", latency(rounds, "refer")],
        ["INVITE to INVITE, p50 / p99 ms", latency(rounds, "invite")],
        ["facts per call", f"{median(rounds, lambda x: x['facts'] / x['calls']):.1f}"],
        ["CPU of PostgreSQL, us per call (not in the bill)",
         f"{median(rounds, lambda x: x['pg'] / x['calls'] * 1e6):.0f}"],
    ])


def attended(rounds, rate):
    """Two calls that meet; the REFER causes no INVITE that the watcher could pair."""
    return rows([
        ["Attended transfer (hold, second call, REFER with Replaces)", f"{rate} calls/s"],
        ["CPU of segue, us for both calls", spread(rounds)],
        ["facts for both calls", f"{median(rounds, lambda x: x['facts'] / x['calls']):.1f}"],
        ["CPU of PostgreSQL, us for both calls (not in the bill)",
         f"{median(rounds, lambda x: x['pg'] / x['calls'] * 1e6):.0f}"],
        ["calls that failed", sum(x["bad"] for x in rounds)],
    ])


def queued(rounds, rate):
    plain = [r for r in rounds if r["kind"] == "plain"]
    through = [r for r in rounds if r["kind"] == "queued"]
    return rows([
        ["Queued call (1000 agents)", f"{rate} calls/s"],
        ["CPU of segue, us per queued call", spread(through)],
        ["CPU of segue, us per plain call, in turn with these", spread(plain)],
        ["facts per call", f"{median(through, lambda x: x['facts'] / x['calls']):.1f}"],
    ])


def assign(lines):
    waiting = lines[0]["waiting"]
    return rows([
        ["One assignment in the core, us", *[f"{m['agents']} agents" for m in lines]],
        [f"an agent becomes free, {waiting} callers wait",
         *[f"{m['agent_free_ns'] / 1000:.2f}" for m in lines]],
        ["a caller comes, all agents are free", *[f"{m['caller_ns'] / 1000:.2f}" for m in lines]],
    ])


def memory(lines, forget):
    kb = lambda v: f"{v / 1024:.1f}"
    return rows([
        ["Memory per call, KB", *[f"{m['calls']} calls" for m in lines]],
        ["started at, calls/s", *[m["rate"] for m in lines]],
        ["heap in use, all just up", *[kb(m["peak_heap"]) for m in lines]],
        ["resident, all just up", *[kb(m["peak_rss"]) for m in lines]],
        [f"**heap in use, held, {forget} s later**", *["**" + kb(m["held_heap"]) + "**" for m in lines]],
        [f"resident, held, {forget} s later", *[kb(m["held_rss"]) for m in lines]],
    ])


def shares(found):
    total = sum(found.values())
    out = [["Loop thread, by layer", "share"]]
    for layer, n in sorted(found.items(), key=lambda x: -x[1]):
        out.append([layer, f"{100 * n / total:.1f} %"])
    return rows(out)


def table(result):
    plan = result["plan"]
    secs = ", ".join(f"{s} s at {r}/s" for r, s in plan["rates"].items())
    out = [f"Measured {datetime.date.today()}, {result['cpus']} CPUs, Linux {result['kernel']}; "
           f"{plan['rounds']} interleaved rounds of {secs}; medians [lowest-highest], times of all "
           "rounds together."]
    if result.get("against"):
        out[0] += f" `against` is {result['against']}."
    if result["quick"]:
        out.append("**A quick run: its figures mean little.**")
    if "rounds" in result:
        out.append(plain_calls(result["rounds"], result["systems"], list(plan["rates"])))
    if "transfers" in result:
        out.append(transferred(result["transfers"], plan["transfer"][0], "Transferred call (REFER)"))
    if "attended" in result:
        out.append(attended(result["attended"], plan["attended"][0]))
    if "queued" in result:
        out.append(queued(result["queued"], plan["transfer"][0]))
    if "assign" in result:
        out.append(assign(result["assign"]))
    if result.get("layers"):
        out.append(shares(result["layers"]))
    if "memory" in result:
        out.append(memory(result["memory"], plan["forget"]))
    return "\n\n".join(out)


def write(path, text):
    """Replaces what is between the markers of that file."""
    with open(path) as f:
        old = f.read()
    head, found, rest = old.partition(BEGIN)
    _, ended, tail = rest.partition(END)
    if not found or not ended:
        raise RuntimeError(f"{path} has no {BEGIN} ... {END} to write between")
    with open(path, "w") as f:
        f.write(f"{head}{BEGIN}\n{text}\n{END}{tail}")
