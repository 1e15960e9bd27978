"""The schema: applied once however often it is asked for, commented, strict about bad rows."""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dbtest  # noqa: E402
from dbtest import tap  # noqa: E402


@tap.case("migrations applied twice: the second time changes nothing")
def twice(lab):
    db = lab.database(empty=True)
    first, second = dbtest.migrate(lab.cluster, db.name), dbtest.migrate(lab.cluster, db.name)
    assert first.returncode == 0 and second.returncode == 0, first.stderr + second.stderr
    assert "001-directory.sql: applied" in first.stdout, first.stdout
    assert "applied" not in second.stdout and "001-directory.sql: in place" in second.stdout
    n = max(int(f[:3]) for f in os.listdir(dbtest.SQL) if f[:3].isdigit())
    assert f"version={n}" in second.stdout, second.stdout
    files = [f for f in os.listdir(dbtest.SQL) if f[:3].isdigit()]
    assert db.value("select count(*) from segue.migrations") == str(len(files))


@tap.case("migrations applied by two at once")
def at_once(lab):
    db = lab.database(empty=True)
    args = [dbtest.program("ledgertool"), "migrate", dbtest.SQL, db.conninfo]
    both = [subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)]
    out = [p.communicate(timeout=60) for p in both]
    assert [p.returncode for p in both] == [0, 0], out
    assert sum(o[0].count(": applied") for o in out) == int(
        db.value("select count(*) from segue.migrations")), out


@tap.case("a migration that fails names file and line, and leaves nothing behind")
def broken(lab):
    db = lab.database(empty=True)
    with tempfile.TemporaryDirectory() as d:
        for f in os.listdir(dbtest.SQL):
            shutil.copy(os.path.join(dbtest.SQL, f), d)
        with open(os.path.join(d, "900-broken.sql"), "w") as f:
            f.write("CREATE TABLE segue.half (a int);\n\nCREATE TABLE segue.other (a nosuchtype);\n")
        p = dbtest.migrate(lab.cluster, db.name, d)
    assert p.returncode == 1, p.stdout
    assert "900-broken.sql:3: type \"nosuchtype\" does not exist" in p.stderr, p.stderr
    assert db.value("select to_regclass('segue.half') is null") == "t"
    assert db.value("select max(version) < 900 from segue.migrations") == "t"


@tap.case("migrating without files, or without a database, says what is wrong")
def nothing_there(lab):
    db = lab.database(empty=True)
    with tempfile.TemporaryDirectory() as d:
        p = dbtest.migrate(lab.cluster, db.name, d)
        assert p.returncode and "no files NNN-name.sql" in p.stderr, p.stderr
    p = dbtest.migrate(lab.cluster, db.name, "/nonexistent")
    assert p.returncode and "/nonexistent: No such file" in p.stderr, p.stderr
    p = dbtest.migrate(lab.cluster, "no_such_database")
    assert p.returncode and "no_such_database" in p.stderr, p.stderr
    p = subprocess.run([dbtest.program("ledgertool"), "migrate", "/nonexistent", db.conninfo],
                       capture_output=True, text=True, timeout=60)
    assert "version=-1" in p.stdout, p.stdout


@tap.case("every table, view and column of a table is commented")
def comments(lab):
    db = lab.database()
    assert db.rows("""
        select c.relname, a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid
        where c.relnamespace = 'segue'::regnamespace and c.relkind = 'r' and a.attnum > 0
        and col_description(c.oid, a.attnum) is null""") == []
    assert db.rows("""
        select relname from pg_class c where c.relnamespace = 'segue'::regnamespace
        and c.relkind in ('r', 'v') and obj_description(c.oid, 'pg_class') is null""") == []
    assert db.rows("""
        select proname from pg_proc p where p.pronamespace = 'segue'::regnamespace
        and obj_description(p.oid, 'pg_proc') is null""") == []


@tap.case("docs/tables.md is what contrib/print-tables prints")
def tables_page(lab):
    p = subprocess.run([sys.executable, os.path.join(dbtest.SRC, "contrib", "print-tables"),
                        lab.database().conninfo], capture_output=True, text=True, timeout=60)
    assert p.returncode == 0, p.stderr
    with open(os.path.join(dbtest.SRC, "docs", "tables.md")) as f:
        assert p.stdout == f.read(), "run: contrib/print-tables > docs/tables.md"


@tap.case("durations are bigint and end in _ms, times are timestamptz")
def types(lab):
    db = lab.database()
    columns = "from information_schema.columns where table_schema = 'segue'"
    assert db.rows(f"select table_name, column_name, data_type {columns} and ("
                   "(column_name like '%\\_ms' and data_type <> 'bigint') or "
                   "(column_name like '%\\_at' and data_type <> 'timestamp with time zone') or "
                   "data_type in ('interval', 'timestamp without time zone', 'real'))") == []
    assert int(db.value(f"select count(*) {columns} and column_name like '%\\_ms'")) > 20


@tap.case("a SIP password is kept as digests only, for the realm of segue.settings")
def password(lab):
    db = lab.database()
    db.rows("insert into segue.users (name, number) values ('alice', '101'), ('bob', '102')")
    db.rows("select segue.set_sip_password('alice', 'it''s secret', 'example.com')")
    text = b"alice:example.com:it's secret"
    assert db.rows("select ha1_md5, ha1_sha256 from segue.users where name = 'alice'") == [
        (hashlib.md5(text).hexdigest(), hashlib.sha256(text).hexdigest())]
    db.rows("select segue.set_sip_password('bob', 'x')")
    assert db.value("select ha1_md5 from segue.users where name = 'bob'") == \
        hashlib.md5(b"bob:example.com:x").hexdigest()
    db.fails("select segue.set_sip_password('bob', 'x', 'other')", 'realm "other": .*"example.com"')
    db.fails("select segue.set_sip_password('nobody', 'x')", 'user "nobody" does not exist')
    db.fails("select segue.set_sip_password('bob', '')", 'user "bob": the password is empty')


@tap.case("rows that make no sense are refused by name of the rule")
def refused(lab):
    db = lab.database()
    db.rows("insert into segue.users (name, number) values ('alice', '101');"
            "insert into segue.queues (name, number) values ('support', '200')")
    for sql, rule in [
            ("users (name) values ('')", "users_name_valid"),
            ("users (name) values (null)", 'null value in column "name"'),
            ("users (name) values ('a b')", "users_name_valid"),
            ("users (name, number) values ('bob', '101')", "users_number_unique"),
            ("users (name, number) values ('bob', '')", "users_number_valid"),
            ("users (name, role) values ('bob', 'god')", "users_role_valid"),
            ("users (name, contact) values ('bob', '192.0.2.1')", "users_contact_valid"),
            ("users (name, ha1_md5) values ('bob', 'plain')", "users_ha1_md5_valid"),
            ("users (name, display_name) values ('bob', E'a\\nb')", "users_display_name_valid"),
            ("queues (name, number) values ('sales', '200')", "queues_number_unique"),
            ("queues (name, strategy) values ('sales', 'best')", "queues_strategy_valid"),
            ("queues (name, ring_ms) values ('sales', 20)", "queues_ring_ms_from_1_s_to_10_min"),
            ("queues (name, retry_ms) values ('sales', 0)", "queues_retry_ms_from_1_s_to_10_min"),
            ("queues (name, max_length) values ('sales', 0)", "queues_max_length_from_1_to_100000"),
            ("queues (name, join_empty) values ('sales', 'no')", "queues_join_empty_valid"),
            ("queues (name, leave_empty) values ('sales', 'no')", "queues_leave_empty_valid"),
            ("queues (name, entry) values ('sales', 'never')", "queues_entry_valid"),
            ("queues (name, music) values ('sales', 'a b')", "queues_music_valid"),
            ("queues (name, service_goal) values ('sales', 0)", "queues_service_goal_from_1_to_100"),
            ("queue_members values ('support', 'alice', 0)", "queue_members_level_from_1_to_100"),
            ("user_skills values ('alice', 'a b')", "user_skills_skill_valid"),
            ("user_skills values ('bob', 'french')", "user_skills_user_exists"),
            ("queue_skills values ('support', 'french', 2, 3)", "queue_skills_floor_from_0_to_level"),
            ("queue_overflow values ('support', 7, 'user', 'alice')",
             "queue_overflow_position_from_1_to_6"),
            ("queue_overflow values ('support', 1, 'moon', '1')", "queue_overflow_kind_valid"),
            ("queue_overflow values ('support', 1, 'queue', 'support')",
             "queue_overflow_not_to_itself"),
            ("agent_states (user_name, intent) values ('alice', 'asleep')",
             "agent_states_intent_valid"),
            ("agent_states (user_name, intent, reason) values ('alice', 'available', 'x')",
             "agent_states_reason_only_of_away"),
            ("queue_members values ('sales', 'alice')", "queue_members_queue_exists"),
            ("queue_members values ('support', 'bob')", "queue_members_user_exists"),
            ("ivrs (name, number, peer, dial) values ('menu', '300', '', '300')", "ivrs_peer_valid"),
            ("number_classes (name, pattern) values ('x', '')", "number_classes_pattern_valid"),
            ("number_classes (name, pattern) values ('Premium', '1')", "number_classes_name_valid"),
            ("number_classes values ('x', '1', '{boss}')", "number_classes_roles_valid"),
            ("users (name, voicemail) values ('bob', 'a b')", "users_voicemail_valid"),
            ("users (name, may_dial) values ('bob', '{premium,null}')", "users_may_dial_valid"),
            ("queues (name, voicemail) values ('sales', '')", "queues_voicemail_valid"),
            ("ivrs (name, number, peer, dial, digits) values ('menu', '300', 'pbx', '300', '1x')",
             "ivrs_digits_valid"),
            ("api_tokens (token_sha256, name) values ('x', 'crm')", "api_tokens_hash_valid")]:
        db.fails("insert into segue." + sql, rule)


@tap.case("a choice of an agent is told once; a statement that changes none is silent")
def told(lab):
    db = lab.database()
    db.rows("insert into segue.users (name) values ('alice')")

    def notified(intent):
        upsert = (f"insert into segue.agent_states as a (user_name, intent) values ('alice', '{intent}') "
                  "on conflict (user_name) do update set intent = excluded.intent "
                  "where a.intent <> excluded.intent;")
        p = subprocess.run(["psql", "-X", "-q", db.conninfo], input=f"listen segue_directory; {upsert} "
                           "select 1;", capture_output=True, text=True, timeout=60)
        assert p.returncode == 0 and not p.stderr, p.stderr
        return p.stdout.count("Asynchronous notification")

    assert [notified(i) for i in ("away", "away", "available", "available")] == [1, 0, 1, 0]


@tap.case("the demo directory can be applied twice")
def demo(lab):
    db = lab.database()
    with open(os.path.join(dbtest.SQL, "demo.sql")) as f:
        text = f.read()
    for word in ("one", "it's two"):
        db.rows(text, alice_password=word, bob_password="b", carol_password="c")
    assert db.rows("select name, number, ha1_md5 is not null from segue.users order by 1") == [
        ("alice", "101", "t"), ("bob", "102", "t"), ("carol", "103", "t")]
    assert db.value("select ha1_md5 from segue.users where name = 'alice'") == \
        hashlib.md5(b"alice:segue:it's two").hexdigest()
    assert db.value("select count(*) from segue.queue_members") == "3"
    assert db.rows("select number, peer from segue.ivrs") == [("300", "pbx")]


tap.main(dbtest.Lab)
