-- Calls of users about one task. Shape and locking as in execution.sql. Decisions belong to their workflows: they are
-- "obstacles" here.

-- name: cancel
-- Ends tasks at once, whatever they do. $1 ids, $2 ids of the calls, $3 limited.
-- Edges: waiting, ready, requested, in-progress -cancel-> done.
with x as materialized (
    select * from unnest($1::text[], $2::text[]) with ordinality as x(id, call_id, n)
), fit as materialized (
    select x.n, x.call_id, t.id, t.status, t.held, d.run_timeout,
        case when t.rev > 0 then d.retention else taskrpc.newest_retention(t.name) end as retention
    from x join taskrpc.task t on t.id = x.id join taskrpc.definition d on d.rev = t.rev
    where t.status <> 'done' and t.kind = 'task'
        and (t.gate is not null or t.queue_gate is not null) = $3
    order by t.id
    for update of t skip locked
), changed as (
    update taskrpc.task t set
        status = 'done', outcome = 'canceled', queued = false, held = false,
        wake_at = null, lease_at = null, due_at = null, drop_at = null, open_in = null,
        ends_at = null, listens = null,
        expire_at = taskrpc.expiry(fit.retention, t.submission, t.created_at),
        version = t.version + 1, updated_at = taskrpc.now(),
        call = 'cancel', call_id = fit.call_id, call_at = taskrpc.now(), call_version = t.version + 1
    from fit where t.id = fit.id
    returning true as applied, fit.n, fit.status as status_before, fit.held as held_before, fit.run_timeout, t.*
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after, exec_id)
    select id, kind, updated_at, 'awf.task/cancel', status_before, status, exec_id from changed order by id
), told as (
    insert into taskrpc.event (workflow_id, kind, subject)
    select parent_id, 'task-completed', id from changed where parent_id is not null order by id
)
select *, null as obstacle, null as limited from changed
union all
select false, x.n, t.status, t.held, d.run_timeout, t.*, case t.kind when 'decision' then 'decision' end,
    t.gate is not null or t.queue_gate is not null
from x join taskrpc.task t on t.id = x.id join taskrpc.definition d on d.rev = t.rev
where x.n not in (select n from changed) and t.kind <> 'workflow';

-- name: stop
-- Asks running tasks to stop, until their deadline; cancels those that do not run, or that only the server waits for.
-- $1 ids, $2 ids of the calls, $3 limited.
-- Edges: in-progress -stop-> in-progress, waiting, ready, requested, in-progress -stop-> done.
with x as materialized (
    select * from unnest($1::text[], $2::text[]) with ordinality as x(id, call_id, n)
), fit as materialized (
    select x.n, x.call_id, t.id, t.status, t.held, d.run_timeout,
        case when t.rev > 0 then d.retention else taskrpc.newest_retention(t.name) end as retention,
        t.status = 'in-progress' and t.lease_at is not null as runs
    from x join taskrpc.task t on t.id = x.id join taskrpc.definition d on d.rev = t.rev
    where t.status <> 'done' and t.kind = 'task' and (t.call, t.call_id) is distinct from ('stop', x.call_id)
        and (t.gate is not null or t.queue_gate is not null) = $3
    order by t.id
    for update of t skip locked
), changed as (
    update taskrpc.task t set
        stop_requested = true,
        status = case when fit.runs then t.status else 'done' end,
        outcome = case when not fit.runs then 'canceled' end,
        queued = false, held = false,
        wake_at = null,
        lease_at = case when fit.runs then t.lease_at end,
        due_at = case when fit.runs then t.due_at end,
        drop_at = case when fit.runs then t.drop_at end,
        open_in = case when fit.runs then t.open_in end,
        ends_at = null, listens = null,
        expire_at = case when not fit.runs then taskrpc.expiry(fit.retention, t.submission, t.created_at) end,
        version = t.version + 1, updated_at = taskrpc.now(),
        call = 'stop', call_id = fit.call_id, call_at = taskrpc.now(), call_version = t.version + 1
    from fit where t.id = fit.id
    returning true as applied, fit.n, fit.status as status_before, fit.held as held_before, fit.run_timeout, t.*
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after, exec_id)
    select id, kind, updated_at, 'awf.task/stop', status_before, status, exec_id from changed order by id
), told as (
    insert into taskrpc.event (workflow_id, kind, subject)
    select parent_id, 'task-completed', id from changed where status = 'done' and parent_id is not null order by id
)
select *, null as obstacle, null as limited from changed
union all
select false, x.n, t.status, t.held, d.run_timeout, t.*, case t.kind when 'decision' then 'decision' end,
    t.gate is not null or t.queue_gate is not null
from x join taskrpc.task t on t.id = x.id join taskrpc.definition d on d.rev = t.rev
where x.n not in (select n from changed) and t.kind <> 'workflow';

-- name: lock_retries
-- Locks the tasks that a retry would start anew, and says which gates they need now. $1 ids.
select t.id, t.name,
    case when newest.concurrency_limit is not null then taskrpc.gate_key(t.name, t.gate_value) end as gate,
    case when newest.queue_limit is not null then taskrpc.queue_gate_key(t.name) end as queue_gate
from taskrpc.task t cross join lateral taskrpc.newest_limits(t.name) newest
where t.id = any($1::text[]) and t.kind = 'task' and t.status = 'done' and t.outcome in ('failed', 'canceled')
    and (newest.concurrency_limit is not null or newest.queue_limit is not null)
order by t.id for update of t skip locked;

-- name: retry
-- Begins a new generation of tasks that failed or were canceled, unless they belong to a workflow that is done or gone;
-- where the definition has limits now, they are held until their gate admits them.
-- $1 ids, $2 ids of the calls, $3 limited. Edges: done -retry-> ready, done -retry-> in-progress.
with x as materialized (
    select * from unnest($1::text[], $2::text[]) with ordinality as x(id, call_id, n)
), parents as materialized (
    -- Held, so that none of them ends meanwhile: what it leaves open then includes what begins here.
    select w.id from x join taskrpc.task t on t.id = x.id join taskrpc.task w on w.id = t.parent_id
    where w.status <> 'done'
    order by w.id
    for share of w skip locked
), fit as materialized (
    select x.n, x.call_id, t.id, t.status, t.held, d.run_timeout, d.timeout,
        case when newest.concurrency_limit is not null then taskrpc.gate_key(t.name, t.gate_value) end as gate,
        case when newest.queue_limit is not null then taskrpc.queue_gate_key(t.name) end as queue_gate,
        taskrpc.begins_at_once(t.name) as begins,
        case when t.name = 'awf.task/wait' then taskrpc.wait_ends_at(t.params, t.execute_at) end as ends_at,
        case when t.name = 'awf.task/subscribe' then taskrpc.listening_key(t.params -> 'select-by') end as listens
    from x join taskrpc.task t on t.id = x.id join taskrpc.definition d on d.rev = t.rev
    cross join lateral taskrpc.newest_limits(t.name) newest
    where t.status = 'done' and t.outcome in ('failed', 'canceled') and t.kind = 'task'
        and (t.call, t.call_id) is distinct from ('retry', x.call_id) and t.flow_part is null
        and (t.parent_id is null or t.parent_id in (select id from parents))
        and (newest.concurrency_limit is not null or newest.queue_limit is not null) = $3
    order by t.id
    for update of t skip locked
), changed as (
    update taskrpc.task t set
        status = case when fit.begins then 'in-progress' else 'ready' end,
        outcome = null, outcome_reason = null, result = null, error = null, progress = null,
        exec_id = null, retry_count = fit.begins::integer, stop_requested = false, stop_told = false,
        gate = fit.gate, queue_gate = fit.queue_gate, open_in = t.parent_id,
        queued = fit.gate is null and not fit.begins, held = fit.gate is not null and not fit.begins,
        ready_at = taskrpc.now(), execute_at = fit.ends_at, ends_at = fit.ends_at, expire_at = null,
        listens = fit.listens,
        drop_at = taskrpc.now() + taskrpc.ms(fit.timeout),
        bytes = coalesce(octet_length(t.params::text), 0) + coalesce(octet_length(t.feedback::text), 0),
        version = t.version + 1, updated_at = taskrpc.now(),
        call = 'retry', call_id = fit.call_id, call_at = taskrpc.now(), call_version = t.version + 1
    from fit where t.id = fit.id
    returning true as applied, fit.n, fit.status as status_before, fit.held as held_before, fit.run_timeout, t.*
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after)
    select id, kind, updated_at, 'awf.task/retry', status_before, status from changed order by id
)
select *, null as obstacle, null as limited from changed
union all
select false, x.n, t.status, t.held, d.run_timeout, t.*, case when t.kind = 'decision' then 'decision'
        when t.flow_part is not null then 'of-flow'
        when t.parent_id is not null
            and not exists (select from taskrpc.task w where w.id = t.parent_id and w.status <> 'done')
        then 'workflow-done' end,
    newest.concurrency_limit is not null or newest.queue_limit is not null
from x join taskrpc.task t on t.id = x.id join taskrpc.definition d on d.rev = t.rev
cross join lateral taskrpc.newest_limits(t.name) newest
where x.n not in (select n from changed) and t.kind <> 'workflow';
