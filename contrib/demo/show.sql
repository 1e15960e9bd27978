-- What PostgreSQL says about the conversation whose first SIP Call-ID is :call_id.
\set id '(select id from segue.conversations where sip_call_id = :\'call_id\')'
\echo 'Conversation'
select kind, customer_number as customer, dialled, outcome, transferred, ended_by,
	round(total_ms / 1000.0, 1) as total_s, round(talk_ms / 1000.0, 1) as talk_s,
	case_owner
from segue.call_log where conversation_id = :id;
\echo 'Thread'
select s.seq, s.kind, coalesce(s.who, s.number) as who, round(s.ring_ms / 1000.0, 1) as ring_s,
	round(s.talk_ms / 1000.0, 1) as talk_s, round(s.hold_ms / 1000.0, 1) as hold_s, s.outcome,
	coalesce(t.kind || ' by ' || t.asker || ': ' || t.outcome, '') as came_by_transfer
from segue.segments s left join segue.transfers t on t.id = s.transfer_id_in
where s.conversation_id = :id order by s.seq;
\echo 'Timeline of the case'
select seq, to_char(at, 'HH24:MI:SS.MS') as at, type, actor, coalesce(via, '') as via,
	coalesce(segment_who, '') as segment, coalesce(transfer_target, '') as transfer_to
from segue.case_timeline where conversation_id = :id order by seq;
