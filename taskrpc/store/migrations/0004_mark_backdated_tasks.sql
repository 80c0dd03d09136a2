-- Whether a task came into its queue later than its place there says. Claims begin to look where they found something the
-- last time, and would pass such tasks by: they have a part of the index for themselves. docs/design.md tells more.
alter table taskrpc.task add column backdated boolean not null default false;

-- What becomes ready at this moment, or did half a second ago, is what every claim expects.
create function taskrpc.is_backdated(ready_at timestamptz) returns boolean
language sql stable parallel safe as $$ select coalesce(ready_at < taskrpc.now() - interval '500 milliseconds', true) $$;

drop index taskrpc.task_claims;
create index task_claims on taskrpc.task (kind, name, backdated, rank, ready_at, id) where queued;
