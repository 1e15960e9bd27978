"""Two hundred callers (SIPp), two queues, twenty agents who decline, answer and transfer to the other
queue: what the ledger says of each call is compared with what its caller and its agents saw."""
import collections
import os
import re
import sys
import threading
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import is_final, sipfrag, wait
from segued import Lab, free_port
from sipp import Sipp

AGENTS, PATIENT, HASTY = 20, 150, 50
IMPATIENT_MS = 1523  # all other times are multiples of 50: nobody leaves just as he is answered
NEAR_MS = 400  # clocks of three processes on a busy machine: most are as near as this,
FAR_MS = 5000  # and none is farther


class Agent(threading.Thread):
    """A phone with habits: declines every 6th offer, transfers every 5th caller that it answers."""

    def __init__(self, phone, seed, other):
        super().__init__(daemon=True)
        self.phone, self.seed, self.other = phone, seed, other
        self.saw, self.trouble, self.going = [], [], True

    def run(self):
        while self.going:
            try:
                m = self.phone.take("INVITE", 0.2)
                if m is not None:
                    self.offered(self.phone.calls[m.call_id])
            except Exception as e:
                self.trouble.append(f"{self.phone.user}: {e}")

    def note(self, call, what):
        self.saw.append((time.monotonic(), call.invite.get("X-Call"), what))

    def offered(self, call):
        self.seed += 1
        if self.seed % 6 == 0:
            self.note(call, "busy")
            call.reply(486)
            return
        call.reply(180)
        if call.take("CANCEL", 0.15) or self.phone.answered(call.invite):
            self.note(call, "cancelled")
            return
        call.answer()
        if not call.take("ACK", 30):
            raise AssertionError("no ACK")
        self.note(call, "answered")
        last = self.talk(call)
        with self.phone.cond:
            early = [m for m in self.phone.box if m.method == "INVITE" and m.at < last.at]
        if early:
            self.trouble.append(f"{self.phone.user} was offered a second caller while on a call, "
                                f"{1000 * (last.at - early[0].at):.1f} ms before {last}")

    def talk(self, call):
        """Until it ends. The message after which the agent may be offered another caller."""
        bye = call.take("BYE", 1 + self.seed % 7 / 10)
        if bye:
            return bye  # its answer crossed the caller's leaving
        if self.seed % 5 == 0:
            call.refer(f"<sip:{self.other}@{self.phone.server[0]}:{self.phone.server[1]}>")
            call.expect((200, 202), method="REFER")
            n = call.expect("NOTIFY", 20, where=is_final)
            self.note(call, f"transferred {sipfrag(n)}")
            call.hangup()
            return n
        call.hangup()
        return call.sent["BYE"]


def queue(lab, name, number, phones):
    lab.sql(f"insert into segue.queues (name, number, wrapup_ms, retry_ms) values "
            f"('{name}', '{number}', 200, 1000)")
    for p in phones:
        lab.sql(f"insert into segue.queue_members (queue, user_name) values ('{name}', '{p.user}')")


def callers(lab, number, n, patience):
    ip = lab.trunk().transport.ip
    log = os.path.join(lab.dir, f"queued-{number}-{patience}.log")
    return log, Sipp(lab, "queued", ip, free_port(ip), "-m", n, "-r", n // 10, "-l", n, "-s", number,
                     "-trace_logs", "-log_file", log, patience=patience)


def read_log(path, seen):
    """{call_id: {mark, begin, answered, end or gave_up}} in milliseconds of that SIPp."""
    with open(path) as f:
        for what, cid, mark, tick in re.findall(r"(\w+) (\S+) (\d+-\d+) (\d+)", f.read()):
            seen[cid]["mark"], seen[cid][what] = mark, int(tick)


def ledger(lab, since):
    """{sip_call_id: (conversation, its segments, its transfers)}"""
    convs = lab.rows(f"select * from segue.conversations where started_at >= '{since}'")
    book = {c["id"]: (c, [], []) for c in convs}
    for i, rows in ((1, lab.rows("select * from segue.segments order by seq")),
                    (2, lab.rows("select * from segue.transfers order by asked_at"))):
        for row in rows:
            if row["conversation_id"] in book:
                book[row["conversation_id"]][i].append(row)
    return {c["sip_call_id"]: (c, s, t) for c, s, t in book.values()}


def compare(cid, rows, seen, offers, far):
    """One call: the ledger's rows against what was seen of it. far takes the times that are not near."""
    conv, segments, transfers = rows
    told = f"{cid}: {seen} {offers}\n{conv}\n{segments}\n{transfers}"
    assert conv["outcome"] == ("answered" if "answered" in seen else "abandoned"), told
    ends = seen.get("end", seen.get("gave_up"))
    apart = [abs(conv["total_ms"] - (ends - seen["begin"]))]
    first = next(s for s in segments if s["kind"] == "queue")
    until = seen.get("answered", ends)
    apart.append(abs(first["wait_ms"] - (until - seen["begin"])))
    assert max(apart) < FAR_MS, f"{apart} {told}"
    far += [(ms, told) for ms in apart if ms >= NEAR_MS]
    got = collections.Counter()
    for s in segments:
        if s["kind"] == "agent":
            got[s["who"], "answered" if s["talk_ms"] else
                "busy" if s["outcome"] == "busy" else "cancelled"] += 1
    want = collections.Counter((who, what) for who, what in offers if "transferred" not in what)
    if "gave_up" in seen and got != want and offers[-1][1] == "busy":
        want[offers[-1]] -= 1  # the last refusal may meet segue's CANCEL on the way
        want[offers[-1][0], "cancelled"] += 1
    assert got == +want, f"{got} {want} {told}"
    moved = [what for _, what in offers if "transferred" in what]
    assert len(transfers) == len(moved), told
    answers = [who for who, what in offers if what == "answered"]
    for t, what, who in zip(transfers, moved, answers[1:]):
        assert (t["outcome"], t["answered_by"], what) == ("completed", who, "transferred 200"), told
    return len(moved)


@tap.case("200 callers, 20 agents, two queues; declines, abandons, transfers: the ledger says what was seen")
def storm(lab):
    phones = [lab.phone() for _ in range(AGENTS)]
    queue(lab, "sales", "501", phones)
    queue(lab, "support", "502", phones[:12])
    agents = [Agent(p, 7 * i, "502" if i % 2 else "501") for i, p in enumerate(phones)]
    wait("all are free", lambda: lab.seguectl("agents").count(" free ") == AGENTS)
    since = lab.rows("select clock_timestamp() as t")[0]["t"]
    for a in agents:
        a.start()
    runs = [callers(lab, "501", PATIENT, 60000), callers(lab, "501", HASTY, IMPATIENT_MS)]
    for _, sipp in runs:
        sipp.finish()
    wait("nobody is on a call", lambda: lab.seguectl("calls").strip() == "No calls.", 60)
    for a in agents:
        a.going = False
    for a in agents:
        a.join(20)
    trouble = [t for a in agents for t in a.trouble]
    assert not trouble, trouble

    seen = collections.defaultdict(dict)
    for log, _ in runs:
        read_log(log, seen)
    assert len(seen) == PATIENT + HASTY, len(seen)
    wait("all conversations are final", lambda: lab.rows(
        "select count(*) as n from segue.conversations where ended_at is not null and "
        f"started_at >= '{since}'")[0]["n"] == PATIENT + HASTY, 60)
    offers = collections.defaultdict(list)
    for _, mark, user, what in sorted((at, mark, a.phone.user, what)
                                      for a in agents for at, mark, what in a.saw):
        offers[mark].append((user, what))
    book = ledger(lab, since)
    far = []  # SIPp or segued got no turn in between
    moved = sum(compare(cid, book[cid], s, offers[s["mark"]], far) for cid, s in seen.items())
    assert len(far) < len(seen) / 10, far[:5]
    left = sum("gave_up" in s for s in seen.values())
    declined = sum(what == "busy" for o in offers.values() for _, what in o)
    assert moved > 10 and left > 3 and declined > 15, (moved, left, declined)
    tap.say(f"{moved} transferred, {left} gave up, {declined} offers declined")

    hour = lab.rows("select sum(offered) as offered, sum(answered) as answered, sum(abandoned) as "
                    "abandoned from segue.queue_hour")[0]
    answered = sum("answered" in s for s in seen.values())
    assert hour == {"offered": PATIENT + HASTY + moved, "answered": answered + moved,
                    "abandoned": left}, (hour, answered, moved, left)
    wrong = lab.rows(f"select * from segue.check_ledger('{since}') limit 5")
    assert not wrong, wrong
    assert not lab.rows("select * from segue.rejected_facts")


if __name__ == "__main__":
    tap.main(lambda: Lab(users=AGENTS + 4, peers=4, t={"ring": 20000, "setup": 30000}), jobs=1)
