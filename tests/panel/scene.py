"""scene: a busy quarter of an hour, made by real calls: one call in every state, and some that are over.

    lab = SceneLab()
    with lab: s = Scene(lab); ...; s.end()

What is over took some seconds; stretch() makes minutes of them on record, so that the log looks as it
does in an office. Nothing else is made up.
"""
import os
import sys
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

from flows import joined, pick_up
from panel import FIRST, PanelLab

PLACES = {
    "live": "#/live", "log": "#/log", "queues": "#/queues",
    "wall": "#/queues/wall", "contacts": "#/contacts", "desk": "#/desk",
}
SUPPORT = "Alice Dan Hugo Petra Hana".split()
SALES = "Bob Carol Kofi Ines Lucia".split()
BILLING = "Erin Omar Grace Farid Nils".split()
CUSTOMERS = {
    "Priya Raman": "+442079460132", "Harbour Dental": "+12025550143", "Tomas Ferreira": "+351215550110",
    "Jonas Lind": "+4685550102", "Mei Park": "+12025550171", "Okafor and Sons": "+12025550109",
    "Lena Petrova": "+12025550125", "Northgate Clinic": "+12025550133", "Ana Soto": "+12025550152",
    "": "+442079460187",
}


def user(name):
    return f"u{FIRST.index(name):03d}"


class SceneLab(PanelLab):
    def __init__(self, **kw):
        super().__init__(**{"t": {"ring": 60000, "setup": 120000}, "fallback": ["recall", "queue:support", "voicemail"], **kw})

    def _users(self):
        super()._users()
        in_queue = lambda q, names: "".join(
            f"insert into segue.queue_members (queue, user_name) values ('{q}', '{user(n)}');"
            for n in names)
        self.sql("insert into segue.queues (name, number, display_name) values "
                 "('billing', '4003', 'Billing'); insert into segue.ivrs (name, number, peer, dial, display_name) values "
                 "('main', '8000', 'peer59', '8000', 'Main menu'), ('pay', '8010', 'peer59', '8010', 'Payment line'); "
                 "insert into segue.queue_supervisors values ('sales', 'sup'), ('billing', 'sup'); "
                 "update segue.users set display_name = 'Sam Reyes' where name = 'sup';"
                 + in_queue("support", SUPPORT) + in_queue("sales", SALES) + in_queue("billing", BILLING))


def stretch(lab, conv, factor, ago):
    """What took seconds takes `factor` times as long on record, and began `ago` seconds ago."""
    cid = conv["id"]
    lab.sql(f"""
do $$
declare
	t0 timestamptz; t1 timestamptz := now() - interval '{ago} s'; c record;
begin
	select started_at into t0 from segue.conversations where id = '{cid}';
	for c in select table_name, column_name, data_type from information_schema.columns
		where table_schema = 'segue' and table_name in
			('conversations', 'segments', 'intervals', 'transfers', 'timeline', 'recordings', 'notes')
			and (data_type = 'timestamp with time zone' or column_name like '%\\_ms') loop
		execute format(case when c.data_type = 'bigint' or c.data_type = 'integer'
			then 'update segue.%1$I set %2$I = %2$I * {factor} where %3$s'
			else 'update segue.%1$I set %2$I = ''' || t1 || '''::timestamptz + (%2$I - ''' || t0
				|| '''::timestamptz) * {factor} where %3$s' end, c.table_name, c.column_name,
			case c.table_name when 'conversations' then 'id = ''{cid}'''
				when 'intervals' then 'segment_id in (select id from segue.segments where conversation_id = ''{cid}'')'
				else 'conversation_id = ''{cid}''' end);
	end loop;
end $$""")


class Scene:
    def __init__(self, lab, history=True, settle=0, day=()):
        """settle: seconds that the calls have been going on for when some of them begin to move; day: how
        many callers came to the queues in each half hour until now."""
        self.settle = settle
        self.lab, self.calls, self.phones = lab, [], {}
        self.boss = lab.login("boss")
        if history:
            self._history()
        self._day(day)
        self._now()

    # -- making calls ------------------------------------------------------------------------

    def phone(self, name):
        if name not in self.phones:
            p = self.phones[name] = self.lab.named(FIRST.index(name))
            p.register()
        return self.phones[name]

    def trunk(self, name):
        t = self.lab.trunk(trusted=True)
        t.display = f'"{name}" ' if name else ""
        return t

    def calls_in(self, name, number, headers=()):
        t = self.trunk(name)
        return t.invite(number, from_uri=f"sip:{CUSTOMERS[name]}@{t.domain}", headers=headers)

    def talks(self, name, agent, headers=()):
        """That customer talks with that agent."""
        c = self.calls_in(name, self.phone(agent).number, headers)
        a = self.phone(agent).incoming()
        a.reply(180)
        pick_up(c, a)
        self.calls.append(c)
        return c, a

    def waits(self, name, queue, headers=()):
        c = self.calls_in(name, queue, headers)
        self.calls.append(c)
        return c

    def post(self, c, verb, **body):
        call = self.lab.conversation(c, final=False)["call"]
        got = self.boss.post(f"/calls/{call}/{verb}", body)
        assert got.status < 300, got

    # -- what is over ------------------------------------------------------------------------

    def _over(self, c, factor, ago):
        if c in self.calls:
            self.calls.remove(c)
        conv = self.lab.conversation(c, timeout=30)
        stretch(self.lab, conv, factor, ago)
        return conv["id"]

    def _history(self):
        lab, beat = self.lab, 0.6
        case = (("X-Case-ID", "20418"),)
        # waits in Support, Dan declines, Alice; Carol is asked and takes it, Bob declines, Sales: Erin
        dan, alice = self.phone("Dan"), self.phone("Alice")
        c = self.waits("Priya Raman", "4001", case)
        d = dan.incoming()
        d.reply(180)
        time.sleep(beat / 2)
        d.reply(603)
        a = alice.incoming()
        a.reply(180)
        time.sleep(beat / 3)
        pick_up_queued(c, a)
        time.sleep(4 * beat)
        self.post(c, "note", text="Address verified. Needs the October invoice again.")
        carol, bob = self.phone("Carol"), self.phone("Bob")
        self.post(c, "transfer", number=carol.number, kind="consult")
        b = carol.incoming()
        b.reply(180)
        b.answer()
        b.expect("ACK")
        joined(a, b)
        time.sleep(beat)
        self.post(c, "complete")
        a.expect("BYE")
        joined(c, b)
        time.sleep(4 * beat)
        self.post(c, "transfer", number=bob.number)
        x = bob.incoming()
        x.reply(180)
        time.sleep(beat)
        x.reply(603)
        joined(c, b)
        time.sleep(2 * beat)
        erin = self.phone("Erin")
        self.post(c, "transfer", number=erin.number)
        e = erin.incoming()
        e.reply(180)
        time.sleep(beat / 2)
        e.answer()
        e.expect("ACK")
        b.expect("BYE")
        joined(c, e)
        time.sleep(4 * beat)
        c.hangup()
        e.expect("BYE")
        self.story = self._over(c, 51, 1500)
        # one that left, one that was finished, one that came back
        c = self.calls_in("Ana Soto", "4003")
        erin.incoming().reply(180)
        c.expect(180)
        time.sleep(beat)
        c.cancel()
        c.expect(487, method="INVITE")
        self._over(c, 130, 4400)
        c, a = self.talks("Northgate Clinic", "Bob")
        time.sleep(2 * beat)
        c.hangup()
        a.expect("BYE")
        self._over(c, 120, 2600)
        c, a = self.talks("Jonas Lind", "Dan")
        time.sleep(beat)
        self.post(c, "transfer", number=bob.number)
        x = bob.incoming()
        x.reply(180)
        time.sleep(beat / 2)
        x.reply(486)
        joined(c, a)
        time.sleep(beat)
        c.hangup()
        a.expect("BYE")
        self._over(c, 90, 7300)

    def _day(self, counts):
        """Callers of the queues: most are answered at once, a few wait too long, or leave."""
        members = {"4001": SUPPORT[:2], "4002": SALES[:2], "4003": BILLING[:1]}
        for name in sum(members.values(), []):
            self.phone(name)
        names = [n for n in CUSTOMERS if n]
        line = self.trunk("") if counts else None  # one carries them all, one after the other
        n = 0
        for i, count in enumerate(counts):
            for k in range(count):
                number = ("4001", "4002", "4001", "4003", "4002")[n % 5]
                ago = 1800 * (len(counts) - i) - 1500 * (k + 1) // (count + 1)
                name = names[n * 7 % len(names)]
                line.display = f'"{name}" '
                c = line.invite(number, from_uri=f"sip:{CUSTOMERS[name]}@{line.domain}")
                self._visit(c, members[number], ago, late=n % 8 == 5, leaves=n % 9 == 7)
                n += 1

    def _visit(self, c, agents, ago, late=False, leaves=False):
        a = None
        while a is None:  # whose turn it is
            a = next((self.phone(x) for x in agents if self.phone(x).holds("INVITE")), None)
            time.sleep(0.01)
        a = a.incoming()
        a.reply(180)
        if leaves:
            time.sleep(0.2)
            c.hangup() if c.accepted else c.cancel()
            a.expect("CANCEL")
            return self._over(c, 300, ago)
        time.sleep(0.15 if late else 0)
        pick_up_queued(c, a)
        time.sleep(0.4 + 0.07 * (ago % 11))
        c.hangup()
        a.expect("BYE")
        return self._over(c, 200, ago)

    # -- what goes on ------------------------------------------------------------------------

    def _now(self):
        lab = self.lab
        case = lambda key: (("X-Case-ID", key),)
        pause = lambda part: time.sleep(part * self.settle)  # calls of different ages
        self.talks("Okafor and Sons", "Ines")
        pause(0.4)
        self.talks("Priya Raman", "Alice", case("20418"))
        pause(0.2)
        self.talks("Harbour Dental", "Carol", case("20433"))
        asking, _ = self.talks("Tomas Ferreira", "Grace")
        pause(0.2)
        moving, _ = self.talks("Jonas Lind", "Dan")
        held, _ = self.talks("Mei Park", "Erin")
        pause(0.2)
        c = asking
        self.post(c, "transfer", number=self.phone("Farid").number, kind="consult")
        b = self.phone("Farid").incoming()
        b.reply(180)
        b.answer()
        b.expect("ACK")
        self.post(held, "hold")
        ringing = self.calls_in("", self.phone("Hugo").number)
        self.phone("Hugo").incoming().reply(180)
        for name in ("Kofi", "Omar", "Bob"):
            self.phone(name)
        self.post(moving, "transfer", number=self.phone("Lucia").number)
        self.phone("Lucia").incoming().reply(180)
        self.early = [ringing, self.calls_in("Lena Petrova", "4001")]
        self.boss.post(f"/agents/{user('Nils')}/state", {"state": "away", "reason": "training"})
        self.phone("Nils")

    def end(self):
        for c in self.calls:
            c.hangup()
        for c in self.early:
            c.cancel()


def pick_up_queued(c, a):
    """The agent answers a caller who waits; segue has answered that one already, or does so now."""
    a.answer()
    c.expect(200, method="INVITE")
    c.ack()
    a.expect("ACK")
    joined(c, a)
