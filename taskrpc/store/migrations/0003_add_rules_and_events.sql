-- Tasks that the server does itself, the scheduler's rules, and events with those who listen for them.

-- When the server ends a wait. Apart from what becomes due, so that a backlog of one never holds up the other.
alter table taskrpc.task add column ends_at timestamptz;
create index task_ends on taskrpc.task (ends_at) where ends_at is not null;

-- What an open subscription listens for, as a key (see listening_key); null for everything else.
alter table taskrpc.task add column listens text collate "C";
create index task_listens on taskrpc.task (listens) where listens is not null;

-- In the order of creation, with a place for each row: a clean-up goes through it in pages.
create index task_by_creation on taskrpc.task (created_at, id);
drop index taskrpc.task_created;

-- Built-in tasks that begin with their creation.
create function taskrpc.begins_at_once(name text) returns boolean
language sql immutable parallel safe as $$
    select name in ('awf.task/wait', 'awf.task/subscribe')
$$;

-- When a wait is over that begins now; "until" is its end where the params say a time.
create function taskrpc.wait_ends_at(params json, until timestamptz) returns timestamptz
language sql stable parallel safe as $$
    select case when params ->> 'until' is not null then until else taskrpc.now() + make_interval(
        hours => coalesce((params #>> '{duration,hours}')::integer, 0),
        mins => coalesce((params #>> '{duration,minutes}')::integer, 0),
        secs => coalesce((params #>> '{duration,seconds}')::double precision, 0)
    ) end
$$;

-- The key under which a selection is looked up when something happens: of the conditions that ask for one id,
-- definition or type the narrowest, else "*".
create function taskrpc.listening_key(select_by json) returns text
language sql immutable parallel safe as $$
    select coalesce((
        select name || '/' || (c ->> 'value')
        from json_array_elements(select_by) c cross join lateral (select c #>> '{get-in,0}' as name) n
        where json_array_length(c -> 'get-in') = 1 and c ->> 'comparator' = 'eq'
            and name in ('id', 'definition', 'resourceType')
            and json_typeof(c -> 'value') = 'string' and length(c ->> 'value') <= 255
        order by array_position(array['id', 'definition', 'resourceType'], name) limit 1
    ), '*')
$$;

-- The keys of those who may have to hear of a resource.
create function taskrpc.event_keys(resource json) returns text[]
language sql immutable parallel safe as $$
    select array_agg(name || '/' || (resource ->> name)) || '*'::text
    from unnest(array['id', 'definition', 'resourceType']) name
    where json_typeof(resource -> name) = 'string' and length(resource ->> name) <= 255
$$;

-- The retention of a name as it is now. Put together with a revision it is spread to all of that name; only tasks that are
-- older than the first revision have to ask for it.
create function taskrpc.newest_retention(of_name text) returns bigint
language sql stable parallel safe as $$
    select retention from taskrpc.definition where name = of_name order by rev desc limit 1
$$;

create table taskrpc.scheduler_rule (
    id text collate "C" primary key,
    spec json not null,
    version bigint not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    -- the tick that has to be judged next; past when it is late; null when none will come
    next_at timestamptz,
    -- what the rule started last, {id, resourceType}, and the tick that did it (none when somebody ran the rule)
    fired_at timestamptz,
    fired_tick timestamptz,
    started json,
    -- {tick, type, message} of the last tick that started nothing
    skipped json
);
create index scheduler_rule_next on taskrpc.scheduler_rule (next_at) where next_at is not null;

create table taskrpc.subscription_rule (
    id text collate "C" primary key,
    spec json not null,
    version bigint not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    listens text collate "C" not null
);
create index subscription_rule_listens on taskrpc.subscription_rule (listens);

-- Everybody who listens for events: open subscriptions and rules.
create view taskrpc.listener as
    select listens as key from taskrpc.task where listens is not null
    union all
    select listens from taskrpc.subscription_rule;

-- Events that somebody may have to hear of, until they were told: a published resource, or a task as its transition
-- left it.
create table taskrpc.occurrence (
    seq bigint generated always as identity primary key,
    id text collate "C" not null,
    at timestamptz not null,
    keys text[] collate "C" not null,
    bytes integer not null,
    resource json,
    task json,
    -- subscriptions that were locked when all others were told
    left_for text[] collate "C"
);

-- Every transition writes a row of the log; where somebody listens, it is an event in the same transaction.
create function taskrpc.note_transitions() returns trigger language plpgsql as $$
begin
    if exists (select from taskrpc.listener) then
        insert into taskrpc.occurrence (id, at, keys, bytes, task)
        select l.task_id || '.' || l.seq, l.at, k.keys, t.bytes, row_to_json(r)
        from logged l
        join taskrpc.task t on t.id = l.task_id
        join taskrpc.definition d on d.rev = t.rev
        cross join lateral (select t.*, d.run_timeout) r
        cross join lateral (
            select array['id/' || t.id,
                'definition/' || case t.kind when 'decision' then 'awf.workflow/decision-task' else t.name end,
                'resourceType/' || case t.kind when 'workflow' then 'AidboxWorkflow' else 'AidboxTask' end, '*'] as keys
        ) k
        -- "exists" would become a join with all listeners; this looks into their indexes.
        cross join lateral (select from taskrpc.listener where key = any(k.keys) limit 1) somebody
        where l.status_before is distinct from l.status_after
        order by l.seq;
    end if;
    return null;
end
$$;
create trigger note_transitions after insert on taskrpc.log
    referencing new table as logged for each statement execute function taskrpc.note_transitions();

insert into taskrpc.definition (name, spec, run_timeout, allowed_retry_count, retry_delay, created_at)
values ('awf.task/wait', '{}', default, default, default, taskrpc.now()),
    ('awf.task/subscribe', '{}', default, default, default, taskrpc.now()),
    ('awf.task/clean-up-activities', '{"inProgressTimeout":15000,"allowedRetryCount":10,"retryDelay":1000}',
        15000, 10, 1000, taskrpc.now());
