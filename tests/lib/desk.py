"""desk: queues for tests, and what segued shows of them.

    desk = Desk(lab, phone, phone, wrapup_ms=2000)   # a queue of its own with these agents
    desk.number, desk.name, desk.look()              # as `seguectl queue` shows it
    Desk(lab, phone, overflow=[("user", "alice")])   # and where it sends callers on to, in order
    agent(lab, phone)["state"]
"""
import json

from flows import wait

CODES = 'queue: { retry = "1s"; code_available = "*61"; code_away = "*62"; code_logout = "*63"; };'


class Desk:
    """A queue of its own with agents, number 5xx."""
    next = 500

    def __init__(self, lab, *agents, levels=False, overflow=(), **rules):
        with lab.lock:
            Desk.next += 1
            self.number, self.name = str(Desk.next), f"q{Desk.next}"
        self.lab, self.agents = lab, agents
        names = ", ".join(["name", "number"] + list(rules))
        values = ", ".join([f"'{self.name}'", f"'{self.number}'"] + [repr(v) for v in rules.values()])
        members = "".join(f"insert into segue.queue_members (queue, user_name, level) values "
                          f"('{self.name}', '{a.user}', {1 + levels * i});"
                          for i, a in enumerate(agents))
        leads = "".join(f"insert into segue.queue_overflow values ('{self.name}', {n}, '{kind}', "
                        f"'{target}');" for n, (kind, target) in enumerate(overflow, 1))
        lab.sql(f"insert into segue.queues ({names}) values ({values}); {members} {leads}")
        wait("the queue is known", lambda: self.ready(len(agents)))

    def look(self):
        return show(self.lab, "queue", self.name)

    def hours(self, sql, closed):
        """Rows of segue.queue_hours or queue_exceptions, Q for the queue's name; waits until they hold."""
        self.lab.sql(sql.replace("Q", f"'{self.name}'"))
        wait("its hours are known", lambda: ((self.look()["queue"]["hours"] or {}).get("closed")) is closed)

    def close(self):
        """Closed from yesterday to tomorrow, wherever that is."""
        self.hours("insert into segue.queue_exceptions select Q, (now() at time zone 'UTC')::date + d "
                   "from generate_series(-1, 1) d", True)

    def ready(self, free):
        try:
            return self.look()["queue"]["agents"]["free"] == free
        except (AssertionError, KeyError):
            return False


def show(lab, *words):
    p = lab.seguectl("--json", *words)
    return json.loads(p if isinstance(p, str) else p.stdout)


def wraps_up(lab, phone):
    """Until the agent has been in wrap-up: who asks for his state may come when it is over."""
    lab.daemon.wait_log(f" agent_state user={phone.user} state=wrapup ")


def agent(lab, phone):
    return next(a for a in show(lab, "agents")["agents"] if a["user"] == phone.user)
