"""The directory cache: refreshed by NOTIFY, started from its copy, unimpressed by bad rows."""
import os
import re
import stat
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dbtest  # noqa: E402
from dbtest import pg, tap, wait_for  # noqa: E402
from flows import one_day  # noqa: E402

PEOPLE = """
insert into segue.users (name, number, display_name) values ('alice', '101', 'Alice Ä.'), ('bob', '102', '');
insert into segue.queues (name, number, display_name) values ('support', '200', 'Support');
insert into segue.queue_members (queue, user_name) values ('support', 'alice');
insert into segue.ivrs (name, number, peer, dial) values ('menu', '300', 'pbx', '9300');
"""


def read(path):
    with open(path) as f:
        return f.read()


class Cache:
    """dirtool: what it delivers, and its log."""

    def __init__(self, conninfo, copy=None):
        if copy is None:
            copy = os.path.join(dbtest.directory("segue-dir-"), "copy")
        self.copy, self.lines, self.log = copy, [], []
        self.p = subprocess.Popen([dbtest.program("dirtool"), conninfo, copy], text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
        self.threads = [threading.Thread(target=self._read, args=a, daemon=True)
                        for a in ((self.p.stdout, self.lines), (self.p.stderr, self.log))]
        for t in self.threads:
            t.start()
        tap.at_end(self.end)

    @staticmethod
    def _read(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def say(self, word):
        self.p.stdin.write(word + "\n")
        self.p.stdin.flush()

    def wait(self, pattern, start=0, timeout=20):
        """The first line from number `start` on that matches."""
        try:
            return wait_for(pattern, lambda: next(
                (x for x in list(self.lines[start:]) if re.search(pattern, x)), None), timeout)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.lines}\n{self.log}")

    def end(self):
        if self.p.poll() is None:
            self.p.stdin.close()
            assert self.p.wait(20) == 0
        for t in self.threads:
            t.join(10)

    def rows(self):
        return sorted(x for x in self.lines if not x.startswith("synced"))


@tap.case("everything is delivered, users and queues before their members, and copied to a file")
def delivered(lab):
    db = lab.database()
    db.rows(PEOPLE + "update segue.users set contact = 'sip:101@192.0.2.9' where name = 'alice';"
            "select segue.set_sip_password('bob', 'x');"
            "update segue.users set enabled = false, may_transfer = false where name = 'bob'")
    c = Cache(db.conninfo)
    c.wait("synced database")
    md5, sha = db.rows("select ha1_md5, left(ha1_sha256, 8) from segue.users where name = 'bob'")[0]
    assert c.lines == [
        "user alice number=101 name=Alice Ä. enabled=1 may_transfer=1 contact=sip:101@192.0.2.9 "
        "md5= sha256= role=agent voicemail= may_dial=",
        f"user bob number=102 name= enabled=0 may_transfer=0 contact= md5={md5} sha256={sha} "
        "role=agent voicemail= may_dial=",
        "queue support number=200 name=Support voicemail= longest_idle ring=0 retry=0 wrapup=0 max=0/0 "
        "weight=0 service=20000 widen=0 boost=0 keep=1 join=logged_out leave=logged_out entry=answer "
        "music= overflow=", "ivr menu number=300 peer=pbx dial=9300 digits=",
        "member support alice level=1 order=0 weight=1", "synced database"], c.lines
    wait_for("the copy", lambda: os.path.exists(c.copy))
    assert stat.S_IMODE(os.stat(c.copy).st_mode) == 0o600
    c.say("trouble")
    c.wait("trouble none")


@tap.case("each change is delivered as the rows that differ, soon")
def changes(lab):
    db = lab.database()
    db.rows(PEOPLE)
    c = Cache(db.conninfo)
    c.wait("synced database")
    for sql, expected in [
            ("update segue.users set number = '109' where name = 'alice'", ["user alice number=109"]),
            ("insert into segue.queue_members (queue, user_name) values ('support', 'bob')", ["member support bob"]),
            ("delete from segue.ivrs", ["ivr gone menu"]),
            ("insert into segue.users (name) values ('carol'), ('dave')",
             ["user carol number= ", "user dave number= "]),
            ("update segue.users set role = 'supervisor', voicemail = '8101', may_dial = "
             "'{premium,national}' where name = 'alice'",
             ["user alice number=109 name=Alice Ä. enabled=1 may_transfer=1 contact= md5= sha256= "
              "role=supervisor voicemail=8101 may_dial=premium,national"]),
            ("update segue.users set may_dial = '{}' where name = 'dave'", ["user dave number= name= "
             "enabled=1 may_transfer=1 contact= md5= sha256= role=agent voicemail= may_dial=-"]),
            ("update segue.queues set voicemail = '8200'",
             ["queue support number=200 name=Support voicemail=8200"]),
            ("insert into segue.number_classes (name, pattern) values ('premium', '+49900.')",
             ["class premium \\+49900. roles=0 by_name=1"]),
            ("update segue.number_classes set roles = '{admin,supervisor}'",
             ["class premium \\+49900. roles=6 by_name=0"]),
            ("update segue.number_classes set roles = '{}'",
             ["class premium \\+49900. roles=0 by_name=0"]),
            ("delete from segue.number_classes", ["class gone premium \\+49900."]),
            ("insert into segue.queue_overflow values ('support', 2, 'voicemail', '*86'), "
             "('support', 1, 'queue', 'sales')", ["queue support .*overflow=queue:sales,voicemail:\\*86$"]),
            ("update segue.settings set value = '15000' where key = 'service_level_ms'",
             ["queue support .* service=15000 "]),
            ("update segue.queues set strategy = 'skills', ring_ms = 12000, retry_ms = 3000, "
             "wrapup_ms = 30000, max_wait_ms = 60000, max_length = 7, weight = 9, service_ms = 10000, "
             "widen_ms = 4000, boost_ms = 5000, keep_wait = false, join_empty = 'never', "
             "leave_empty = 'away', entry = 'ring', music = 'jazz'",
             ["queue support number=200 name=Support voicemail=8200 skills ring=12000 retry=3000 wrapup=30000 "
              "max=60000/7 weight=9 service=10000 widen=4000 boost=5000 keep=0 join=never leave=away "
              "entry=ring music=jazz overflow=queue:sales,voicemail:\\*86$"]),
            ("update segue.queues set entry = 'early', announce = 'en', announce_after_ms = 2000, "
             "announce_every_ms = 0", ["queue support .*entry=early music=jazz announce=en/2000/0 overflow="]),
            ("update segue.queue_members set level = 2, position = 5, weight = 3 "
             "where user_name = 'bob'", ["member support bob level=2 order=5 weight=3"]),
            ("insert into segue.user_skills values ('bob', 'french', 4)", ["skill bob french level=4"]),
            ("insert into segue.queue_skills values ('support', 'french', 5, 2)",
             ["need support french level=5 floor=2"]),
            ("insert into segue.agent_states (user_name, intent, reason, since) values "
             "('bob', 'away', 'lunch', '2026-01-01 12:00:00.000001+00')",
             ["agent bob away reason=lunch via=system by= hand=1 since=1767268800000001"]),
            ("delete from segue.agent_states; delete from segue.queue_skills; "
             "delete from segue.user_skills", ["need gone support french", "skill gone bob french",
                                               "agent gone bob"]),
            ("delete from segue.queues", ["member gone support bob", "member gone support alice",
                                          "queue gone support"]),
            ("delete from segue.users where name = 'bob'; insert into segue.users (name, "
             "number) values ('bobby', '102')", ["user gone bob", "user bobby number=102"]),
            ("truncate segue.users cascade", ["user gone dave", "user gone carol", "user gone bobby",
                                              "user gone alice"])]:
        start = len(c.lines)
        db.rows(f"begin; {sql}; commit")  # one change: how fast psql gets on with a list is not asked
        c.wait("synced database", start)  # not an hour later
        got = [x for x in c.lines[start:] if not x.startswith("synced")]
        assert len(got) == len(expected) and all(re.match(e, g) for g, e in zip(got, expected)), \
            f"{sql}: {got}"
    wait_for("an empty copy", lambda: read(c.copy) == "segue directory 2\nend\t0\n")


@tap.case("no database: it starts from the copy, and catches up when the database is back")
def from_copy(lab):
    with pg.Cluster() as cluster:
        cluster.createdb()
        assert dbtest.migrate(cluster, "segue").returncode == 0
        db = dbtest.Database(cluster, "segue")
        db.rows(PEOPLE)
        first = Cache(db.conninfo)
        first.wait("synced database")
        wait_for("the copy", lambda: os.path.exists(first.copy))
        cluster.stop()
        wait_for("complaint", lambda: [x for x in first.log if "directory_away" in x])
        second = Cache(db.conninfo, first.copy)
        second.wait("synced file")
        assert second.rows() == first.rows()
        second.say("trouble")
        second.wait("trouble (?!none).*(connect|socket)")
        cluster.start()
        db.rows("update segue.users set display_name = 'Robert' where name = 'bob'")
        for c in (first, second):
            c.wait("user bob .*name=Robert")
        second.say("trouble")
        second.wait("trouble none")
        assert [x for x in second.lines if x.startswith("user alice")] == [
            x for x in first.lines if x.startswith("user alice")], "told once, from the copy"


def at(db, text):
    """The instant in UTC microseconds."""
    return int(db.value(f"select (extract(epoch from {text}) * 1000000)::bigint"))


@tap.case("the hours of queues are delivered as instants of the next two weeks, and kept in the copy")
def hours(lab):
    one_day()
    with pg.Cluster() as cluster:
        cluster.createdb()
        assert dbtest.migrate(cluster, "segue").returncode == 0
        db = dbtest.Database(cluster, "segue")
        db.rows(PEOPLE + "insert into segue.queues (name, time_zone) values ('night', 'Europe/Berlin');"
                "insert into segue.queue_hours select 'night', d, '20:00', '06:00' from generate_series(1, 7) d")
        c = Cache(db.conninfo)
        c.wait("synced database")
        (line,) = [x for x in c.lines if x.startswith("hours")]  # support has none
        today = "date_trunc('day', now(), 'UTC')"
        later = {n: at(db, f"{today} + interval '{n} min'") for n in (0, 2820, 2850, 2880, 21600)}
        expected = ",".join(f"{a}-{b}" for a, b in db.rows(
            "select (extract(epoch from opens) * 1000000)::bigint, (extract(epoch from closes) * 1000000)::bigint "
            f"from segue.queue_openings('night', {today}, {today} + interval '15 days')"))
        assert line == f"hours night zone=Europe/Berlin until={later[21600]} open={expected}", line
        assert c.lines.index(line) < c.lines.index("ivr menu number=300 peer=pbx dial=9300 digits=")
        for sql, want in [
                ("update segue.queues set time_zone = 'UTC' where name = 'night'",
                 f"hours night zone=UTC .*open={later[0]}-"),
                ("insert into segue.queue_exceptions select 'night', generate_series(current_date - 2, "
                 "current_date + 17, interval '1 day')", "hours night .*open=$"),
                ("delete from segue.queue_exceptions; delete from segue.queue_hours", "hours gone night"),
                ("insert into segue.queue_exceptions values ('support', current_date + 400)",
                 f"hours support zone=UTC until=(\\d+) open={later[0]}-\\1$"),
                ("delete from segue.queue_exceptions; insert into segue.queue_hours select 'night', d, "
                 "make_time(h, 0, 0), make_time(h, 30, 0) from generate_series(1, 7) d, generate_series(0, 23) h",
                 # two days of 24: then no more fit, and no more is known
                 f"hours night zone=UTC until={later[2880]} open={later[0]}-[-,\\d]+,"
                 f"{later[2820]}-{later[2850]}$")]:
            start = len(c.lines)
            db.rows(f"begin; {sql}; commit")
            c.wait(want, start)
        wait_for("the copy", lambda: "hours\tnight" in read(c.copy))
        cluster.stop()
        wait_for("complaint", lambda: [x for x in c.log if "directory_away" in x])
        again = Cache(db.conninfo, c.copy)
        again.wait("synced file")
        assert [x for x in again.lines if x.startswith("hours")] == [
            [x for x in c.lines if x.startswith("hours night")][-1]], again.lines


@tap.case("a session that is cut is opened again, and nothing is missed meanwhile")
def cut(lab):
    db = lab.database()
    db.rows(PEOPLE)
    c = Cache(db.conninfo)
    c.wait("synced database")
    db.rows("select pg_terminate_backend(pid) from pg_stat_activity where datname = "
            "current_database() and application_name = 'segued';"
            "insert into segue.users (name) values ('erin')")
    c.wait("user erin")


@tap.case("rows that make no sense are left out, each with one log line; the others are in force")
def bad_rows(lab):
    db = lab.database()
    db.rows("""
        alter table segue.users drop constraint users_name_valid,
            drop constraint users_number_valid, drop constraint users_ha1_md5_valid,
            drop constraint users_number_unique, drop constraint users_contact_valid;
        alter table segue.queue_members drop constraint queue_members_queue_exists,
            drop constraint queue_members_user_exists;
        alter table segue.ivrs drop constraint ivrs_peer_valid;
        alter table segue.queues drop constraint queues_strategy_valid,
            drop constraint queues_ring_ms_from_1_s_to_10_min, drop constraint queues_join_empty_valid,
            drop constraint queues_entry_valid, drop constraint queues_music_valid;
        alter table segue.queue_overflow drop constraint queue_overflow_kind_valid;
        alter table segue.agent_states drop constraint agent_states_intent_valid;
        alter table segue.user_skills drop constraint user_skills_skill_valid,
            drop constraint user_skills_level_from_1_to_100;
        alter table segue.queue_skills drop constraint queue_skills_queue_exists;
        insert into segue.users (name, number) values ('', '110'), ('a b', '111'), ('zoe', '1 2'),
            (E'new\\nline', '112'), ('yan', '101');
        insert into segue.users (name, ha1_md5) values ('xie', 'plain text');
        insert into segue.users (name, contact) values ('wim', '192.0.2.1');
        insert into segue.queue_members values ('nowhere', 'alice'), ('support', 'nobody');
        insert into segue.ivrs (name, number, peer, dial) values ('broken', '301', '', '1');
        insert into segue.queues (name, number) values ('clash', '102');
        insert into segue.queues (name, strategy) values ('q1', 'best');
        insert into segue.queues (name, ring_ms) values ('q2', -1);
        insert into segue.queues (name, join_empty) values ('q3', 'sometimes');
        insert into segue.queues (name, entry) values ('q4', 'never');
        insert into segue.queues (name, music) values ('q5', 'a b');
        insert into segue.queues (name) values ('q6');
        insert into segue.queue_overflow values ('q6', 1, 'moon', '1');
        """ + PEOPLE + """
        insert into segue.agent_states (user_name, intent) values ('alice', 'asleep');
        insert into segue.user_skills values ('alice', 'a b', 1), ('bob', 'french', -1);
        insert into segue.queue_skills values ('nowhere', 'french');
        """)
    c = Cache(db.conninfo)
    c.wait("synced database")
    assert [x.split(" number")[0].split(" level")[0] for x in c.rows()] == [
        "ivr menu", "member support alice", "queue support", "user alice", "user bob"], c.rows()

    def complaints():
        return [x for x in c.log if "directory_row" in x]

    expected = [r'user \\"\\" is left out: name \\"\\": expected', r'user \\"a b\\"',
                r'user \\"zoe\\".*number \\"1 2\\": expected', r'control characters',
                r'user \\"yan\\".*number \\"101\\": is that of user alice already',
                r'user \\"xie\\".*ha1_md5 .*: expected 32 hex digits',
                r'user \\"wim\\".*contact \\"192.0.2.1\\": expected a SIP URI',
                r'member \\"nowhere\\".*queue \\"nowhere\\": expected the name of a queue',
                r'member \\"support\\".*user_name \\"nobody\\": expected the name of a user',
                r'ivr \\"broken\\".*peer \\"\\": expected',
                r'queue \\"clash\\".*number \\"102\\": is that of user bob already',
                r'queue \\"q1\\".*strategy \\"best\\": expected one of',
                r'queue \\"q2\\".*ring_ms \\"-1\\": expected a whole number from 0 to',
                r'queue \\"q3\\".*join_empty \\"sometimes\\": expected logged_out, away or never',
                r'queue \\"q4\\".*entry \\"never\\": expected answer, ring or early',
                r'queue \\"q5\\".*music \\"a b\\": expected',
                r'queue \\"q6\\".*overflow \\"moon:1\\": expected kind:target',
                r'agent \\"alice\\".*intent \\"asleep\\": expected available, away or logged_out',
                r'skill \\"alice\\".*skill \\"a b\\": expected',
                r'skill \\"bob\\".*level \\"-1\\": expected a whole number',
                r'need \\"nowhere\\".*queue \\"nowhere\\": expected the name of a queue']
    wait_for("complaints", lambda: len(complaints()) == len(expected))
    for pattern in expected:
        assert len([x for x in complaints() if re.search(pattern, x)]) == 1, \
            f"{pattern}: {complaints()}"
    assert "plain text" not in "".join(c.log), "what may be a password is not for the log"
    start = len(c.lines)
    c.say("refresh")
    c.wait("synced database", start)
    assert len(complaints()) == len(expected), "told once, not with every reading"
    db.rows("delete from segue.users where name = ''; insert into segue.users (name) values ('frank')")
    c.wait("user frank")


@tap.case("a damaged copy is refused with a log line, and the database is used")
def damaged_copy(lab):
    db = lab.database()
    db.rows(PEOPLE)
    c = Cache(db.conninfo)
    c.wait("synced database")
    wait_for("the copy", lambda: os.path.exists(c.copy))
    c.end()
    whole = read(c.copy)
    for text in ["", "nonsense\n", whole[:-7], whole.replace("alice\t101", "alice"),
                 whole.replace("end\t5", "end\t4"), whole.replace("support\talice", "support\tzed"),
                 whole.replace("end\t5", "hours\tsupport\t9\t1-2 2-1\tUTC\nend\t6"),
                 whole.replace("end\t5", "hours\tsupport\t9\t3-4 1-2\tUTC\nend\t6"),
                 whole.replace("end\t5", "hours\tsupport\tsoon\t\tUTC\nend\t6"),
                 whole.replace("end\t5", "hours\tsupport\t9\t" + " ".join(
                     f"{2 * i}-{2 * i + 1}" for i in range(49)) + "\tUTC\nend\t6"),
                 whole.replace("end\t5", "hours\tsales\t9\t\tUTC\nend\t6"),
                 whole.replace("end\t5", "hours\tsupport\t9\t\t" + 48 * "z" + "\nend\t6"),
                 "segue directory 1\nend\t0\n"]:
        with open(c.copy, "w") as f:
            f.write(text)
        again = Cache(db.conninfo, c.copy)
        again.wait("synced database")
        assert "synced file" not in again.lines, text
        again.end()
        assert [x for x in again.log if "directory_copy" in x and "no whole copy" in x], again.log


@tap.case("no schema: trouble is told, and the tables are found once they are there")
def no_schema(lab):
    db = lab.database(empty=True)
    c = Cache(db.conninfo)
    wait_for("complaint", lambda: [x for x in c.log if "directory_away" in x and "segue.users" in x])
    assert dbtest.migrate(lab.cluster, db.name).returncode == 0
    c.wait("synced database")


tap.main(dbtest.Lab)
