-- The work of the reaper: what time changes. Every statement takes at most $1 rows, locks them without waiting and
-- looks again at what it was called for. Nothing expires while the pulse is old: then the time without a server is not
-- known yet. Where limited tasks may be among the rows, the transaction goes on and settles their gates.

-- name: beat
-- Says that a server is alive; a pulse older than $1 ms means that none was, and the time since does not count.
update taskrpc.pulse set
    resumed_at = case when at < taskrpc.now() - taskrpc.ms($1) then taskrpc.now() else resumed_at end,
    at = taskrpc.now()
returning at = resumed_at as resumed;

-- name: put_off
-- Moves the reaper's appointments to the real deadlines: leases that were prolonged, and those of before an outage.
with fit as materialized (
    select t.id, taskrpc.deadline(
        t.lease_at, case t.status when 'requested' then d.requested_timeout else d.run_timeout end, p.resumed_at
    ) as deadline
    from taskrpc.task t join taskrpc.definition d on d.rev = t.rev cross join taskrpc.pulse p
    where t.due_at <= taskrpc.now() and t.status in ('requested', 'in-progress')
        and taskrpc.deadline(
            t.lease_at, case t.status when 'requested' then d.requested_timeout else d.run_timeout end, p.resumed_at
        ) > taskrpc.now()
    order by t.due_at limit $1
    for update of t skip locked
)
update taskrpc.task t set due_at = fit.deadline, lease_at = fit.deadline from fit where t.id = fit.id
returning t.id;

-- name: promote
-- Makes waiting tasks ready whose time has come, and begins such workflows: an event asks for their first decision.
-- Edges: waiting -due-> ready. Workflow edges: created -due-> in-progress.
with fit as materialized (
    select t.id, t.status, t.wake_at from taskrpc.task t
    where t.wake_at <= taskrpc.now() and t.status in ('waiting', 'created')
    order by t.wake_at limit $1
    for update of t skip locked
), changed as (
    update taskrpc.task t set
        status = case t.kind when 'workflow' then 'in-progress' else 'ready' end,
        queued = t.kind <> 'workflow' and t.gate is null, held = t.gate is not null,
        ready_at = case when t.kind <> 'workflow' then fit.wake_at end, wake_at = null,
        backdated = taskrpc.is_backdated(fit.wake_at),
        version = t.version + 1, updated_at = taskrpc.now()
    from fit where t.id = fit.id
    returning fit.status as status_before, false as held_before, t.*
), asked as (
    insert into taskrpc.event (workflow_id, kind, subject)
    select id, 'workflow-init', id from changed where kind = 'workflow' order by id
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after)
    select id, kind, updated_at, case kind when 'workflow' then 'awf.workflow/due' else 'awf.task/due' end,
        status_before, status
    from changed order by id
)
select * from changed;

-- name: finish_waits
-- Ends the waits whose time has come. Edges: in-progress -due-> done.
with fit as materialized (
    select t.id, t.status,
        case when t.rev > 0 then d.retention else taskrpc.newest_retention(t.name) end as retention
    from taskrpc.task t join taskrpc.definition d on d.rev = t.rev
    where t.ends_at <= taskrpc.now() and t.status = 'in-progress'
    order by t.ends_at limit $1
    for update of t skip locked
), changed as (
    update taskrpc.task t set
        status = 'done', outcome = 'succeeded', ends_at = null, drop_at = null, open_in = null,
        expire_at = taskrpc.expiry(fit.retention, t.submission, t.created_at),
        version = t.version + 1, updated_at = taskrpc.now(), call = null, call_id = null
    from fit where t.id = fit.id
    returning fit.status as status_before, false as held_before, t.*
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after)
    select id, kind, updated_at, 'awf.task/due', status_before, status from changed order by id
), told as (
    insert into taskrpc.event (workflow_id, kind, subject)
    select parent_id, 'task-completed', id from changed where parent_id is not null order by id
)
select * from changed;

-- name: requeue
-- Takes back tasks that were handed out and not started in time; it costs them no attempt, but limited ones their slot.
-- Edges: requested -requested-timeout-> ready.
with fit as materialized (
    select t.id, t.status from taskrpc.task t
    join taskrpc.definition d on d.rev = t.rev cross join taskrpc.pulse p
    where t.due_at <= taskrpc.now() and t.status = 'requested'
        and taskrpc.deadline(t.lease_at, d.requested_timeout, p.resumed_at) <= taskrpc.now()
        and p.at > taskrpc.now() - taskrpc.ms($2)
    order by t.due_at limit $1
    for update of t skip locked
), changed as (
    update taskrpc.task t set
        status = 'ready', queued = t.gate is null, held = t.gate is not null, ready_at = taskrpc.now(),
        due_at = null, lease_at = null,
        version = t.version + 1, updated_at = taskrpc.now(), call = null, call_id = null
    from fit where t.id = fit.id
    returning fit.status as status_before, false as held_before, t.*
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after, exec_id)
    select id, kind, updated_at, 'awf.task/requested-timeout', status_before, status, exec_id
    from changed order by id
)
select * from changed;

-- name: expire
-- Ends executions whose lease ran out: another attempt, or done. Of the tasks of flows only directories begin anew.
-- Edges: in-progress -in-progress-timeout-> waiting, in-progress -in-progress-timeout-> done.
with fit as materialized (
    select t.id, t.status, case when t.rev > 0 then d.retention else taskrpc.newest_retention(t.name) end as retention,
        t.retry_count < d.allowed_retry_count and not t.stop_requested and t.flow_part is distinct from 'leaf' as again,
        taskrpc.now() + taskrpc.retry_delay(
            d.retry_delay, d.backoff_factor, d.backoff_max, d.backoff_jitter, t.retry_count) as again_at
    from taskrpc.task t join taskrpc.definition d on d.rev = t.rev cross join taskrpc.pulse p
    where t.due_at <= taskrpc.now() and t.status = 'in-progress'
        and taskrpc.deadline(t.lease_at, d.run_timeout, p.resumed_at) <= taskrpc.now()
        and p.at > taskrpc.now() - taskrpc.ms($2)
    order by t.due_at limit $1
    for update of t skip locked
), changed as (
    update taskrpc.task t set
        status = case when fit.again then 'waiting' else 'done' end,
        outcome = case when fit.again then null when t.stop_requested then 'canceled' else 'failed' end,
        outcome_reason = case when not fit.again and not t.stop_requested then json_build_object(
            'type', 'awf.task/failed-due-to-in-progress-timeout',
            'message', 'The executor was not heard of within the in-progress timeout') end,
        execute_at = case when fit.again then fit.again_at else t.execute_at end,
        wake_at = case when fit.again then fit.again_at end,
        due_at = null, lease_at = null, ready_at = null,
        open_in = case when fit.again then t.open_in end,
        drop_at = case when fit.again then t.drop_at end,
        expire_at = case when not fit.again then taskrpc.expiry(fit.retention, t.submission, t.created_at) end,
        version = t.version + 1, updated_at = taskrpc.now(), call = null, call_id = null
    from fit where t.id = fit.id
    returning fit.status as status_before, false as held_before, t.*
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after, exec_id, re_scheduled)
    select id, kind, updated_at, 'awf.task/in-progress-timeout', status_before, status, exec_id, status = 'waiting'
    from changed order by id
), told as (
    insert into taskrpc.event (workflow_id, seq, kind, subject)
    select parent_id,
        case kind when 'decision' then 0 else nextval('taskrpc.event_seq') end,
        case when kind = 'decision' then 'decision-failed' when status = 'done' then 'task-completed' else 'task-lost' end,
        id
    from changed where parent_id is not null and (status = 'done' or flow_part = 'directory') order by id
)
select * from changed;

-- name: drop
-- Ends tasks and workflows whose timeout has passed, or whose definition was deleted (see drop_submissions), wherever they
-- are; executions of flows are KILLED. What a workflow leaves open is swept by whoever finds its last event.
-- Edges: waiting, ready, requested, in-progress -dropped-> done.
-- Workflow edges: created, in-progress -dropped-> done.
with fit as materialized (
    select t.id, t.status, t.held,
        case when t.rev > 0 then d.retention else taskrpc.newest_retention(t.name) end as retention,
        case when t.submission is not null and newest.deleted then 'The definition was deleted'
            else 'The timeout of the definition has passed' end as message
    from taskrpc.task t join taskrpc.definition d on d.rev = t.rev
    cross join lateral (select * from taskrpc.definition n where n.name = d.name order by rev desc limit 1) newest
    where t.drop_at <= taskrpc.now() and t.status <> 'done'
    order by t.drop_at limit $1
    for update of t skip locked
), changed as (
    update taskrpc.task t set
        status = 'done',
        outcome = case when t.stop_requested then 'canceled' else 'failed' end,
        outcome_reason = case when not t.stop_requested then json_build_object(
            'type', 'awf.task/dropped', 'message', fit.message) end,
        state = case when t.state is not null then 'KILLED' end,
        queued = false, held = false, wake_at = null, lease_at = null, due_at = null, drop_at = null, open_in = null,
        ends_at = null, listens = null,
        expire_at = taskrpc.expiry(fit.retention, t.submission, t.created_at),
        version = t.version + 1, updated_at = taskrpc.now(), call = null, call_id = null
    from fit where t.id = fit.id
    returning fit.status as status_before, fit.held as held_before, t.*
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after, exec_id)
    select id, kind, updated_at, case kind when 'workflow' then 'awf.workflow/dropped' else 'awf.task/dropped' end,
        status_before, status, exec_id
    from changed order by id
), told as (
    insert into taskrpc.event (workflow_id, kind, subject)
    select parent_id, case kind when 'workflow' then 'workflow-completed' else 'task-completed' end, id
    from changed where parent_id is not null
    union all
    select id, 'ended', id from changed where kind = 'workflow' order by 1, 3
)
select * from changed;

-- name: next_due
-- How many seconds remain until the reaper has something to do; null when nothing is planned.
select extract(epoch from least(
    (select min(wake_at) from taskrpc.task where wake_at is not null),
    (select min(ends_at) from taskrpc.task where ends_at is not null),
    (select min(due_at) from taskrpc.task where due_at is not null),
    (select min(drop_at) from taskrpc.task where drop_at is not null),
    (select min(at) from taskrpc.execution_timer)
) - taskrpc.now())::float8 as seconds;
