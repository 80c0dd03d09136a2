-- Slots of flows whose concurrency is limited. Every statement that counts them runs after lock_flow in one transaction.

-- name: lock_flow
-- Makes and locks the row of a flow. $1 its name.
insert into taskrpc.flow_gate as g (name) values ($1) on conflict (name) do update set name = excluded.name;

-- name: take_slot
-- Gives an execution a slot if there is room, or, if it waits, a place in the queue; answers whether it has one.
-- $1 key, $2 id, $3 the flow's name, $4 limit, $5 what it is told when it gets one later, $6 whether it waits.
with there as materialized (
    select held from taskrpc.execution_slot where execution = $1
), room as materialized (
    select count(*) < $4 as free from taskrpc.execution_slot where name = $3 and held
), taken as (
    insert into taskrpc.execution_slot (execution, workflow_id, name, held, event)
    select $1, $2, $3, room.free, $5 from room where (room.free or $6) and not exists (select from there)
    returning held
)
select held from there union all select held from taken;

-- name: free_slot
-- Takes an execution's slot, or its place in the queue. $1 key.
delete from taskrpc.execution_slot where execution = $1;

-- name: admit_executions
-- Gives free slots to those who wait, in their order, and tells them. $1 the flow's name, $2 limit (null: none).
with room as materialized (
    select case when $2::int is not null then greatest($2 - count(*), 0) end as free
    from taskrpc.execution_slot where name = $1 and held
), chosen as materialized (
    select s.execution from taskrpc.execution_slot s where s.name = $1 and not s.held
    order by s.seq limit (select free from room)
), admitted as (
    update taskrpc.execution_slot s set held = true from chosen c where s.execution = c.execution returning s.*
), told as (
    insert into taskrpc.event (workflow_id, kind, subject, at)
    select workflow_id, event, workflow_id, taskrpc.now() from admitted order by seq
)
select workflow_id from admitted;
