-- What has been met of the preconditions of a trigger: {name: microseconds since 1970}. Who changes it holds the row.
alter table taskrpc.flow_trigger add column met json not null default '{}';
