-- name: create
-- Creates tasks; those of a limited definition are held until their gate admits them.
-- An element is left out when its id is taken, or when its definition has a newer revision than $3 says.
-- Arrays: $1 ids, $2 names, $3 revisions, $4 labels, $5 requesters, $6 ranks, $7 executeAt, $8 gate values, $9 gates,
-- $10 queue gates, $11 ids of the calls, $12 params, $13 bytes, $14 workflows that they belong to; there an element is
-- also left out when its label is taken; $15 what came with it over REST,
-- $16 where its outcome is posted to, $17 what it is for the flow that starts it.
-- Built-in tasks that begin with their creation are in progress, without a lease: the server ends them.
-- Edges: created -create-> ready, created -create-> waiting, created -create-> in-progress.
with x as materialized (
    select * from unnest(
        $1::text[], $2::text[], $3::int[], $4::text[], $5::text[], $6::int[], $7::timestamptz[], $8::text[],
        $9::text[], $10::text[], $11::text[], $12::text[], $13::int[], $14::text[], $15::text[], $16::text[], $17::text[]
    ) as x(id, name, rev, label, requester, rank, execute_at, gate_value, gate, queue_gate, call_id, params, bytes,
        parent_id, submission, callback, flow_part)
), created as (
    insert into taskrpc.task (
        id, kind, name, rev, label, requester, rank, execute_at, gate_value, gate, queue_gate, create_id, params,
        bytes, parent_id, open_in, status, queued, held, ready_at, wake_at, ends_at, drop_at, retry_count, listens,
        submission, callback, flow_part, created_at, updated_at
    )
    select x.id, 'task', x.name, x.rev, x.label, x.requester::json, x.rank, e.execute_at, x.gate_value, x.gate,
        x.queue_gate, x.call_id, x.params::json, x.bytes, x.parent_id, x.parent_id,
        case when begins then 'in-progress' when later then 'waiting' else 'ready' end,
        not later and not begins and x.gate is null,
        not later and not begins and x.gate is not null,
        case when not later then taskrpc.now() end,
        case when later then e.execute_at end,
        case when x.name = 'awf.task/wait' then e.execute_at end,
        taskrpc.now() + taskrpc.ms(d.timeout),
        begins::integer,
        case when x.name = 'awf.task/subscribe' then taskrpc.listening_key(x.params::json -> 'select-by') end,
        x.submission::json, x.callback::json, x.flow_part, taskrpc.now(), taskrpc.now()
    from x join taskrpc.definition d on d.rev = x.rev
    cross join lateral (select taskrpc.begins_at_once(x.name) as begins) b
    cross join lateral (select not begins and coalesce(x.execute_at > taskrpc.now(), false) as later) l
    cross join lateral (
        select case when x.name = 'awf.task/wait' then taskrpc.wait_ends_at(x.params::json, x.execute_at)
            else x.execute_at end as execute_at
    ) e
    where not exists (select from taskrpc.definition newer where newer.name = x.name and newer.rev > x.rev)
    order by x.id
    on conflict do nothing
    returning *
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after)
    select id, kind, updated_at, 'awf.task/create-and-execute', 'created', status from created order by id
)
select * from created;

-- name: tasks_by_id
-- Tasks as they are. $1 ids.
select t.*, d.run_timeout from unnest($1::text[]) as x(id)
join taskrpc.task t on t.id = x.id join taskrpc.definition d on d.rev = t.rev;
