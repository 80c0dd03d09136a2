-- Deleting what is done: in small slices, so that nobody waits for it. Whether a workflow goes on is looked up with a limit:
-- where nearly everything is done, a join would rather read the whole table.

-- name: delete_expired
-- Deletes done tasks and workflows whose retention has passed; what belongs to a workflow that is not done is looked at
-- again in $2 ms. What came over REST leaves no traces: the log goes too, and what such a workflow has started follows.
-- $1 most rows.
with fit as materialized (
    select t.id, w.goes_on is not null as is_kept
    from taskrpc.task t left join lateral (
        select true as goes_on from taskrpc.task w where w.id = t.parent_id and w.status <> 'done' limit 1
    ) w on true
    where t.expire_at <= taskrpc.now()
    order by t.expire_at limit $1
    for update of t skip locked
), kept as (
    update taskrpc.task t set expire_at = taskrpc.now() + taskrpc.ms($2) from fit where t.id = fit.id and fit.is_kept
), deleted as (
    delete from taskrpc.task t using fit where t.id = fit.id and not fit.is_kept and t.status = 'done'
    returning t.id, t.kind, t.state, t.submission is not null as is_traceless
), executions as (
    delete from taskrpc.execution e using deleted d where d.state is not null and e.id = d.id returning e.key, e.id
), gone as (
    insert into taskrpc.execution_gone select key, id from executions order by key
), forgotten as (
    delete from taskrpc.log l using deleted d where d.is_traceless and l.task_id = d.id
), below as (
    update taskrpc.task t set
        submission = coalesce(t.submission, '{}'),
        expire_at = case when t.status = 'done' then taskrpc.now() end
    from deleted d where d.is_traceless and d.kind = 'workflow' and t.parent_id = d.id
)
select id from deleted;

-- name: next_expiry
-- How many seconds remain until a retention has passed; null when none is counted.
select extract(epoch from min(expire_at) - taskrpc.now())::float8 as seconds
from taskrpc.task where expire_at is not null;

-- name: old_enough
-- Since when a task must not have changed to be old. $1 how old, as PostgreSQL writes intervals.
select taskrpc.now() - $1::text::interval as at;

-- name: clean_up
-- Deletes done tasks for a clean-up, if that is executed still: those of a page of tasks, in the order of creation. The
-- same statement counts them, in the clean-up's feedback and progress, and prolongs its lease.
-- $1 id and $2 execId of the clean-up, $3 nothing that changed later, $4 definitions (or null), $5 definitions left out
-- (or null), $6 time and $7 id of the last task of the former page, $8 most tasks.
with clean_up as materialized (
    select t.id, d.run_timeout from taskrpc.task t join taskrpc.definition d on d.rev = t.rev
    where t.id = $1 and t.exec_id = $2 and t.status = 'in-progress' and not t.stop_requested
    for update of t skip locked
), page as materialized (
    select t.id, t.created_at, t.status = 'done' and t.updated_at <= $3
        and ($4::text[] is null or t.name = any($4)) and ($5::text[] is null or t.name <> all($5)) as fits
    from taskrpc.task t
    where (t.created_at, t.id) > ($6::timestamptz, $7::text) and t.created_at <= $3
        and exists (select from clean_up)
    order by t.created_at, t.id limit $8
), doomed as materialized (
    select t.id from page join taskrpc.task t on t.id = page.id left join lateral (
        select true as goes_on from taskrpc.task w where w.id = t.parent_id and w.status <> 'done' limit 1
    ) w on true
    where page.fits and t.status = 'done' and w.goes_on is null
    order by t.id
    for update of t skip locked
), deleted as (
    delete from taskrpc.task t using doomed where t.id = doomed.id returning t.id, t.kind, t.state
), executions as (
    delete from taskrpc.execution e using deleted d where d.state is not null and e.id = d.id returning e.key, e.id
), gone as (
    insert into taskrpc.execution_gone select key, id from executions order by key
), counted as (
    select count(*) filter (where kind <> 'workflow') as tasks, count(*) filter (where kind = 'workflow') as workflows
    from deleted
), told as (
    update taskrpc.task t set
        progress = json_build_object('current', n.tasks + n.workflows, 'unit', 'rows'),
        feedback = json_build_object('deletedRowsCount', json_build_object(
            'AidboxTask', n.tasks, 'AidboxTaskLog', 0, 'AidboxWorkflow', n.workflows)),
        lease_at = taskrpc.now() + taskrpc.ms(c.run_timeout),
        version = t.version + 1, updated_at = taskrpc.now()
    from clean_up c cross join counted cross join lateral (
        select counted.tasks + coalesce((b.feedback #>> '{deletedRowsCount,AidboxTask}')::bigint, 0) as tasks,
            counted.workflows + coalesce((b.feedback #>> '{deletedRowsCount,AidboxWorkflow}')::bigint, 0) as workflows
        from taskrpc.task b where b.id = c.id
    ) n
    where t.id = c.id
    returning t.feedback
)
select told.feedback, last.created_at as at, last.id
from told left join lateral (select created_at, id from page order by created_at desc, id desc limit 1) last on true;
