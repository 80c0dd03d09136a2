-- Asynchronous workflows over REST: what came with a submission, and how long its traces are kept; keys; callbacks.

-- What came over REST with a task or workflow, null for all others: {correlationId?, verboseErrorOutput?, request?}, where
-- "request" is the body if the params differ from it (defaults were filled in).
alter table taskrpc.task add column submission json;
create index task_correlation on taskrpc.task ((submission ->> 'correlationId'))
where submission ->> 'correlationId' is not null;

-- When something that ends now is deleted: its definition's retention later; what came over REST 24 hours after its
-- creation, and so that its outcome can be fetched for an hour at least.
create function taskrpc.expiry(retention bigint, submission json, created_at timestamptz) returns timestamptz
language sql stable parallel safe as $$
    select case
        when retention is not null then taskrpc.now() + taskrpc.ms(retention)
        when submission is not null then greatest(created_at + interval '24 hours', taskrpc.now() + interval '1 hour')
    end
$$;

-- The status of a task or workflow for those who use REST.
create function taskrpc.submission_status(t taskrpc.task) returns text
language sql stable parallel safe as $$
    select case
        when t.status in ('created', 'waiting') and t.retry_count = 0 then 'SUBMITTED'
        when t.status <> 'done' then 'RUNNING'
        when t.outcome = 'succeeded' then 'COMPLETED'
        when t.outcome_reason ->> 'type' = 'awf.task/dropped' then 'DROPPED'
        else 'ERROR'
    end
$$;

-- Who may call: a key is told to its owner once, only its digest is kept.
create table taskrpc.access_key (
    name text collate "C" primary key,
    role text collate "C" not null check (role in ('executor', 'user', 'admin')),
    digest bytea not null,
    -- null: all definitions
    definitions text[] collate "C",
    created_at timestamptz not null
);

-- Where the outcome of a task or workflow is posted to when it is done: {url, headers?}; of a callback itself where it goes.
alter table taskrpc.task add column callback json;
create index task_callback on taskrpc.task (id) where callback is not null;

-- What callbacks are signed with: one for all servers of the database. 244 random bits.
create table taskrpc.callback_secret (
    one boolean primary key default true check (one),
    secret bytea not null
);
insert into taskrpc.callback_secret (secret)
values (sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')));

-- The outcome of a task or workflow, as callbacks tell it.
create function taskrpc.outcome_of(t taskrpc.task) returns json
language sql stable parallel safe as $$
    select json_strip_nulls(json_build_object(
        'id', t.id,
        'resourceType', case t.kind when 'workflow' then 'AidboxWorkflow' else 'AidboxTask' end,
        'status', t.status, 'definition', t.name, 'label', t.label, 'outcome', t.outcome,
        'correlationId', t.submission ->> 'correlationId', 'outcomeReason', t.outcome_reason,
        'meta', json_build_object('createdAt', taskrpc.rfc3339(t.created_at),
            'lastUpdated', taskrpc.rfc3339(t.updated_at), 'versionId', t.version::text)))
$$;

-- Every end writes a row of the log; where somebody wants to be called back, it becomes a task in the same transaction.
create function taskrpc.call_back() returns trigger language plpgsql as $$
begin
    if exists (select from logged where status_after = 'done')
        and exists (select from taskrpc.task where callback is not null) then
        with due as (
            insert into taskrpc.task (id, kind, name, rev, requester, rank, params, callback, bytes, status, queued,
                ready_at, created_at, updated_at)
            select gen_random_uuid()::text, 'task', d.name, d.rev,
                json_build_object('id', t.id, 'resourceType', p.params #>> '{resource,resourceType}'),
                0, p.params, t.callback, octet_length(p.params::text), 'ready', true,
                taskrpc.now(), taskrpc.now(), taskrpc.now()
            from logged l
            join taskrpc.task t on t.id = l.task_id
            cross join lateral (
                select * from taskrpc.definition n where n.name = 'awf.task/callback' order by rev desc limit 1
            ) d
            cross join lateral (
                select ('{"url":' || (t.callback -> 'url')::text || ',"resource":' || left(o.outcome::text, -1)
                    || coalesce(',"result":' || t.result::text, '') || coalesce(',"error":' || t.error::text, '')
                    || '}}')::json as params
                from (select taskrpc.outcome_of(t) as outcome) o
            ) p
            where l.status_after = 'done' and l.status_before <> 'done' and t.status = 'done'
                and t.callback is not null and t.name <> 'awf.task/callback'
            order by 1
            returning *
        )
        insert into taskrpc.log (task_id, kind, at, action, status_before, status_after)
        select id, kind, created_at, 'awf.task/create-and-execute', 'created', status from due order by id;
    end if;
    return null;
end
$$;
create trigger call_back after insert on taskrpc.log
    referencing new table as logged for each statement execute function taskrpc.call_back();

insert into taskrpc.definition (name, spec, run_timeout, allowed_retry_count, retry_delay, backoff_factor, backoff_max,
    backoff_jitter, retention, created_at)
values ('awf.task/callback', '{"inProgressTimeout":30000,"allowedRetryCount":10,"retryDelay":5000,'
    '"retryBackoff":{"factor":2,"max":3600000,"jitter":0.2},"retention":604800000}',
    30000, 10, 5000, 2, 3600000, 0.2, 604800000, taskrpc.now());
