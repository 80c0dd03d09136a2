-- Tasks and workflows of one definition for those who use REST, by whichever door they came. Status: see the function
-- submission_status.

-- name: statuses_of_name
-- All of one definition, the oldest first. $1 its name, $2 statuses (or null for all), $3 most rows.
select t.id, taskrpc.submission_status(t) as status from taskrpc.task t
where t.name = $1 and t.kind in ('task', 'workflow') and ($2::text[] is null or taskrpc.submission_status(t) = any($2))
order by t.created_at, t.id limit $3;

-- name: statuses_of_ids
-- Those of some ids that are of one definition, in the order of the ids. $1 its name, $2 ids.
select t.id, taskrpc.submission_status(t) as status
from unnest($2::text[]) with ordinality as x(id, n) join taskrpc.task t on t.id = x.id
where t.name = $1 and t.kind in ('task', 'workflow') order by x.n;

-- name: submission
-- One of them with its status. $1 the definition's name, $2 id.
select t.*, taskrpc.submission_status(t) as submission_status from taskrpc.task t
where t.id = $2 and t.name = $1 and t.kind in ('task', 'workflow');

-- name: kind_of_name
-- Of which kind the tasks of a name are, or no row if there are none. $1 name.
select t.kind from taskrpc.task t where t.name = $1 and t.kind in ('task', 'workflow') limit 1;

-- name: lock_submissions
-- Locks those that are to be deleted; "is_kept" what belongs to a workflow that is not done.
-- $1 ids, $2 the definition's name, $3 statuses (or null for all).
with fit as materialized (
    select t.* from unnest($1::text[]) as x(id) join taskrpc.task t on t.id = x.id
    where t.name = $2 and t.kind in ('task', 'workflow') and ($3::text[] is null or taskrpc.submission_status(t) = any($3))
    order by t.id
    for update of t skip locked
)
select fit.*, exists (select from taskrpc.task w where w.id = fit.parent_id and w.status <> 'done') as is_kept from fit;

-- name: lock_below
-- Locks what belongs to locked workflows: what a level of them has started, and their decisions. $1 their ids.
select t.* from unnest($1::text[]) as x(id) join taskrpc.task t on t.parent_id = x.id
order by t.id for update of t skip locked;

-- name: count_below
-- How many tasks and workflows belong to some workflows, to find out whether a lock was missed. $1 ids of the workflows.
select count(*)::int as number from taskrpc.task where parent_id = any($1::text[]);

-- name: delete_traces
-- Deletes locked tasks and workflows with everything that is known of them. $1 ids.
with gone as (
    delete from taskrpc.task where id = any($1::text[]) returning id, state
), executions as (
    delete from taskrpc.execution e using gone d where d.state is not null and e.id = d.id returning e.key, e.id
), runs as (
    insert into taskrpc.execution_gone select key, id from executions order by key
), emptied as (
    delete from taskrpc.event where workflow_id = any($1::text[])
), forgotten as (
    delete from taskrpc.log where task_id = any($1::text[])
)
select id from gone;
