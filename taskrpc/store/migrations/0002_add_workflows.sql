-- Workflows: rows of the table task of kind workflow, and tasks that belong to them: activities (tasks and workflows that
-- a workflow has started) and decisions. docs/design.md tells how they work together.

-- The workflow that an open activity or decision belongs to; null for everything that is done. Kept apart from status and
-- parent_id, so that no index names a column that a start changes.
alter table taskrpc.task add column open_in text collate "C";

-- What belongs to a workflow and is not done yet.
create index task_open on taskrpc.task (open_in) where open_in is not null;

-- A guard, not the mechanism: decisions of a workflow are open one at a time.
create unique index task_open_decision on taskrpc.task (open_in) where open_in is not null and kind = 'decision';

-- Everything that ever belonged to a workflow.
create index task_children on taskrpc.task (parent_id) where parent_id is not null;

-- The inboxes of workflows: what happened and was not decided upon yet. Whoever ends an activity only inserts; only who
-- holds the workflow's row takes out, the lowest number first. A decision that failed for good has number 0.
create sequence taskrpc.event_seq;
create table taskrpc.event (
    workflow_id text collate "C" not null,
    seq bigint not null default nextval('taskrpc.event_seq'),
    kind text collate "C" not null
        check (kind in ('workflow-init', 'task-completed', 'workflow-completed', 'decision-failed', 'ended')),
    -- what is completed or failed; for the others the workflow itself
    subject text collate "C" not null,
    primary key (workflow_id, seq)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

-- The defaults of workflows of unknown definitions: their decisions are tried more often, and sooner.
insert into taskrpc.definition (rev, name, kind, spec, allowed_retry_count, retry_delay, created_at)
values (-1, '', 'workflow', '{"kind":"workflow"}', 10, 1000, taskrpc.now());

-- The params of the decision that an event asks for.
create function taskrpc.decision_params(kind text, subject text) returns json
language sql immutable parallel safe as $$
    select ('{"event":"awf.workflow.event/' || kind || '"' || case kind
        when 'task-completed' then ',"task-id":"' || subject || '"'
        when 'workflow-completed' then ',"workflow-id":"' || subject || '"'
        else ''
    end || '}')::json
$$;

-- A workflow as the requester of what it starts.
create function taskrpc.workflow_as_requester(id text) returns json
language sql immutable strict parallel safe as $$
    select ('{"id":"' || id || '","resourceType":"AidboxWorkflow"}')::json
$$;
