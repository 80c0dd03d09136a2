-- name: definitions
-- The newest revision of every definition, for the servers' memory; a flow's document is left out.
select distinct on (name) rev, name, kind, case when kind <> 'flow' then spec end as spec, deleted
from taskrpc.definition where rev > 0 order by name, rev desc;

-- name: definition_by_rev
-- One revision. $1 its number.
select * from taskrpc.definition where rev = $1;

-- name: newest_rev
-- The number of the newest revision of all: a server whose number is lower reads the definitions again.
select coalesce(max(rev), 0) from taskrpc.definition;

-- name: lock_tasks
-- Holds off every change of tasks while a definition's limits change; readers go on.
lock table taskrpc.task in share row exclusive mode;

-- name: put_definition
-- Adds a revision. $1 name, $2 kind, $3 spec, $4 requestedToStartTimeout, $5 inProgressTimeout, $6 allowedRetryCount,
-- $7 retryDelay, $8 factor, $9 max and $10 jitter of the back-off, $11 timeout, $12 concurrencyLimit, $13 queueLimit,
-- $14 retention, $15 has a schema for results, $16 for errors, $17 is deleted.
insert into taskrpc.definition (
    name, kind, spec, requested_timeout, run_timeout, allowed_retry_count, retry_delay, backoff_factor, backoff_max,
    backoff_jitter, timeout, concurrency_limit, queue_limit, retention, checks_result, checks_error, deleted, created_at
) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, taskrpc.now())
returning *;

-- name: spread_retention
-- Has the retention of a name hold for all tasks that end from now on, whatever revision they were created with. $1 name,
-- $2 retention.
update taskrpc.definition set retention = $2 where name = $1 and retention is distinct from $2;

-- name: newest_definition
-- The newest revision of one name. $1 name.
select * from taskrpc.definition where name = $1 order by rev desc limit 1;

-- name: regate
-- Gives the open tasks of a definition the gates of its new limits; those that are ready are held until they are
-- admitted. $1 name, $2 has a concurrencyLimit, $3 gate of the queueLimit (or null).
update taskrpc.task t set
    gate = case when $2 then taskrpc.gate_key(t.name, t.gate_value) end,
    queue_gate = $3,
    held = $2 and t.status = 'ready',
    queued = not $2 and t.status = 'ready',
    backdated = taskrpc.is_backdated(t.ready_at)
where t.kind = 'task' and t.name = $1 and t.status <> 'done';

-- name: forget_gates
-- Removes the gates of a definition. $1 name.
delete from taskrpc.gate
where key = taskrpc.queue_gate_key($1) or starts_with(key, taskrpc.gate_key($1, null));

-- name: rebuild_gates
-- Makes the gates of a definition from its open tasks. $1 name, $2 concurrencyLimit, $3 queueLimit.
insert into taskrpc.gate (key, lim, used)
select gate, $2::int, count(*) filter (where status in ('requested', 'in-progress'))
from taskrpc.task where kind = 'task' and name = $1 and status <> 'done' and gate is not null group by gate
union all
select queue_gate, $3::int, count(*)
from taskrpc.task where kind = 'task' and name = $1 and status <> 'done' and queue_gate is not null
group by queue_gate
order by 1;

-- name: gates_of_definition
-- The gates that a definition's open tasks name. $1 name.
select distinct gate as key from taskrpc.task
where kind = 'task' and name = $1 and status <> 'done' and gate is not null order by 1;

-- name: remember_file
-- Notes that a file of definitions was applied; answers no row when it was before. $1 digest, $2 path.
insert into taskrpc.definition_file (digest, path, applied_at) values ($1, $2, taskrpc.now())
on conflict do nothing returning digest;

-- name: drop_submissions
-- Has the reaper drop what came over REST for a definition that is deleted and is not done yet. $1 name.
update taskrpc.task t set drop_at = taskrpc.now()
where t.name = $1 and t.kind in ('task', 'workflow') and t.submission is not null and t.status <> 'done';
