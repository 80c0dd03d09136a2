-- For the health pages and for the doctor.

-- name: ping
-- Whether the database answers and takes writes.
select not pg_is_in_recovery() as writable;

-- name: own_backend
-- Which process serves this connection: its id and since when it runs.
select pid, backend_start from pg_stat_activity where pid = pg_backend_pid();

-- name: backend_lives
-- Whether a connection that was lost still works in the database. $1 the id of its process, $2 since when that ran.
select exists (select from pg_stat_activity where pid = $1 and backend_start = $2) as lives;

-- name: confirm
-- Returns when everything that was committed before is as safe as a commit can be: with synchronous replication this
-- waits, like any commit after them, until a standby has them too. Without it there is nothing to wait for.
select pg_logical_emit_message(true, 'taskrpc', '') where current_setting('synchronous_standby_names') <> '';

-- name: server_facts
-- Version, size, settings and connections, for the doctor.
select current_setting('server_version') as version, pg_database_size(current_database()) as database_bytes,
    pg_is_in_recovery() as in_recovery, current_setting('synchronous_commit') as synchronous_commit,
    current_setting('max_connections')::int as max_connections,
    (select count(*) from pg_stat_activity where datname = current_database())::int as connections;

-- name: queue_sizes
-- What is open, per definition and status, and how many seconds ago the first of it became ready.
select kind, name, status, held, count(*)::int as tasks, extract(epoch from taskrpc.now() - min(ready_at))::float8 as oldest
from taskrpc.task where status <> 'done' group by kind, name, status, held order by kind, name, status, held;

-- name: pulse_age
-- Seconds since any server was last alive.
select extract(epoch from taskrpc.now() - at)::float8 as seconds from taskrpc.pulse;

-- name: overdue
-- Seconds by which the reaper is late.
select extract(epoch from taskrpc.now() - least(
    (select min(wake_at) from taskrpc.task where wake_at is not null),
    (select min(ends_at) from taskrpc.task where ends_at is not null),
    (select min(due_at) from taskrpc.task where due_at is not null)
))::float8 as seconds;

-- name: gate_faults
-- Gates whose count is not that of their tasks, or that hold tasks although there is room.
select g.key, g.lim, g.used, c.used as counted, c.held from taskrpc.gate g cross join lateral (
    select count(*) filter (where t.queue_gate = g.key or t.queued or t.status in ('requested', 'in-progress'))::int as used,
        count(*) filter (where t.held and t.gate = g.key)::int as held
    from taskrpc.task t where (t.gate = g.key or t.queue_gate = g.key) and t.status <> 'done'
) c
where g.used <> c.used or (c.held > 0 and g.used < g.lim) limit 100;

-- name: stuck_workflows
-- Workflows in progress in which nothing can happen any more: nothing is open, and nothing is in their inbox. Executions of
-- flows may also wait for a time, for somebody who resumes them, or for a slot.
select w.id, w.name from taskrpc.task w
where w.kind = 'workflow' and w.status = 'in-progress' and coalesce(w.state not in ('PAUSED', 'QUEUED'), true)
    and not exists (select from taskrpc.task t where t.open_in = w.id)
    and not exists (select from taskrpc.event e where e.workflow_id = w.id)
    and not exists (
        select from taskrpc.execution x join taskrpc.execution_timer m on m.execution = x.key where x.id = w.id
    )
limit 100;

-- name: xmin_holders
-- Who keeps vacuum from removing dead rows: sessions, replication slots, prepared transactions; oldest first.
select * from (
    select 'session ' || pid || coalesce(' of ' || nullif(application_name, ''), '') || ' (' || coalesce(state, 'unknown')
        || ')' as holder, greatest(age(backend_xmin), age(backend_xid)) as transactions,
        extract(epoch from clock_timestamp() - xact_start)::float8 as seconds, true as is_session
    from pg_stat_activity
    where coalesce(backend_xmin, backend_xid) is not null and pid <> pg_backend_pid()
        and (datname is null or datname = current_database())
    union all
    select 'replication slot ' || slot_name, age(coalesce(xmin, catalog_xmin)), null, false
    from pg_replication_slots where coalesce(xmin, catalog_xmin) is not null
    union all
    select 'prepared transaction ' || gid, age(transaction), extract(epoch from now() - prepared)::float8, false
    from pg_prepared_xacts
) holders order by transactions desc limit 10;

-- name: dead_rows
-- Dead rows per table, and when it was vacuumed last.
select relname as table, n_live_tup as live, n_dead_tup as dead, last_autovacuum
from pg_stat_user_tables where schemaname = 'taskrpc' order by n_dead_tup desc limit 5;
