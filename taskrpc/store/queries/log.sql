-- name: log_partitions
-- The days that have a partition of the log.
select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'taskrpc.log'::regclass order by 1;

-- name: today
-- The day, by the database's clock, in UTC.
select (taskrpc.now() at time zone 'UTC')::date as day;

-- name: trim_default_log
-- Deletes what is too old from the partition that takes what has no day of its own. $1 days.
delete from taskrpc.log_default where at < taskrpc.now() - make_interval(days => $1);
