-- Flows: definitions of kind flow. A row is a revision, its spec {namespace, id, revision, disabled, description?,
-- document, source?}; one that says that the flow is deleted has the number of the last revision, and no document.

-- name: lock_definitions
-- Lets one transaction at a time put definitions; who reads them goes on.
lock table taskrpc.definition in share row exclusive mode;

-- name: put_flow
-- Adds a revision of a flow, or the row that says it is deleted. $1 name, $2 spec, $3 is deleted.
insert into taskrpc.definition (name, kind, spec, deleted, created_at)
values ($1, 'flow', $2::json, $3, taskrpc.now())
returning *;

-- name: flow_rev
-- The number of the row that a flow is now, or that a revision of it is, also if it was deleted since. $1 name,
-- $2 revision, or null for the newest.
select rev from (
    select * from taskrpc.definition
    where name = $1 and ($2::int is null or (kind = 'flow' and not deleted and (spec ->> 'revision')::int = $2))
    order by rev desc limit 1
) newest where kind = 'flow' and not deleted;

-- name: flow_by_rev
-- The flow that a row is. $1 its number.
select * from taskrpc.definition where rev = $1 and kind = 'flow' and not deleted;

-- name: flows
-- All flows by their names, without their documents. $1 namespace, or null for all, $2 names, or null for all.
select rev, name, created_at, json_strip_nulls(json_build_object(
    'namespace', spec -> 'namespace', 'id', spec -> 'id', 'revision', spec -> 'revision',
    'disabled', spec -> 'disabled', 'description', spec -> 'description'
)) as spec
from (select distinct on (name) * from taskrpc.definition where rev > 0 order by name, rev desc) newest
where kind = 'flow' and not deleted
  and ($1::text is null or spec ->> 'namespace' = $1) and ($2::text[] is null or name = any($2))
order by name;

-- name: put_flow_triggers
-- Makes the triggers of a flow what they are now; one that says the same stays stopped if it is, and
-- keeps what was met of its preconditions. $1 flow; arrays:
-- $2 ids, $3 types, $4 specs.
with gone as (
    delete from taskrpc.flow_trigger where flow = $1 and id <> all($2::text[])
)
insert into taskrpc.flow_trigger as t (flow, id, type, spec)
select $1, x.id, x.type, x.spec::json from unnest($2::text[], $3::text[], $4::text[]) x (id, type, spec)
on conflict (flow, id) do update set type = excluded.type, spec = excluded.spec,
    stopped_at = case when t.spec::text = excluded.spec::text then t.stopped_at end,
    met = case when t.spec::text = excluded.spec::text then t.met else excluded.met end
returning id, stopped_at is not null as stopped;

-- name: flow_listeners
-- Triggers that listen to other flows. Without parameters.
select flow, id from taskrpc.flow_trigger where type = 'Flow' and stopped_at is null order by flow, id;

-- name: webhooks_of_flow
-- The addresses of a flow that can be called. $1 flow.
select id from taskrpc.flow_trigger where flow = $1 and type = 'Webhook' and stopped_at is null order by id;

-- name: is_trigger_stopped
-- Whether a trigger of a flow starts nothing any more. $1 flow, $2 id.
select stopped_at is not null as stopped from taskrpc.flow_trigger where flow = $1 and id = $2;

-- name: hold_met
-- What was met of the preconditions of a trigger; nobody else changes it until the transaction ends. $1 flow, $2 id.
select spec, met from taskrpc.flow_trigger where flow = $1 and id = $2 and stopped_at is null for update;

-- name: put_met
-- Says what is met of the preconditions of a trigger, which the transaction holds. $1 flow, $2 id, $3 what is met.
update taskrpc.flow_trigger set met = $3::json where flow = $1 and id = $2;

-- name: stop_trigger
-- Has a trigger start nothing any more, until it is changed; its rule has no next tick then. $1 flow, $2 id, $3 why.
with stopped as (
    update taskrpc.flow_trigger set stopped_at = taskrpc.now() where flow = $1 and id = $2 and stopped_at is null
)
update taskrpc.scheduler_rule set next_at = null, skipped = json_build_object(
    'tick', taskrpc.rfc3339(next_at), 'type', 'stopped', 'message', $3::text)
where flow = $1 and trigger = $2 and next_at is not null;

-- name: requester
-- Who asked for a task or workflow. $1 id.
select requester from taskrpc.task where id = $1;
