-- Executions of flows: read, and changed by one step after the other. What a step has worked out takes effect only if the
-- execution is as it was read; docs/design.md tells more.

-- name: execution
-- An execution with its workflow. $1 id.
select e.key, e.id, e.version, e.head, e.ending, t.rev, t.name, t.status, t.outcome, t.state
from taskrpc.execution e join taskrpc.task t on t.id = e.id where e.id = $1;

-- name: execution_server
-- Which server has taken the last step of an execution. $1 id.
select e.server from taskrpc.execution e where e.id = $1;

-- name: execution_runs
-- The runs of an execution, in the order of their numbers; outputs that are longer than $2 bytes are left out.
-- $1 the execution's key.
select n, parent, body, fixed, octet_length(outputs::text) as size,
    case when octet_length(outputs::text) <= $2 then outputs end as outputs
from taskrpc.execution_run where execution = $1 order by n;

-- name: add_runs
-- Gives a new execution the runs that it begins with. $1 id, $2 numbers, $3 parents, $4 bodies, $5 fixed, $6 outputs.
insert into taskrpc.execution_run (execution, n, parent, body, fixed, outputs)
select e.key, x.n, x.parent, x.body::json, x.fixed::json, x.outputs::json
from taskrpc.execution e,
    unnest($2::int[], $3::int[], $4::text[], $5::text[], $6::text[]) as x(n, parent, body, fixed, outputs)
where e.id = $1;

-- name: execution_outputs
-- The outputs of a run. $1 the execution's id, $2 its number.
select r.outputs from taskrpc.execution e join taskrpc.execution_run r on r.execution = e.key
where e.id = $1 and r.n = $2;

-- name: execution_inbox
-- The first events of an execution, with what they are about. $1 id, $2 most events, $3 most bytes of results.
select * from (
    select e.seq, e.kind, e.subject, e.body, coalesce(e.at, t.updated_at, taskrpc.now()) as at,
        t.kind as subject_kind, t.label, t.outcome, t.outcome_reason, t.result, t.error, t.state, x.ending,
        sum(coalesce(t.bytes, 0)) over (order by e.seq) - coalesce(t.bytes, 0) as bytes_before
    from (select * from taskrpc.event where workflow_id = $1 order by seq limit $2) e
    left join taskrpc.task t on t.id = e.subject left join taskrpc.execution x on x.id = t.id
) inbox
where bytes_before < $3 order by seq;

-- name: advance_execution
-- Takes the step of an execution, if its version is still $2, its workflow's status still $3, and nobody else holds that:
-- its head, its runs, its events, its timers, its log. Answers the time; no row where it is not so.
-- $1 key, $2 version, $3 status, $4 the server, $5 head, $6 what it ended with (or null), $7 numbers of runs that are gone;
-- runs: $8 numbers, $9 parents, $10 bodies, $11 fixed, $12 outputs (both null where they are as they were);
-- $13 numbers of events that were taken; new events: $14 kinds, $15 subjects, $16 bodies;
-- $17 runs whose timers are over; timers: $18 runs, $19 kinds, $20 tags, $21 times (microseconds);
-- log: $22 times (microseconds), $23 entries.
with held as materialized (
    select t.id from taskrpc.execution e join taskrpc.task t on t.id = e.id
    where e.key = $1 and t.status = $3 for update of t skip locked
), fence as materialized (
    update taskrpc.execution e set version = version + 1, server = $4, head = $5::json, ending = coalesce($6::json, ending)
    from held where e.key = $1 and e.version = $2 and e.id = held.id
    returning e.key, e.id
), gone as (
    delete from taskrpc.execution_run r using fence f where r.execution = f.key and r.n = any($7::int[])
), written as (
    insert into taskrpc.execution_run as r (execution, n, parent, body, fixed, outputs)
    select f.key, x.n, x.parent, x.body::json, x.fixed::json, x.outputs::json
    from fence f, unnest($8::int[], $9::int[], $10::text[], $11::text[], $12::text[]) as x(n, parent, body, fixed, outputs)
    on conflict (execution, n) do update set
        body = excluded.body, fixed = coalesce(excluded.fixed, r.fixed), outputs = coalesce(excluded.outputs, r.outputs)
), taken as (
    delete from taskrpc.event e using fence f where e.workflow_id = f.id and e.seq = any($13::bigint[])
), told as (
    insert into taskrpc.event (workflow_id, kind, subject, at, body)
    select f.id, x.kind, x.subject, taskrpc.now(), x.body::json
    from fence f, unnest($14::text[], $15::text[], $16::text[]) as x(kind, subject, body)
), over as (
    delete from taskrpc.execution_timer t using fence f where t.execution = f.key and t.run = any($17::int[])
), timers as (
    insert into taskrpc.execution_timer (execution, run, kind, tag, at, workflow_id)
    select f.key, x.run, x.kind, x.tag, taskrpc.at_microseconds(x.at), f.id
    from fence f, unnest($18::int[], $19::text[], $20::int[], $21::bigint[]) as x(run, kind, tag, at)
    on conflict (execution, run, kind, tag) do update set at = excluded.at
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, params)
    select f.id, 'workflow', taskrpc.at_microseconds(x.at), 'awf.workflow/log', x.entry::json
    from fence f, unnest($22::bigint[], $23::text[]) with ordinality as x(at, entry, n) order by x.n
)
select taskrpc.now() as now from fence;

-- name: break_execution
-- Ends an execution that cannot go on, if it is as it was read and nobody else holds its workflow; empties its inbox.
-- $1 key, $2 version, $3 what it ended with.
with held as materialized (
    select t.id from taskrpc.execution e join taskrpc.task t on t.id = e.id where e.key = $1 for update of t skip locked
), fence as materialized (
    update taskrpc.execution e set version = version + 1, ending = $3::text::json from held
    where e.key = $1 and e.version = $2 and e.id = held.id
    returning e.key, e.id
), emptied as (
    delete from taskrpc.event e using fence f where e.workflow_id = f.id and e.kind <> 'unwanted'
), timers as (
    delete from taskrpc.execution_timer t using fence f where t.execution = f.key
)
select id from fence;

-- name: enter_state
-- Shows the state of an execution on its workflow, which is locked, if it is another. $1 id, $2 state.
update taskrpc.task set state = $2, version = version + 1, updated_at = taskrpc.now()
where id = $1 and state is distinct from $2
returning *;

-- name: end_execution
-- Ends the workflow of an execution, which is locked. $1 id, $2 state, $3 outcome, $4 result, $5 error, $6 reason.
-- Workflow edges: in-progress -flow-ended-> done.
with fit as materialized (
    select t.id, t.status, case when t.rev > 0 then d.retention else taskrpc.newest_retention(t.name) end as retention
    from taskrpc.task t join taskrpc.definition d on d.rev = t.rev
    where t.id = $1 and t.status <> 'done'
), changed as (
    update taskrpc.task t set
        status = 'done', state = $2, outcome = $3,
        result = $4::text::json, error = $5::text::json, outcome_reason = $6::text::json,
        bytes = t.bytes + coalesce(octet_length($4::text), 0) + coalesce(octet_length($5::text), 0),
        wake_at = null, drop_at = null, open_in = null,
        expire_at = taskrpc.expiry(fit.retention, t.submission, t.created_at),
        version = t.version + 1, updated_at = taskrpc.now()
    from fit where t.id = fit.id
    returning fit.status as status_before, t.*
), told as (
    insert into taskrpc.event (workflow_id, kind, subject)
    select parent_id, 'workflow-completed', id from changed where parent_id is not null
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after)
    select id, kind, updated_at, 'awf.workflow/flow-ended', status_before, status from changed
)
select * from changed;

-- name: leave_unwanted
-- Notes what of an execution is open and not wanted any more, as events of its own. $1 id, $2 of which definitions
-- (null: of any).
insert into taskrpc.event (workflow_id, kind, subject, at)
select $1, 'unwanted', t.id, taskrpc.now() from taskrpc.task t
where t.open_in = $1 and ($2::text[] is null or t.name = any($2)) order by t.id;

-- name: execution_endings
-- What executions have ended with. $1 ids.
select e.id, e.ending from unnest($1::text[]) as x(id) join taskrpc.execution e on e.id = x.id where e.ending is not null;

-- name: tell_end_again
-- Tells an execution once more how a subflow has ended. $1 id, $2 number of the event that asks for it, $3 the subflow.
with asked as (
    delete from taskrpc.event where workflow_id = $1 and seq = $2 and kind = 'again' returning workflow_id
)
insert into taskrpc.event (workflow_id, kind, subject)
select a.workflow_id, 'workflow-completed', t.id from asked a join taskrpc.task t on t.id = $3 and t.status = 'done';

-- name: done_chore
-- Puts what became of a chore in the place of its event. $1 id, $2 number of the event, $3 what became of it.
with done as (
    delete from taskrpc.event where workflow_id = $1 and seq = $2 and kind = 'chore' returning workflow_id
)
insert into taskrpc.event (workflow_id, kind, subject, at, body)
select workflow_id, 'done-here', workflow_id, taskrpc.now(), $3::text::json from done;

-- name: forget_unwanted
-- Deletes events about what was canceled, or was done already. $1 id, $2 numbers of events.
delete from taskrpc.event where workflow_id = $1 and seq = any($2::bigint[]) and kind = 'unwanted';

-- name: fire_timers
-- Tells executions that the time of their timers has come. $1 most rows.
with due as materialized (
    select execution, run, kind, tag from taskrpc.execution_timer
    where at <= taskrpc.now() order by at limit $1 for update skip locked
), fired as (
    delete from taskrpc.execution_timer t using due d
    where t.execution = d.execution and t.run = d.run and t.kind = d.kind and t.tag = d.tag
    returning t.*
)
insert into taskrpc.event (workflow_id, kind, subject, at, body)
select workflow_id, 'timer', workflow_id, taskrpc.now(), json_build_object('run', run, 'kind', kind, 'tag', tag)
from fired order by at, workflow_id, run
returning workflow_id;

-- name: list_execution_inboxes
-- One page of the executions that have something in their inbox, in the order of their ids, with the number of the first
-- event. $1 the id to begin after, $2 most rows.
with recursive inbox as (
    (select workflow_id, seq, 1 as n from taskrpc.event where workflow_id > $1 order by workflow_id, seq limit 1)
    union all
    select following.workflow_id, following.seq, inbox.n + 1 from inbox cross join lateral (
        select e.workflow_id, e.seq from taskrpc.event e where e.workflow_id > inbox.workflow_id
        order by e.workflow_id, e.seq limit 1
    ) following
    where inbox.n < $2
)
select i.workflow_id as id, i.seq, x.id is not null as is_execution
from inbox i left join taskrpc.execution x on x.id = i.workflow_id order by i.workflow_id;

-- name: delete_gone_runs
-- Deletes a slice of the runs of executions that were deleted, and their timers and slots. $1 most rows.
with doomed as materialized (
    select r.execution, r.n from taskrpc.execution_gone g cross join lateral (
        select execution, n from taskrpc.execution_run where execution = g.execution limit $1
    ) r limit $1
), timers as (
    delete from taskrpc.execution_timer t using taskrpc.execution_gone g where t.execution = g.execution
), slots as (
    delete from taskrpc.execution_slot s using taskrpc.execution_gone g where s.execution = g.execution
)
delete from taskrpc.execution_run r using doomed d where r.execution = d.execution and r.n = d.n returning r.n;

-- name: find_gone
-- Executions that were deleted and have no runs left. $1 most rows.
select g.execution, g.workflow_id from taskrpc.execution_gone g
where not exists (select from taskrpc.execution_run r where r.execution = g.execution) order by g.execution limit $1;

-- name: forget_gone
-- Nothing is left of these executions. $1 their keys.
delete from taskrpc.execution_gone where execution = any($1::bigint[]);

-- name: size_of_runs
-- How many runs an execution has, and how long their texts are. $1 its id.
select count(*)::int as number,
    coalesce(sum(octet_length(r.body::text) + coalesce(octet_length(r.outputs::text), 0)), 0)::bigint as bytes
from taskrpc.execution e join taskrpc.execution_run r on r.execution = e.key where e.id = $1;

-- name: shown_runs
-- The runs of an execution with what people see of them. $1 its id.
select r.n, r.parent, r.body, r.outputs
from taskrpc.execution e join taskrpc.execution_run r on r.execution = e.key where e.id = $1 order by r.n;

-- name: labels_of_execution
-- The labels of an execution as they are now. $1 its id.
select e.head -> 'labels' as labels from taskrpc.execution e where e.id = $1;

-- name: errors_of_runs
-- What went wrong in an execution, from its log, the oldest first. $1 its id, $2 most rows.
select l.params from taskrpc.log l
where l.task_id = $1 and l.action = 'awf.workflow/log' and l.params ->> 'level' = 'ERROR' order by l.seq limit $2;

-- name: resume_execution
-- Has an execution told that a run of it goes on, once per call. $1 id, $2 what the event says, $3 id of the call.
with changed as (
    update taskrpc.task t set call = 'resume', call_id = $3, call_at = taskrpc.now(), call_version = t.version + 1,
        version = t.version + 1, updated_at = taskrpc.now()
    from (
        select id from taskrpc.task
        where id = $1 and status = 'in-progress' and state = 'PAUSED' and (call, call_id) is distinct from ('resume', $3)
        for update skip locked
    ) fit
    where t.id = fit.id
    returning t.*
), told as (
    insert into taskrpc.event (workflow_id, kind, subject, at, body)
    select id, 'resumed', id, taskrpc.now(), $2::text::json from changed
)
select * from changed;

-- name: restart_execution
-- Begins a new generation of an execution's workflow, if it is done or paused and was not killed, and has the execution
-- told. $1 id, $2 version of the execution that was looked at, $3 id of the call.
-- Workflow edges: done -restart-> in-progress.
with changed as (
    update taskrpc.task t set
        status = 'in-progress', outcome = null, outcome_reason = null, result = null, error = null, expire_at = null,
        bytes = coalesce(octet_length(t.params::text), 0),
        open_in = (select p.id from taskrpc.task p where p.id = t.parent_id and p.status <> 'done'),
        call = 'restart', call_id = $3, call_at = taskrpc.now(), call_version = t.version + 1,
        version = t.version + 1, updated_at = taskrpc.now()
    from (
        select w.id, w.status from taskrpc.task w join taskrpc.execution e on e.id = w.id
        where w.id = $1 and (w.status = 'done' or w.state = 'PAUSED') and w.state <> 'KILLED' and e.version = $2
            and (w.call, w.call_id) is distinct from ('restart', $3)
        for update of w, e skip locked
    ) fit
    where t.id = fit.id
    returning fit.status as status_before, t.*
), cleared as (
    update taskrpc.execution e set ending = null, version = e.version + 1 from changed c where e.id = c.id
), told as (
    insert into taskrpc.event (workflow_id, kind, subject, at) select id, 'restarted', id, taskrpc.now() from changed
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after)
    select id, kind, updated_at, 'awf.workflow/restart', status_before, status from changed
)
select * from changed;
