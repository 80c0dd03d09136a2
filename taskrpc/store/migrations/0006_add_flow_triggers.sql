-- What starts executions of flows by itself.

-- Rules that belong to a trigger of a flow: they are put, changed and deleted together with it.
alter table taskrpc.scheduler_rule add column flow text collate "C";
alter table taskrpc.scheduler_rule add column trigger text collate "C";
create index scheduler_rule_flow on taskrpc.scheduler_rule (flow) where flow is not null;

-- Whether a tick has to wait because what the rule started last is not done.
create function taskrpc.has_to_wait(rule taskrpc.scheduler_rule) returns boolean
language sql stable parallel safe as $$
    select rule.spec ->> 'concurrency-policy' = 'wait'
        and exists (select from taskrpc.task t where t.id = rule.started ->> 'id' and t.status <> 'done')
$$;

-- The triggers of flows as they are now, but disabled ones and those of disabled flows: {type, key?, …} as in the flow.
create table taskrpc.flow_trigger (
    flow text collate "C" not null,
    id text collate "C" not null,
    type text collate "C" not null check (type in ('Schedule', 'Flow', 'Webhook')),
    spec json not null,
    -- an execution that it started has ended in a state of its stopAfter: it starts nothing until it is changed
    stopped_at timestamptz,
    primary key (flow, id)
);
create index flow_trigger_listens on taskrpc.flow_trigger (flow) where type = 'Flow' and stopped_at is null;
