-- Workflows: how they begin, go on and end. The inbox (table event) and the decisions of a workflow are touched only by who
-- holds its row; like all rows it is never waited for. Rows come back with all columns of task.

-- name: create_workflows
-- Creates workflows with their first decisions; those that begin later get it when they do.
-- An element is left out when its id is taken, or when its definition has a newer revision than $4 says.
-- Arrays: $1 ids, $2 ids of the first decisions, $3 names, $4 revisions, $5 labels, $6 requesters, $7 workflows that they
-- belong to, $8 ranks, $9 executeAt, $10 ids of the calls, $11 params, $12 bytes, $13 what came
-- with it over REST, $14 where its outcome is posted to; of flows $15 the heads of their executions, which begin with an
-- event in place of a decision, and in whichever revision; $16 what they are for the flow that starts them.
-- Edges: created -create-> ready. Workflow edges: created -create-> created, created -create-> in-progress.
with x as materialized (
    select * from unnest(
        $1::text[], $3::text[], $4::int[], $5::text[], $6::text[], $7::text[], $8::int[],
        $9::timestamptz[], $10::text[], $11::text[], $12::int[], $13::text[], $14::text[], $15::text[], $16::text[]
    ) as x(id, name, rev, label, requester, parent_id, rank, execute_at, call_id, params, bytes, submission, callback, head,
        flow_part)
), first as materialized (
    select jsonb_object($1::text[], $2::text[]) as decisions, jsonb_object($1::text[], $15::text[]) as heads
), created as (
    insert into taskrpc.task (
        id, kind, name, rev, label, requester, parent_id, open_in, rank, execute_at, create_id, params, bytes, status,
        wake_at, drop_at, submission, callback, state, flow_part, created_at, updated_at
    )
    select x.id, 'workflow', x.name, x.rev, x.label, x.requester::json, x.parent_id, x.parent_id, x.rank, x.execute_at,
        x.call_id, x.params::json, x.bytes,
        case when later then 'created' else 'in-progress' end,
        case when later then x.execute_at end,
        taskrpc.now() + taskrpc.ms(d.timeout),
        x.submission::json, x.callback::json, x.head::json ->> 'state', x.flow_part, taskrpc.now(), taskrpc.now()
    from x join taskrpc.definition d on d.rev = x.rev
    cross join lateral (select coalesce(x.execute_at > taskrpc.now(), false) as later) l
    where x.head is not null
        or not exists (select from taskrpc.definition newer where newer.name = x.name and newer.rev > x.rev)
    order by x.id
    on conflict do nothing
    returning *
), executions as (
    insert into taskrpc.execution (id, head)
    select w.id, (first.heads ->> w.id)::json from created w, first where w.state is not null order by w.id
), begun as (
    insert into taskrpc.event (workflow_id, kind, subject, at)
    select id, 'workflow-init', id, created_at from created where state is not null and status = 'in-progress' order by id
), decisions as (
    insert into taskrpc.task (
        id, kind, name, rev, requester, parent_id, open_in, rank, params, status, queued, ready_at, created_at, updated_at
    )
    select first.decisions ->> w.id, 'decision', w.name, w.rev, taskrpc.workflow_as_requester(w.id), w.id, w.id, w.rank,
        taskrpc.decision_params('workflow-init', w.id), 'ready', true, taskrpc.now(), taskrpc.now(), taskrpc.now()
    from created w, first where w.status = 'in-progress' and w.state is null order by 1
    returning *
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after)
    select id, kind, created_at, 'awf.workflow/create-and-execute', 'created', status from created
    union all
    select id, kind, created_at, 'awf.task/create-and-execute', 'created', status from decisions order by 1
)
select * from created union all select * from decisions;

-- name: lock_workflows
-- Locks those of some workflows that are in progress and that nobody else holds. $1 ids.
select id from taskrpc.task
where id = any($1::text[]) and kind = 'workflow' and status = 'in-progress' and state is null
order by id for update skip locked;

-- name: turn_events
-- Turns the first event of workflows without an open decision into their next one. The workflows are locked, in a statement
-- before this one: so it sees all that was committed by whoever held them. $1 ids, $2 an id for a decision of each.
-- Answers the new decisions (not "failed") and decisions that have failed for good and so end their workflow.
-- Edges: created -create-> ready.
with idle as materialized (
    select x.decision_id, w.id, w.name, w.rev, w.rank
    from unnest($1::text[], $2::text[]) as x(id, decision_id) join taskrpc.task w on w.id = x.id
    where not exists (select from taskrpc.task d where d.open_in = w.id and d.kind = 'decision')
), head as materialized (
    select idle.*, e.seq, e.kind as event, e.subject from idle cross join lateral (
        select * from taskrpc.event e where e.workflow_id = idle.id order by e.seq limit 1
    ) e
), taken as (
    delete from taskrpc.event e using head where e.workflow_id = head.id and e.seq = head.seq
), decisions as (
    insert into taskrpc.task (
        id, kind, name, rev, requester, parent_id, open_in, rank, params, status, queued, ready_at, created_at, updated_at
    )
    select decision_id, 'decision', name, rev, taskrpc.workflow_as_requester(id), id, id, rank,
        taskrpc.decision_params(event, subject), 'ready', true, taskrpc.now(), taskrpc.now(), taskrpc.now()
    from head where event <> 'decision-failed' order by decision_id
    returning *
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after)
    select id, kind, created_at, 'awf.task/create-and-execute', 'created', status from decisions order by id
)
select false as failed, decisions.* from decisions
union all
select true, t.* from head join taskrpc.task t on t.id = head.subject where head.event = 'decision-failed';

-- name: end_workflows
-- Ends workflows that the transaction has locked. What they leave open is swept by whoever finds their last event.
-- $1 ids, $2 outcomes, $3 results, $4 errors, $5 reasons, $6 what the log says happened.
-- Workflow edges: in-progress -complete-workflow-> done, in-progress -fail-> done, in-progress -unknown-error-> done,
-- in-progress -decision-failed-> done, in-progress -nothing-left-to-do-> done.
with x as materialized (
    select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
        as x(id, outcome, result, error, reason, action)
), fit as materialized (
    select x.*, t.status,
        case when t.rev > 0 then d.retention else taskrpc.newest_retention(t.name) end as retention
    from x join taskrpc.task t on t.id = x.id join taskrpc.definition d on d.rev = t.rev
    where t.kind = 'workflow' and t.status <> 'done'
), changed as (
    update taskrpc.task t set
        status = 'done', outcome = fit.outcome, outcome_reason = fit.reason::json,
        result = fit.result::json, error = fit.error::json,
        bytes = t.bytes + coalesce(octet_length(fit.result), 0) + coalesce(octet_length(fit.error), 0),
        wake_at = null, drop_at = null, open_in = null, expire_at = taskrpc.expiry(fit.retention, t.submission, t.created_at),
        version = t.version + 1, updated_at = taskrpc.now()
    from fit where t.id = fit.id
    returning fit.status as status_before, fit.action, t.*
), told as (
    insert into taskrpc.event (workflow_id, kind, subject)
    select parent_id, 'workflow-completed', id from changed where parent_id is not null order by id
), emptied as (
    delete from taskrpc.event e using changed where e.workflow_id = changed.id
), left_open as (
    insert into taskrpc.event (workflow_id, kind, subject)
    select id, 'ended', id from changed c where exists (select from taskrpc.task t where t.open_in = c.id) order by id
    returning workflow_id
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after)
    select id, kind, updated_at, action, status_before, status from changed order by id
)
select c.*, c.id in (select workflow_id from left_open) as leaves_open from changed c;

-- name: cancel_workflows
-- Ends workflows at once, as calls of control.sql do; executions of flows are KILLED. What they leave open is swept by
-- whoever finds their last event; it cannot be looked for here, since this statement may be older than the lock.
-- $1 ids, $2 ids of the calls.
-- Workflow edges: created, in-progress -cancel-> done.
with x as materialized (
    select * from unnest($1::text[], $2::text[]) with ordinality as x(id, call_id, n)
), fit as materialized (
    select x.n, x.call_id, t.id, t.status,
        case when t.rev > 0 then d.retention else taskrpc.newest_retention(t.name) end as retention
    from x join taskrpc.task t on t.id = x.id join taskrpc.definition d on d.rev = t.rev
    where t.kind = 'workflow' and t.status <> 'done'
    order by t.id
    for update of t skip locked
), changed as (
    update taskrpc.task t set
        status = 'done', outcome = 'canceled', state = case when t.state is not null then 'KILLED' end,
        wake_at = null, drop_at = null, open_in = null, expire_at = taskrpc.expiry(fit.retention, t.submission, t.created_at),
        version = t.version + 1, updated_at = taskrpc.now(),
        call = 'cancel', call_id = fit.call_id, call_at = taskrpc.now(), call_version = t.version + 1
    from fit where t.id = fit.id
    returning true as applied, fit.n, fit.status as status_before, t.*
), told as (
    insert into taskrpc.event (workflow_id, kind, subject)
    select parent_id, 'workflow-completed', id from changed where parent_id is not null order by id
), emptied as (
    delete from taskrpc.event e using changed where e.workflow_id = changed.id and changed.state is null
), ended as (
    insert into taskrpc.event (workflow_id, kind, subject) select id, 'ended', id from changed order by id
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after)
    select id, kind, updated_at, 'awf.workflow/cancel', status_before, status from changed order by id
)
select *, null as obstacle from changed
union all
select false, x.n, t.status, t.*, null from x join taskrpc.task t on t.id = x.id
where x.n not in (select n from changed) and t.kind = 'workflow';

-- name: sweep
-- Cancels what done workflows have left open, a level down; executions of flows are KILLED. $1 their ids, $2 most rows.
-- Edges: waiting, ready, requested, in-progress -cancel-> done. Workflow edges: created, in-progress -cancel-> done.
with fit as materialized (
    select t.id, t.status, t.held,
        case when t.rev > 0 then d.retention else taskrpc.newest_retention(t.name) end as retention
    from unnest($1::text[]) as w(id) join taskrpc.task t on t.open_in = w.id join taskrpc.definition d on d.rev = t.rev
    order by t.id limit $2
    for update of t skip locked
), changed as (
    update taskrpc.task t set
        status = 'done', outcome = 'canceled', state = case when t.state is not null then 'KILLED' end,
        queued = false, held = false,
        wake_at = null, lease_at = null, due_at = null, drop_at = null, open_in = null,
        ends_at = null, listens = null,
        expire_at = taskrpc.expiry(fit.retention, t.submission, t.created_at),
        version = t.version + 1, updated_at = taskrpc.now(), call = null, call_id = null
    from fit where t.id = fit.id
    returning fit.status as status_before, fit.held as held_before, t.*
), emptied as (
    delete from taskrpc.event e using changed where e.workflow_id = changed.id and changed.state is null
), ended as (
    insert into taskrpc.event (workflow_id, kind, subject)
    select id, 'ended', id from changed where kind = 'workflow' order by id
), told as (
    insert into taskrpc.event (workflow_id, kind, subject)
    select parent_id, case kind when 'workflow' then 'workflow-completed' else 'task-completed' end, id
    from changed where flow_part is not null order by id
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after, exec_id)
    select id, kind, updated_at, case kind when 'workflow' then 'awf.workflow/cancel' else 'awf.task/cancel' end,
        status_before, status, exec_id
    from changed order by id
)
select * from changed;

-- name: close_inboxes
-- Empties the inboxes of workflows that are done, or gone, and have left nothing open; answers the others. $1 ids.
with closed as materialized (
    select x.id, not exists (select from taskrpc.task t where t.open_in = x.id) as is_closed
    from unnest($1::text[]) as x(id)
), emptied as (
    delete from taskrpc.event e using closed c where e.workflow_id = c.id and c.is_closed
        and not exists (select from taskrpc.execution x where x.id = c.id)
)
select id from closed where not is_closed;

-- name: list_inboxes
-- One page of the workflows that have something in their inbox, in the order of their ids, and whether it can be worked
-- off: no decision is open, or they are done; executions of flows are others' business. Finds what a server left behind
-- that died after a commit. $1 the id to begin after, $2 most rows.
with recursive inbox as (
    (select workflow_id, 1 as n from taskrpc.event where workflow_id > $1 order by workflow_id limit 1)
    union all
    select following.workflow_id, inbox.n + 1 from inbox cross join lateral (
        select e.workflow_id from taskrpc.event e where e.workflow_id > inbox.workflow_id order by e.workflow_id limit 1
    ) following
    where inbox.n < $2
)
select i.workflow_id as id, w.state is null and (coalesce(w.status, 'done') = 'done'
    or not exists (select from taskrpc.task d where d.open_in = w.id and d.kind = 'decision')) as unattended
from inbox i left join taskrpc.task w on w.id = i.workflow_id
order by i.workflow_id;
