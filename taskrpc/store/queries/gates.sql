-- name: hold_definitions
-- Keeps definitions' limits from changing until this transaction ends (see lock_tasks).
lock table taskrpc.task in row exclusive mode;

-- name: open_gates
-- Makes gates that are missing and locks them all, in key order, which is that of `lock_gates` however the database sorts
-- texts; with the limits that the definitions have now.
-- $1 keys (sorted), $2 names of their definitions, $3 whether a key counts the queue.
insert into taskrpc.gate as g (key, lim, used)
select x.key, l.lim, 0 from unnest($1::text[], $2::text[], $3::boolean[]) as x(key, name, counts_queue)
cross join lateral (
    select case when x.counts_queue then n.queue_limit else n.concurrency_limit end as lim
    from taskrpc.newest_limits(x.name) n
) l
where l.lim is not null
order by x.key collate "C"
on conflict (key) do update set lim = excluded.lim
returning key, lim, used;

-- name: lock_gates
-- Locks gates, in key order. $1 keys.
select key, lim, used from taskrpc.gate where key = any($1::text[]) order by key for update;

-- name: settle
-- Books what a transaction took or gave back, then admits held tasks; its gates are locked before, in a statement of
-- its own, so that this one sees what others committed. $1 keys, $2 changes. Answers the queues that got tasks.
with changed as materialized (
    select g.key, g.lim, greatest(g.used + x.change, 0) as used
    from unnest($1::text[], $2::int[]) as x(key, change) join taskrpc.gate g on g.key = x.key
), chosen as materialized (
    select c.key, t.id from changed c cross join lateral (
        select t.id from taskrpc.task t where t.gate = c.key and t.held
        order by t.rank, t.ready_at, t.id
        limit greatest(c.lim - c.used, 0)
        for update skip locked
    ) t
), admitted as (
    update taskrpc.task t set held = false, queued = true, backdated = taskrpc.is_backdated(t.ready_at)
    from chosen where t.id = chosen.id and t.held
    returning t.kind, t.name, t.gate
), let_in as materialized (
    select jsonb_object_agg(a.gate, a.tasks) as of_gate
    from (select gate, count(*) as tasks from admitted group by gate) a
), booked as (
    update taskrpc.gate g set used = c.used + coalesce((let_in.of_gate ->> g.key)::int, 0)
    from changed c, let_in where g.key = c.key
)
select distinct kind, name from admitted;

-- name: find_stranded
-- Gates that have room although tasks are held: a transaction that held one of their rows was rolled back.
select g.key from taskrpc.gate g
where g.used < g.lim and exists (select from taskrpc.task t where t.gate = g.key and t.held)
order by g.key limit 500;
