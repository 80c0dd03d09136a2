-- The success of decisions: one transaction that locks decisions and workflows, starts what they say, ends what is done.

-- name: lock_decisions
-- Locks decisions that run, together with their workflows. $1 ids, $2 execIds.
select x.n, t.id, t.parent_id, t.rev
from unnest($1::text[], $2::text[]) with ordinality as x(id, exec_id, n)
join taskrpc.task t on t.id = x.id join taskrpc.task w on w.id = t.parent_id
where t.exec_id = x.exec_id and t.status = 'in-progress' and t.kind = 'decision' and w.status = 'in-progress'
order by t.id
for update of t, w skip locked;

-- name: find_outdated
-- Which of some revisions are not the newest ones of their names. $1 names, $2 revisions.
select x.name, x.rev from unnest($1::text[], $2::int[]) as x(name, rev)
where exists (select from taskrpc.definition newer where newer.name = x.name and newer.rev > x.rev);

-- name: succeed_decisions
-- Ends locked decisions. $1 ids, $2 ids of the calls, $3 results (or null). Edges: in-progress -success-> done.
with x as materialized (
    select * from unnest($1::text[], $2::text[], $3::text[]) as x(id, call_id, result)
), changed as (
    update taskrpc.task t set
        status = 'done', outcome = 'succeeded', result = x.result::json, error = null,
        bytes = t.bytes + coalesce(octet_length(x.result), 0),
        lease_at = null, due_at = null, open_in = null,
        expire_at = taskrpc.now()
            + taskrpc.ms(case when o.rev > 0 then d.retention else taskrpc.newest_retention(o.name) end),
        version = t.version + 1, updated_at = taskrpc.now(),
        call = 'success', call_id = x.call_id, call_at = taskrpc.now(), call_version = t.version + 1
    from x join taskrpc.task o on o.id = x.id join taskrpc.definition d on d.rev = o.rev
    where t.id = x.id
    returning d.run_timeout, t.*
), logged as (
    insert into taskrpc.log (task_id, kind, at, action, status_before, status_after, exec_id)
    select id, kind, updated_at, 'awf.task/success', 'in-progress', status, exec_id from changed order by id
)
select * from changed;

-- name: find_left_alone
-- Which of some locked workflows have nothing open any more, not even a decision, and nothing in their inbox: nothing can
-- happen in them. What ends meanwhile leaves one and comes into the other at once. $1 ids.
select x.id from unnest($1::text[]) as x(id)
where not exists (select from taskrpc.task t where t.open_in = x.id)
    and not exists (select from taskrpc.event e where e.workflow_id = x.id)
order by x.id;
