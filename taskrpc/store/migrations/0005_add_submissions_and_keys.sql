-- Asynchronous workflows over REST: what came with a submission, and how long its traces are kept; keys.

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
