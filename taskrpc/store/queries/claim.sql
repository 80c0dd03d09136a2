-- name: claim
-- Hands out the first ready tasks of some queues, over all of them in one order.
-- Looked at are parts of the queues, see core/watermarks.py: $1 kinds, $2 names, $3 backdated, $4 first ranks, $5 since
-- when the tasks of that rank are due (null: whenever), $6 first ids, $7 last ranks. $8 most tasks, $9 most bytes,
-- $10 start at once, $11 id of this claim.
-- "more" tells whether others are ready: locked by somebody, or beyond the limits; with $12 also those that are in no
-- part. Without any task it is the only column that is not null.
-- Edges: ready -poll-> requested, ready -poll-> in-progress.
with parts as (
    select * from unnest($1::text[], $2::text[], $3::boolean[], $4::int[], $5::timestamptz[], $6::text[], $7::int[])
        as p(kind, name, backdated, first_rank, since, first_id, last_rank)
), seen as materialized (
    select t.* from parts p cross join lateral (
        select t.id, t.rank, t.ready_at, t.bytes from taskrpc.task t
        where t.kind = p.kind and t.name = p.name and t.backdated = p.backdated and t.queued
            and (t.rank, t.ready_at, t.id) >= (p.first_rank, coalesce(p.since, '-infinity'), p.first_id)
            and t.rank <= p.last_rank
        order by t.rank, t.ready_at, t.id
        limit $8
        for update skip locked
    ) t
    order by t.rank, t.ready_at, t.id
    limit $8
), picked as materialized (
    select s.id from (
        select id, rank, ready_at, sum(bytes) over (order by rank, ready_at, id) - bytes as bytes_before from seen
    ) s
    where s.bytes_before < $9
), claimed as (
    update taskrpc.task t set
        status = case when $10 then 'in-progress' else 'requested' end,
        queued = false, backdated = false,
        exec_id = gen_random_uuid()::text,
        retry_count = t.retry_count + $10::int,
        lease_at = taskrpc.now() + taskrpc.ms(case when $10 then d.run_timeout else d.requested_timeout end),
        due_at = taskrpc.now() + taskrpc.ms(case when $10 then d.run_timeout else d.requested_timeout end),
        version = t.version + 1, updated_at = taskrpc.now(),
        call = 'poll', call_id = $11, call_at = taskrpc.now(), call_version = t.version + 1
    from picked, taskrpc.definition d
    where t.id = picked.id and d.rev = t.rev
    returning t.*, d.run_timeout
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after, exec_id)
    select id, kind, updated_at, 'awf.task/poll', 'ready', status, exec_id from claimed order by id
), told as (
    insert into taskrpc.event (workflow_id, kind, subject, at)
    select parent_id, 'task-begun', id, updated_at from claimed where flow_part is not null and $10 order by id
)
select c.*, m.more from (
    select case
        when (select count(*) from picked) = $8 then true
        when $12 then exists (
            select from (select distinct kind, name from parts) q
            join taskrpc.task t on t.kind = q.kind and t.name = q.name and t.queued
            where t.id not in (select id from picked)
        )
        else exists (
            select from parts p
            join taskrpc.task t on t.kind = p.kind and t.name = p.name and t.backdated = p.backdated and t.queued
                and (t.rank, t.ready_at, t.id) >= (p.first_rank, coalesce(p.since, '-infinity'), p.first_id)
                and t.rank <= p.last_rank
            where t.id not in (select id from picked)
        )
    end as more
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
