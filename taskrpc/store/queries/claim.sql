-- name: claim
-- Hands out the first ready tasks of some queues, over all of them in one order.
-- "more" tells whether others are ready: locked by somebody, or beyond the limits. Without any task it is the only column
-- that is not null. $1 kinds and $2 names of the queues, $3 most tasks, $4 most bytes, $5 start at once, $6 id of this claim.
-- Edges: ready -poll-> requested, ready -poll-> in-progress.
with queues as (
    select * from unnest($1::text[], $2::text[]) as q(kind, name)
), seen as materialized (
    select t.* from queues q cross join lateral (
        select t.id, t.rank, t.ready_at, t.bytes from taskrpc.task t
        where t.kind = q.kind and t.name = q.name and t.queued
        order by t.rank, t.ready_at, t.id
        limit $3
        for update skip locked
    ) t
    order by t.rank, t.ready_at, t.id
    limit $3
), picked as materialized (
    select s.id from (
        select id, rank, ready_at, sum(bytes) over (order by rank, ready_at, id) - bytes as bytes_before from seen
    ) s
    where s.bytes_before < $4
), claimed as (
    update taskrpc.task t set
        status = case when $5 then 'in-progress' else 'requested' end,
        queued = false,
        exec_id = gen_random_uuid()::text,
        retry_count = t.retry_count + $5::int,
        lease_at = taskrpc.now() + taskrpc.ms(case when $5 then d.run_timeout else d.requested_timeout end),
        due_at = taskrpc.now() + taskrpc.ms(case when $5 then d.run_timeout else d.requested_timeout end),
        version = t.version + 1, updated_at = taskrpc.now(),
        call = 'poll', call_id = $6, call_at = taskrpc.now(), call_version = t.version + 1
    from picked, taskrpc.definition d
    where t.id = picked.id and d.rev = t.rev
    returning t.*, d.run_timeout
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after, exec_id)
    select id, kind, updated_at, 'awf.task/poll', 'ready', status, exec_id from claimed order by id
)
select c.*, m.more from (
    select case when (select count(*) from picked) = $3 then true else exists (
        select from queues q join taskrpc.task t on t.kind = q.kind and t.name = q.name and t.queued
        where t.id not in (select id from picked)
    ) end as more
) m left join claimed c on true
order by c.rank, c.ready_at, c.id;

-- name: find_ready
-- Which of some queues have a task that may be claimed. $1 kinds, $2 names.
select q.kind, q.name from unnest($1::text[], $2::text[]) as q(kind, name)
where exists (select from taskrpc.task t where t.kind = q.kind and t.name = q.name and t.queued);

-- name: find_claimed
-- What a claim whose answer was lost has taken. $1 the claim's id.
select id, exec_id from taskrpc.task
where due_at is not null and call = 'poll' and call_id = $1;
