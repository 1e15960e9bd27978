"""Many calls at once, with SIPp as customers, agents and targets; every row is checked afterwards."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from flows import wait
from segued import Lab, free_port
from sipp import Sipp


def phone(lab, name, dial):
    """A user with a static contact; the port that SIPp is to take."""
    port = free_port()
    lab.add_user(name, dial, contact=f"sip:{name}@127.0.0.1:{port}")
    return port


def known(lab, trunk, dial, port):
    """Until segue has read the new users: a call to them is no longer answered 404."""
    def look():
        c = trunk.invite(dial)
        r = c.expect((404, 480, 503, 408, 500), timeout=40)
        return r.status != 404
    wait(f"{dial} is known", look, 60)


def all_rows_right(lab, since, n, transfers):
    def final():
        got = lab.rows("select count(*) as n, count(ended_at) as done, count(*) filter (where outcome = "
                       f"'answered') as answered from segue.conversations where started_at >= '{since}'")
        return got[0] if got[0]["done"] >= n else None
    got = wait(f"{n} conversations are final", final, 60)
    assert got == {"n": n, "done": n, "answered": n}, got
    t = lab.rows("select t.outcome, count(*) as n from segue.transfers t join segue.conversations c "
                 f"on c.id = t.conversation_id where c.started_at >= '{since}' group by 1")
    assert t == ([{"outcome": "completed", "n": transfers}] if transfers else []), t
    wrong = lab.rows(f"select * from segue.check_ledger('{since}') limit 5")
    assert not wrong, wrong
    assert not lab.rows("select * from segue.rejected_facts")


def run(lab, n, rate, transfer):
    trunk = lab.trunk()
    tag = f"{n}{rate}"
    agent = phone(lab, f"agent{tag}", f"61{tag}")
    target = phone(lab, f"target{tag}", f"62{tag}") if transfer else None
    known(lab, trunk, f"{'62' if transfer else '61'}{tag}", agent)
    since = lab.rows("select clock_timestamp() as t")[0]["t"]
    sides = [Sipp(lab, "agent" if transfer else "callee", "127.0.0.1", agent, "-m", n, "-key",
                  "target", f"62{tag}")]
    if transfer:
        sides.append(Sipp(lab, "target", "127.0.0.1", target, "-m", n))
    sides.append(Sipp(lab, "customer" if transfer else "caller", trunk.transport.ip,
                      free_port(trunk.transport.ip), "-m", n, "-r", rate, "-l", n, "-s", f"61{tag}"))
    for s in reversed(sides):
        s.finish()
    all_rows_right(lab, since, n, n if transfer else 0)


@tap.case("300 plain calls at 50 a second: all rows right")
def plain(lab):
    run(lab, 300, 50, False)


@tap.case("200 calls at 20 a second, each transferred: all rows right")
def transfers(lab):
    run(lab, 200, 20, True)


@tap.case("E-126 200 transfers in one second: no cross-talk, all rows right")
def burst(lab):
    run(lab, 200, 200, True)


if __name__ == "__main__":
    tap.main(lambda: Lab(t={"ring": 20000, "setup": 30000}, sip='receive_buffer = "4MB";'), jobs=1)
