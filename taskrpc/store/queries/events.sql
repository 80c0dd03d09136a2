-- Events, and those who listen for them. An event is kept from the transaction in which it happens until the one in which
-- everybody who listens was told of it.

-- name: publish
-- Keeps published resources for which somebody may listen. $1 ids of the events, $2 resources, $3 bytes.
insert into taskrpc.occurrence (id, at, keys, bytes, resource)
select x.id, taskrpc.now(), k.keys, x.bytes, x.resource::json
from unnest($1::text[], $2::text[], $3::int[]) with ordinality as x(id, resource, bytes, n)
cross join lateral (select taskrpc.event_keys(x.resource::json) as keys) k
cross join lateral (select from taskrpc.listener l where l.key = any(k.keys) limit 1) somebody
order by x.n
returning id;

-- name: take_occurrences
-- Takes the oldest events that no other server is at. $1 most events, $2 most bytes (but for the first), $3 numbers of
-- events that are left out.
with seen as materialized (
    select seq, bytes from taskrpc.occurrence where seq <> all($3::bigint[]) order by seq limit $1 for update skip locked
), picked as (
    select seq from (select seq, sum(bytes) over (order by seq) - bytes as bytes_before from seen) s
    where s.bytes_before < $2
)
select o.* from picked join taskrpc.occurrence o on o.seq = picked.seq order by o.seq;

-- name: listening_tasks
-- Open subscriptions that may have to hear of events. $1 the events' keys.
select id, params, listens, updated_at as since from taskrpc.task where listens = any($1::text[]) order by id;

-- name: listening_rules
-- Rules that may have to hear of events. $1 the events' keys.
select * from taskrpc.subscription_rule where listens = any($1::text[]) order by id;

-- name: finish_subscriptions
-- Ends subscriptions with what they waited for. $1 ids, $2 results. Edges: in-progress -event-> done.
with x as materialized (
    select * from unnest($1::text[], $2::text[]) as x(id, result)
), fit as materialized (
    select x.result, t.id, t.status,
        case when t.rev > 0 then d.retention else taskrpc.newest_retention(t.name) end as retention
    from x join taskrpc.task t on t.id = x.id join taskrpc.definition d on d.rev = t.rev
    where t.listens is not null
    order by t.id
    for update of t skip locked
), changed as (
    update taskrpc.task t set
        status = 'done', outcome = 'succeeded', listens = null, drop_at = null, open_in = null,
        result = fit.result::json,
        bytes = t.bytes + octet_length(fit.result),
        expire_at = taskrpc.expiry(fit.retention, t.submission, t.created_at),
        version = t.version + 1, updated_at = taskrpc.now(), call = null, call_id = null
    from fit where t.id = fit.id
    returning fit.status as status_before, false as held_before, t.*
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after)
    select id, kind, updated_at, 'awf.task/event', status_before, status from changed order by id
), told as (
    insert into taskrpc.event (workflow_id, kind, subject)
    select parent_id, 'task-completed', id from changed where parent_id is not null order by id
)
select * from changed;

-- name: still_listening
-- Which of some subscriptions are open still. $1 ids.
select id from taskrpc.task where id = any($1::text[]) and listens is not null;

-- name: forget_occurrences
-- Deletes events of which everybody was told. $1 their numbers.
delete from taskrpc.occurrence where seq = any($1::bigint[]);

-- name: leave_occurrence
-- Keeps an event for subscriptions that were locked. $1 its number, $2 ids of the subscriptions.
update taskrpc.occurrence set left_for = $2::text[] where seq = $1;

-- name: somebody_listens
-- Whether there is anybody to be told of events.
select exists (select from taskrpc.listener) as listening;

-- name: put_subscription_rule
-- Adds a rule or replaces it; one that says the same is not changed. $1 id, $2 spec.
insert into taskrpc.subscription_rule as r (id, spec, created_at, updated_at, listens)
values ($1, $2::json, taskrpc.now(), taskrpc.now(), taskrpc.listening_key($2::json -> 'select-by'))
on conflict (id) do update set
    spec = excluded.spec,
    listens = excluded.listens,
    version = r.version + (r.spec::text <> excluded.spec::text)::integer,
    updated_at = case when r.spec::text <> excluded.spec::text then excluded.updated_at else r.updated_at end
returning *;

-- name: subscription_rules
-- All rules, or one. $1 its id, or null.
select * from taskrpc.subscription_rule where $1::text is null or id = $1 order by id;

-- name: delete_subscription_rule
-- Deletes a rule; what it has started goes on. $1 id.
delete from taskrpc.subscription_rule where id = $1;
