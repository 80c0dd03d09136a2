-- Calls of one execution. Each statement takes arrays and answers one row per element that has a task: "applied" is true
-- where the element took effect; elsewhere the row is the task as it was seen, which says why not, and "obstacle" what
-- the row does not show: a schema that the element was not checked against, a size that would be exceeded.
-- Ends of limited tasks (the last parameter) go through statements of their own, in a transaction that settles the
-- gates. Rows are locked in the order of their ids and never waited for: what is locked by others comes again.
-- Who ends an activity of a workflow only puts an event into the workflow's inbox, and locks nothing of it.

-- name: start
-- Starts executions. $1 ids, $2 execIds, $3 ids of the calls.
-- Edges: requested -start-> in-progress.
with x as materialized (
    select * from unnest($1::text[], $2::text[], $3::text[]) with ordinality as x(id, exec_id, call_id, n)
), fit as materialized (
    select x.n, x.call_id, t.id, t.status, d.run_timeout
    from x join taskrpc.task t on t.id = x.id join taskrpc.definition d on d.rev = t.rev
    where t.exec_id = x.exec_id and t.status = 'requested'
    order by t.id
    for update of t skip locked
), changed as (
    update taskrpc.task t set
        status = 'in-progress',
        retry_count = t.retry_count + 1,
        lease_at = taskrpc.now() + taskrpc.ms(fit.run_timeout),
        due_at = least(t.due_at, taskrpc.now() + taskrpc.ms(fit.run_timeout)),
        version = t.version + 1, updated_at = taskrpc.now(),
        call = 'start', call_id = fit.call_id, call_at = taskrpc.now(), call_version = t.version + 1
    from fit where t.id = fit.id
    returning true as applied, fit.n, fit.status as status_before, fit.run_timeout, t.*
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after, exec_id)
    select id, kind, updated_at, 'awf.task/start', status_before, status, exec_id from changed order by id
), told as (
    insert into taskrpc.event (workflow_id, kind, subject, at)
    select parent_id, 'task-begun', id, updated_at from changed where flow_part is not null order by id
)
select *, null as obstacle from changed
union all
select false, x.n, t.status, d.run_timeout, t.*, null
from x join taskrpc.task t on t.id = x.id join taskrpc.definition d on d.rev = t.rev
where x.n not in (select n from changed) and t.kind <> 'workflow';

-- name: notify
-- Prolongs leases, and keeps what the executor tells of its progress. A task that was asked to stop is told so and keeps
-- its deadline. $1 ids, $2 execIds, $3 ids of the calls, $4 progress (or null), $5 what the log keeps.
-- Edges: in-progress -notify-> in-progress.
with x as materialized (
    select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
        with ordinality as x(id, exec_id, call_id, progress, detail, n)
), fit as materialized (
    select x.n, x.call_id, x.progress, x.detail, t.id, t.status, d.run_timeout
    from x join taskrpc.task t on t.id = x.id join taskrpc.definition d on d.rev = t.rev
    where t.exec_id = x.exec_id and t.status = 'in-progress'
        and (t.call, t.call_id) is distinct from ('notify', x.call_id)
    order by t.id
    for update of t skip locked
), changed as (
    update taskrpc.task t set
        lease_at = case when t.stop_requested then t.lease_at
            else taskrpc.now() + taskrpc.ms(fit.run_timeout) end,
        stop_told = t.stop_requested,
        progress = coalesce(fit.progress::json, t.progress),
        version = t.version + 1, updated_at = taskrpc.now(),
        call = 'notify', call_id = fit.call_id, call_at = taskrpc.now(), call_version = t.version + 1
    from fit where t.id = fit.id
    returning true as applied, fit.n, fit.status as status_before, fit.run_timeout, fit.detail, t.*
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after, exec_id, params)
    select id, kind, updated_at, 'awf.task/notify', status, status, exec_id, detail::json from changed order by id
)
select *, null as obstacle from changed
union all
select false, x.n, t.status, d.run_timeout, null, t.*, null
from x join taskrpc.task t on t.id = x.id join taskrpc.definition d on d.rev = t.rev
where x.n not in (select n from changed) and t.kind <> 'workflow';


-- name: feedback
-- Stores what a running task tells others; a list grows with "append".
-- $1 ids, $2 execIds, $3 ids of the calls, $4 feedback, $5 append, $6 most bytes kept.
-- Edges: in-progress -feedback-> in-progress.
with x as materialized (
    select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[])
        with ordinality as x(id, exec_id, call_id, feedback, append, n)
), fit as materialized (
    select x.n, x.call_id, t.id, t.status, d.run_timeout,
        case when x.append then taskrpc.appended(t.feedback, x.feedback) else x.feedback end as feedback
    from x join taskrpc.task t on t.id = x.id join taskrpc.definition d on d.rev = t.rev
    where t.exec_id = x.exec_id and t.status = 'in-progress'
        and (t.call, t.call_id) is distinct from ('feedback', x.call_id)
        and (not x.append or octet_length(taskrpc.appended(t.feedback, x.feedback)) <= $6)
    order by t.id
    for update of t skip locked
), changed as (
    update taskrpc.task t set
        feedback = fit.feedback::json,
        bytes = t.bytes - coalesce(octet_length(t.feedback::text), 0) + octet_length(fit.feedback),
        stop_told = t.stop_requested,
        version = t.version + 1, updated_at = taskrpc.now(),
        call = 'feedback', call_id = fit.call_id, call_at = taskrpc.now(), call_version = t.version + 1
    from fit where t.id = fit.id
    returning true as applied, fit.n, fit.status as status_before, fit.run_timeout, t.*
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after, exec_id)
    select id, kind, updated_at, 'awf.task/feedback', status, status, exec_id from changed order by id
)
select *, null as obstacle from changed
union all
select false, x.n, t.status, d.run_timeout, t.*,
    case when x.append and octet_length(taskrpc.appended(t.feedback, x.feedback)) > $6 then 'too-large' end
from x join taskrpc.task t on t.id = x.id join taskrpc.definition d on d.rev = t.rev
where x.n not in (select n from changed) and t.kind <> 'workflow';

-- name: success
-- Ends executions of tasks well; one that was told to stop ends canceled and keeps its result. Decisions succeed
-- otherwise, see decisions.sql.
-- $1 ids, $2 execIds, $3 ids of the calls, $4 results (or null), $5 revisions that the results were checked against,
-- $6 limited. Edges: in-progress -success-> done.
with x as materialized (
    select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[])
        with ordinality as x(id, exec_id, call_id, result, checked, n)
), fit as materialized (
    select x.n, x.call_id, x.result, t.id, t.status, d.run_timeout,
        case when t.rev > 0 then d.retention else (
            -- as taskrpc.newest_retention does, for each call of which PostgreSQL would start an executor
            select retention from taskrpc.definition where name = t.name order by rev desc limit 1
        ) end as retention
    from x join taskrpc.task t on t.id = x.id join taskrpc.definition d on d.rev = t.rev
    where t.exec_id = x.exec_id and t.status = 'in-progress' and t.kind = 'task'
        and (not d.checks_result or x.checked = t.rev)
        and (t.gate is not null or t.queue_gate is not null) = $6
    order by t.id
    for update of t skip locked
), changed as (
    update taskrpc.task t set
        status = 'done',
        outcome = case when t.stop_told then 'canceled' else 'succeeded' end,
        result = fit.result::json,
        error = null,
        bytes = t.bytes + coalesce(octet_length(fit.result), 0),
        lease_at = null, due_at = null, drop_at = null, open_in = null,
        expire_at = taskrpc.expiry(fit.retention, t.submission, t.created_at),
        version = t.version + 1, updated_at = taskrpc.now(),
        call = 'success', call_id = fit.call_id, call_at = taskrpc.now(), call_version = t.version + 1
    from fit where t.id = fit.id
    returning true as applied, fit.n, fit.status as status_before, fit.run_timeout, t.*
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after, exec_id)
    select id, kind, updated_at, 'awf.task/success', status_before, status, exec_id from changed order by id
), told as (
    insert into taskrpc.event (workflow_id, kind, subject)
    select parent_id, 'task-completed', id from changed where parent_id is not null order by id
)
select *, null as obstacle, null as limited from changed
union all
select false, x.n, t.status, d.run_timeout, t.*,
    case when t.kind = 'decision' then 'decision' when d.checks_result and x.checked <> t.rev then 'schema' end,
    t.gate is not null or t.queue_gate is not null
from x join taskrpc.task t on t.id = x.id join taskrpc.definition d on d.rev = t.rev
where x.n not in (select n from changed) and t.kind <> 'workflow';

-- name: fail
-- Ends executions badly: the task waits for its next attempt, or is done when none is left or it was asked to stop. Tasks
-- of flows are tried again by their flow.
-- $1 ids, $2 execIds, $3 ids of the calls, $4 errors (or null), $5 revisions that the errors were checked against,
-- $6 limited. Edges: in-progress -fail-> waiting, in-progress -fail-> done.
with x as materialized (
    select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[])
        with ordinality as x(id, exec_id, call_id, error, checked, n)
), fit as materialized (
    select x.n, x.call_id, x.error, t.id, t.status, d.run_timeout,
        case when t.rev > 0 then d.retention else (
            -- as taskrpc.newest_retention does, for each call of which PostgreSQL would start an executor
            select retention from taskrpc.definition where name = t.name order by rev desc limit 1
        ) end as retention,
        t.retry_count < d.allowed_retry_count and not t.stop_requested and t.flow_part is null as again,
        taskrpc.now() + taskrpc.retry_delay(
            d.retry_delay, d.backoff_factor, d.backoff_max, d.backoff_jitter, t.retry_count) as again_at
    from x join taskrpc.task t on t.id = x.id join taskrpc.definition d on d.rev = t.rev
    where t.exec_id = x.exec_id and t.status = 'in-progress'
        and (not d.checks_error or x.checked = t.rev)
        and (t.gate is not null or t.queue_gate is not null) = $6
    order by t.id
    for update of t skip locked
), changed as (
    update taskrpc.task t set
        status = case when fit.again then 'waiting' else 'done' end,
        outcome = case when fit.again then null when t.stop_requested then 'canceled' else 'failed' end,
        outcome_reason = case when not fit.again and not t.stop_requested then
            '{"type":"awf.task/failed-by-executor","message":"Failed by executor"}'::json end,
        error = fit.error::json,
        bytes = coalesce(octet_length(t.params::text), 0) + coalesce(octet_length(fit.error), 0)
            + coalesce(octet_length(t.feedback::text), 0),
        execute_at = case when fit.again then fit.again_at else t.execute_at end,
        wake_at = case when fit.again then fit.again_at end,
        due_at = null, lease_at = null, ready_at = null,
        open_in = case when fit.again then t.open_in end,
        drop_at = case when fit.again then t.drop_at end,
        expire_at = case when not fit.again then taskrpc.expiry(fit.retention, t.submission, t.created_at) end,
        version = t.version + 1, updated_at = taskrpc.now(),
        call = 'fail', call_id = fit.call_id, call_at = taskrpc.now(), call_version = t.version + 1
    from fit where t.id = fit.id
    returning true as applied, fit.n, fit.status as status_before, fit.run_timeout, t.*
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after, exec_id, re_scheduled, params)
    select id, kind, updated_at, 'awf.task/fail', status_before, status, exec_id, status = 'waiting',
        case when error is not null then json_build_object('error', error) end
    from changed order by id
), told as (
    insert into taskrpc.event (workflow_id, seq, kind, subject)
    select parent_id,
        case kind when 'decision' then 0 else nextval('taskrpc.event_seq') end,
        case kind when 'decision' then 'decision-failed' else 'task-completed' end,
        id
    from changed where status = 'done' and parent_id is not null order by id
)
select *, null as obstacle, null as limited from changed
union all
select false, x.n, t.status, d.run_timeout, t.*,
    case when d.checks_error and x.checked <> t.rev then 'schema' end,
    t.gate is not null or t.queue_gate is not null
from x join taskrpc.task t on t.id = x.id join taskrpc.definition d on d.rev = t.rev
where x.n not in (select n from changed) and t.kind <> 'workflow';

-- name: release
-- Hands tasks back at no cost of an attempt and with their place in the queue; one that was asked to stop is canceled.
-- A limited task gives its slot back and is held: its gate may have become smaller since it was admitted.
-- $1 ids, $2 execIds, $3 ids of the calls, $4 limited. Edges: requested -release-> ready, in-progress -release-> ready,
-- in-progress -release-> done.
with x as materialized (
    select * from unnest($1::text[], $2::text[], $3::text[]) with ordinality as x(id, exec_id, call_id, n)
), fit as materialized (
    select x.n, x.call_id, t.id, t.status, d.run_timeout,
        case when t.rev > 0 then d.retention else taskrpc.newest_retention(t.name) end as retention
    from x join taskrpc.task t on t.id = x.id join taskrpc.definition d on d.rev = t.rev
    where t.exec_id = x.exec_id and t.status in ('requested', 'in-progress')
        and (t.gate is not null or t.queue_gate is not null) = $4
    order by t.id
    for update of t skip locked
), changed as (
    update taskrpc.task t set
        status = case when t.stop_requested then 'done' else 'ready' end,
        outcome = case when t.stop_requested then 'canceled' end,
        queued = not t.stop_requested and t.gate is null,
        held = not t.stop_requested and t.gate is not null,
        backdated = taskrpc.is_backdated(t.ready_at),
        retry_count = t.retry_count - (t.status = 'in-progress' and not t.stop_requested)::int,
        lease_at = null, due_at = null,
        drop_at = case when not t.stop_requested then t.drop_at end,
        open_in = case when not t.stop_requested then t.open_in end,
        expire_at = case when t.stop_requested then taskrpc.expiry(fit.retention, t.submission, t.created_at) end,
        version = t.version + 1, updated_at = taskrpc.now(),
        call = 'release', call_id = fit.call_id, call_at = taskrpc.now(), call_version = t.version + 1
    from fit where t.id = fit.id
    returning true as applied, fit.n, fit.status as status_before, fit.run_timeout, t.*
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after, exec_id)
    select id, kind, updated_at, 'awf.task/release', status_before, status, exec_id from changed order by id
), told as (
    insert into taskrpc.event (workflow_id, kind, subject)
    select parent_id, case status when 'done' then 'task-completed' else 'task-lost' end, id
    from changed where parent_id is not null and (status = 'done' or flow_part = 'directory') order by id
)
select *, null as obstacle, null as limited from changed
union all
select false, x.n, t.status, d.run_timeout, t.*, null, t.gate is not null or t.queue_gate is not null
from x join taskrpc.task t on t.id = x.id join taskrpc.definition d on d.rev = t.rev
where x.n not in (select n from changed) and t.kind <> 'workflow';
