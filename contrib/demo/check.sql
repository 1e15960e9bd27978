-- One line per rule: ok or WRONG, what, and the values.
\set id '(select id from segue.conversations where sip_call_id = :\'call_id\')'
with c as (
	select c.*, k.owner from segue.conversations c left join segue.cases k on k.id = c.case_id
	where c.id = :id
), s as (
	select * from segue.segments where conversation_id = :id
), t as (
	select * from segue.transfers where conversation_id = :id
), verdict (n, good, what, value) as (
	select 1, count(*) = 1, 'one conversation, inbound and answered',
		string_agg(kind || ' ' || outcome, ', ')
		from c where kind = 'inbound' and outcome = 'answered'
	union all
	select 2, array_agg(who order by seq) = '{alice,bob}', 'segments: alice, then bob',
		string_agg(who, ', ' order by seq) from s
	union all
	select 3, min(talk_ms) > 1000, 'both talked with the customer',
		string_agg(talk_ms || ' ms', ', ' order by seq) from s
	union all
	select 4, count(*) = 1 and bool_and(kind = 'blind' and outcome = 'completed'
		and asked_via = 'sip_refer' and asker = 'alice' and target = 'bob'),
		'one blind transfer, asked by alice, to bob, completed',
		string_agg(kind || ' ' || asker || ' ' || target || ' ' || outcome, ', ') from t
	union all
	select 5, bool_and(owner = 'bob'), 'the case belongs to bob', string_agg(owner, ', ') from c
	union all
	select 6, bool_and(c.talk_ms = (select sum(talk_ms) from s)),
		'talk of the conversation is the sum of its segments', string_agg(c.talk_ms || ' ms', ', ')
		from c
	union all
	select 7, count(*) = 0, 'segue.check_ledger() finds nothing wrong',
		coalesce(string_agg(rule || ': ' || detail, '; '), '0 rows')
		from segue.check_ledger() where conversation_id = :id
)
select case when good then 'ok   ' else 'WRONG' end, what || ' (' || coalesce(value, 'none') || ')'
from verdict order by n;
