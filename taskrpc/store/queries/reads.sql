-- Reading for people and programs; these run on connections of their own with a statement time-out.

-- name: list_ids
-- One page of tasks: ids and sizes. $1 kinds, $2 definitions, $3 definitions left out, $4 statuses, $5 outcomes,
-- $6 substring of id, label, definition or params, in lower case, $7 paths and $8 values of the resource,
-- $9 correlation id, $10 sort column (createdAt, lastUpdated), $11 descending, $12 most rows, $13 rows skipped.
select t.id, t.bytes from taskrpc.task t
where t.kind = any($1::text[])
    and ($2::text[] is null or taskrpc.value_at(t, '{definition}') = any($2))
    and ($3::text[] is null or taskrpc.value_at(t, '{definition}') <> all($3))
    and ($4::text[] is null or t.status = any($4))
    and ($5::text[] is null or t.outcome = any($5))
    and ($6::text is null or position($6 in lower(t.id)) > 0 or position($6 in lower(t.label)) > 0
        or position($6 in lower(t.name)) > 0 or position($6 in lower(t.params::text)) > 0)
    and not exists (
        select from unnest($7::text[], $8::text[]) f(path, value)
        where taskrpc.value_at(t, string_to_array(f.path, '.')) is distinct from f.value
    )
    and ($9::text is null or t.submission ->> 'correlationId' = $9)
order by
    case when $10 = 'createdAt' and not $11 then t.created_at end,
    case when $10 = 'createdAt' and $11 then t.created_at end desc,
    case when $10 = 'lastUpdated' and not $11 then t.updated_at end,
    case when $10 = 'lastUpdated' and $11 then t.updated_at end desc,
    case when not $11 then t.id end, case when $11 then t.id end desc
limit $12 offset $13;

-- name: list_total
-- How many tasks there are of the kind; counting ends at $10. Filters as in list_ids: $1 to $9.
select count(*) from (
    select from taskrpc.task t
    where t.kind = any($1::text[])
        and ($2::text[] is null or taskrpc.value_at(t, '{definition}') = any($2))
        and ($3::text[] is null or taskrpc.value_at(t, '{definition}') <> all($3))
        and ($4::text[] is null or t.status = any($4))
        and ($5::text[] is null or t.outcome = any($5))
        and ($6::text is null or position($6 in lower(t.id)) > 0 or position($6 in lower(t.label)) > 0
            or position($6 in lower(t.name)) > 0 or position($6 in lower(t.params::text)) > 0)
        and not exists (
            select from unnest($7::text[], $8::text[]) f(path, value)
            where taskrpc.value_at(t, string_to_array(f.path, '.')) is distinct from f.value
        )
        and ($9::text is null or t.submission ->> 'correlationId' = $9)
    limit $10
) counted;

-- name: settings_of_task
-- What a task's own revision of its definition says. $1 id.
select d.* from taskrpc.task t join taskrpc.definition d on d.rev = t.rev where t.id = $1;

-- name: log_of_task
-- The history of one task, oldest first. $1 its id, $2 most rows.
select * from taskrpc.log where task_id = $1 order by seq limit $2;

-- name: log_entry
-- One row of the log. $1 the task's id, $2 its number.
select * from taskrpc.log where task_id = $1 and seq = $2;

-- name: list_log
-- One page of the log. $1 id of a task (or null), $2 paths and $3 values, $4 descending, $5 most rows, $6 rows skipped.
select l.* from taskrpc.log l
where ($1::text is null or l.task_id = $1)
    and not exists (
        select from unnest($2::text[], $3::text[]) f(path, value)
        where taskrpc.value_at(l, string_to_array(f.path, '.')) is distinct from f.value
    )
order by case when not $4 then l.at end, case when $4 then l.at end desc,
    case when not $4 then l.seq end, case when $4 then l.seq end desc
limit $5 offset $6;

-- name: list_log_total
-- How many rows of the log there are; counting ends at $4. Filters as in list_log: $1 to $3.
select count(*) from (
    select from taskrpc.log l
    where ($1::text is null or l.task_id = $1)
        and not exists (
            select from unnest($2::text[], $3::text[]) f(path, value)
            where taskrpc.value_at(l, string_to_array(f.path, '.')) is distinct from f.value
        )
    limit $4
) counted;

-- name: find_done
-- Which of some tasks are done, or are not there. $1 ids.
select x.id from unnest($1::text[]) as x(id) left join taskrpc.task t on t.id = x.id
where t.id is null or t.status = 'done';

-- name: count_children
-- How much belongs to a workflow. $1 its id, $2 kinds.
select count(*)::int as number, coalesce(sum(bytes), 0)::bigint as bytes from taskrpc.task
where parent_id = $1 and kind = any($2::text[]);

-- name: children
-- What belongs to a workflow, in the order of its creation. $1 its id, $2 kinds.
select t.*, d.run_timeout from taskrpc.task t join taskrpc.definition d on d.rev = t.rev
where t.parent_id = $1 and t.kind = any($2::text[])
order by t.created_at, t.id;
