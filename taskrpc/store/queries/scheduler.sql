-- The scheduler's rules and their ticks. A rule's row is locked while one of its ticks is judged, and its next tick is
-- written with what was started: so each tick is judged once, by one server.

-- name: clock
-- The time, by the database's clock.
select taskrpc.now() as now;

-- name: put_scheduler_rule
-- Adds a rule or replaces it; one that says the same is not changed, and one with the same ticks keeps its next one, unless
-- the clock was ahead when that was found out.
-- The rule of a flow's trigger is left alone by who is not that flow, and that of nobody by flows.
-- $1 id, $2 spec, $3 its next tick, $4 a new rule fires at once, $5 the flow that it belongs to, or null, $6 its trigger.
insert into taskrpc.scheduler_rule as r (id, spec, created_at, updated_at, next_at, flow, trigger)
values ($1, $2::json, taskrpc.now(), taskrpc.now(), case when $4 then taskrpc.now() else $3::timestamptz end, $5, $6)
on conflict (id) do update set
    spec = excluded.spec,
    version = r.version + (r.spec::text <> excluded.spec::text)::integer,
    updated_at = case when r.spec::text <> excluded.spec::text then excluded.updated_at else r.updated_at end,
    next_at = case
        when (r.spec ->> 'schedule', r.spec ->> 'timezone') = (excluded.spec ->> 'schedule', excluded.spec ->> 'timezone')
        then least(r.next_at, $3) else $3 end
where r.flow is not distinct from excluded.flow
returning *;

-- name: scheduler_rules
-- All rules, or one. $1 its id, or null.
select * from taskrpc.scheduler_rule where $1::text is null or id = $1 order by id;

-- name: delete_scheduler_rule
-- Deletes a rule of nobody's; what it has started goes on. $1 id.
delete from taskrpc.scheduler_rule where id = $1 and flow is null;

-- name: delete_rules_of_flow
-- Deletes the rules of a flow's triggers, but some. $1 flow, $2 ids of those that stay.
delete from taskrpc.scheduler_rule where flow = $1 and id <> all($2::text[]);

-- name: due_rules
-- Rules with a tick that has come and need not wait, the most overdue first. $1 most rules, $2 rules that are left out.
select id from taskrpc.scheduler_rule r
where next_at <= taskrpc.now() and id <> all($2::text[]) and not taskrpc.has_to_wait(r)
order by next_at, id limit $1;

-- name: take_due_rule
-- Locks a rule whose tick has come, unless another server has it already. $1 id.
select *, taskrpc.now() as now from taskrpc.scheduler_rule where id = $1 and next_at <= taskrpc.now()
for update skip locked;

-- name: take_rule
-- Locks a rule that somebody wants to run. $1 id.
select * from taskrpc.scheduler_rule where id = $1 for update;

-- name: status_of_started
-- The status of what a rule started last, as a statement of its own: only one that begins after the rule is locked sees
-- what the lock's former holder has started. $1 the rule's id.
select t.status from taskrpc.scheduler_rule r join taskrpc.task t on t.id = r.started ->> 'id' where r.id = $1;

-- name: note_fire
-- Notes what a rule has started. $1 id, $2 its next tick, $3 the tick that fired (or null), $4 {id, resourceType}.
update taskrpc.scheduler_rule set next_at = $2, fired_at = taskrpc.now(), fired_tick = $3, started = $4 where id = $1;

-- name: note_skip
-- Notes why a tick has started nothing. $1 id, $2 the rule's next tick, $3 {tick, type, message}.
update taskrpc.scheduler_rule set next_at = $2, skipped = $3 where id = $1;

-- name: next_tick
-- How many seconds remain until the next tick of any rule that need not wait; null when there is none. $1 rules that are
-- left out.
select extract(epoch from min(next_at) - taskrpc.now())::float8 as seconds
from taskrpc.scheduler_rule r where next_at is not null and id <> all($1::text[]) and not taskrpc.has_to_wait(r);
