-- Keys: who may call.

-- name: keys
-- All keys, by name.
select name, role, digest, definitions, created_at from taskrpc.access_key order by name;

-- name: add_key
-- Adds a key; answers no row when the name is taken. $1 name, $2 role, $3 digest, $4 definitions (or null for all).
insert into taskrpc.access_key (name, role, digest, definitions, created_at) values ($1, $2, $3, $4, taskrpc.now())
on conflict do nothing returning name;

-- name: revoke_key
-- Deletes a key; answers no row when there is none of this name. $1 name.
delete from taskrpc.access_key where name = $1 returning name;

-- name: tell_of_keys
-- Has all servers look at the keys now. $1 the channel.
select pg_notify($1, '{"keys":true}');

-- name: callback_secret
-- What callbacks are signed with.
select secret from taskrpc.callback_secret;
