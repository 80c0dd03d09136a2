-- Executions of flows: workflows whose decisions the server takes itself. docs/design.md tells how a step works.

-- Of a flow's workflow: the state of its execution.
alter table taskrpc.task add column state text collate "C";

-- What a task is for the flow that started it: a "leaf" is tried once, and a "directory" again only if its executor is
-- lost; the starts of both are told to the execution. Null for all other tasks.
alter table taskrpc.task add column flow_part text collate "C";

-- The execution of a workflow, by the same id; "key" names it in the tables below. Whoever carries out a step raises the
-- version, so that no other does it too, and says which "server" has it in memory. "ending" is what it ended with, for whoever waits for it:
-- {state, outputs?, asked?, problem?}.
create table taskrpc.execution (
    key bigint generated always as identity primary key,
    id text collate "C" not null unique,
    version bigint not null default 0,
    server text collate "C",
    head json not null,
    ending json
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

-- A row per task run, by its number in the execution. What a run was given once and its outputs may be large: they are
-- written only when they change.
create table taskrpc.execution_run (
    execution bigint not null,
    n integer not null,
    parent integer not null,
    body json not null,
    fixed json,
    outputs json,
    primary key (execution, n)
) with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

-- What executions want to be told at a time.
create table taskrpc.execution_timer (
    execution bigint not null,
    run integer not null,
    kind text collate "C" not null,
    tag integer not null,
    at timestamptz not null,
    workflow_id text collate "C" not null,
    primary key (execution, run, kind, tag)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
create index execution_timer_at on taskrpc.execution_timer (at);

-- Executions of flows with a limit, that count ("held") or wait for a slot, in their order; "event" is what they are told
-- when they get one. Touched only by who holds the flow's row in flow_gate.
create table taskrpc.flow_gate (name text collate "C" primary key);
create table taskrpc.execution_slot (
    execution bigint primary key,
    workflow_id text collate "C" not null,
    name text collate "C" not null,
    seq bigint generated always as identity,
    held boolean not null,
    event text collate "C" not null
);
create index execution_slot_held on taskrpc.execution_slot (name) where held;
create index execution_slot_waiting on taskrpc.execution_slot (name, seq) where not held;

-- Executions that were deleted, until their runs and files are too: there may be many, so they go slice by slice.
create table taskrpc.execution_gone (execution bigint primary key, workflow_id text collate "C" not null);

-- The inbox of an execution is that of its workflow; some of its events bring something along.
alter table taskrpc.event
    add column at timestamptz,
    add column body json,
    drop constraint event_kind_check,
    add constraint event_kind_check check (kind in (
        'workflow-init', 'task-begun', 'task-lost', 'task-completed', 'workflow-completed', 'decision-failed', 'ended',
        'admitted', 'done-here', 'chore', 'again', 'timer', 'resumed', 'restarted', 'continue', 'unwanted'));

-- Microseconds since 1970 as a time.
create function taskrpc.at_microseconds(microseconds bigint) returns timestamptz
language sql immutable strict parallel safe as $$ select timestamptz 'epoch' + microseconds * interval '1 microsecond' $$;
