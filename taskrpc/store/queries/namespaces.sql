-- What flows keep by namespace. Lists leave contents out; $1 null means all namespaces.

-- name: put_key
-- Sets a key's value. $1 namespace, $2 key, $3 value, $4 ms until it expires (or null).
insert into taskrpc.key_value as k (namespace, key, value, expires_at, created_at, updated_at)
values ($1, $2, $3, taskrpc.now() + taskrpc.ms($4), taskrpc.now(), taskrpc.now())
on conflict (namespace, key) do update set
    value = excluded.value,
    expires_at = excluded.expires_at,
    updated_at = excluded.updated_at,
    created_at = case when k.expires_at <= excluded.updated_at then excluded.created_at else k.created_at end,
    version = case when k.expires_at <= excluded.updated_at then 1 else k.version + 1 end
returning *;

-- name: get_key
-- A key that has not expired. $1 namespace, $2 key.
select * from taskrpc.key_value
where namespace = $1 and key = $2 and (expires_at is null or expires_at > taskrpc.now());

-- name: list_keys
-- Keys without their values. $1 namespace, $2 what they begin with, $3 most rows, $4 rows skipped.
select namespace, key, expires_at, version, created_at, updated_at from taskrpc.key_value
where ($1::text is null or namespace = $1) and starts_with(key, $2)
    and (expires_at is null or expires_at > taskrpc.now())
order by namespace, key limit $3 offset $4;

-- name: count_keys
-- How many keys there are. $1 namespace, $2 what they begin with.
select count(*) as total from taskrpc.key_value
where ($1::text is null or namespace = $1) and starts_with(key, $2)
    and (expires_at is null or expires_at > taskrpc.now());

-- name: delete_key
-- Removes a key that has not expired. $1 namespace, $2 key.
delete from taskrpc.key_value
where namespace = $1 and key = $2 and (expires_at is null or expires_at > taskrpc.now())
returning key;

-- name: forget_expired_keys
-- Removes keys that have expired. $1 most rows.
delete from taskrpc.key_value k using (
    select namespace, key from taskrpc.key_value
    where expires_at <= taskrpc.now() order by expires_at limit $1 for update skip locked
) e where k.namespace = e.namespace and k.key = e.key and k.expires_at <= taskrpc.now()
returning k.key;

-- name: put_secret
-- Sets a secret. $1 namespace, $2 key, $3 ciphertext, $4 description (or null).
insert into taskrpc.secret as s (namespace, key, ciphertext, description, created_at, updated_at)
values ($1, $2, $3, $4, taskrpc.now(), taskrpc.now())
on conflict (namespace, key) do update set
    ciphertext = excluded.ciphertext, description = excluded.description, updated_at = excluded.updated_at,
    version = s.version + 1
returning *;

-- name: get_secret
-- One secret. $1 namespace, $2 key.
select * from taskrpc.secret where namespace = $1 and key = $2;

-- name: list_secrets
-- Secrets without their values. $1 namespace, $2 what their keys begin with, $3 most rows, $4 rows skipped.
select namespace, key, description, version, created_at, updated_at from taskrpc.secret
where ($1::text is null or namespace = $1) and starts_with(key, $2) order by namespace, key limit $3 offset $4;

-- name: count_secrets
-- How many secrets there are. $1 namespace, $2 what their keys begin with.
select count(*) as total from taskrpc.secret
where ($1::text is null or namespace = $1) and starts_with(key, $2);

-- name: delete_secret
-- Removes a secret. $1 namespace, $2 key.
delete from taskrpc.secret where namespace = $1 and key = $2 returning key;

-- name: secrets_after
-- Secrets in order, for those who encrypt them anew. $1 namespace and $2 key of the last one that was read, $3 most rows.
select namespace, key, ciphertext from taskrpc.secret
where (namespace, key) > ($1, $2) order by namespace, key limit $3;

-- name: reencrypt_secret
-- The same secret under another key; nothing happens if it was set meanwhile. $1 namespace, $2 key, $3 ciphertext as it
-- was, $4 ciphertext as it is to be.
update taskrpc.secret set ciphertext = $4 where namespace = $1 and key = $2 and ciphertext = $3 returning key;

-- name: put_namespace_file
-- Stores a file. $1 namespace, $2 path, $3 content.
insert into taskrpc.namespace_file as f (namespace, path, content, created_at, updated_at)
values ($1, $2, $3, taskrpc.now(), taskrpc.now())
on conflict (namespace, path) do update set
    content = excluded.content, updated_at = excluded.updated_at, version = f.version + 1
returning namespace, path, octet_length(content) as size, version, created_at, updated_at;

-- name: get_namespace_file
-- One file with its content. $1 namespace, $2 path.
select *, octet_length(content) as size from taskrpc.namespace_file where namespace = $1 and path = $2;

-- name: list_namespace_files
-- Files without their contents. $1 namespace, $2 what their paths begin with, $3 most rows, $4 rows skipped.
select namespace, path, octet_length(content) as size, version, created_at, updated_at from taskrpc.namespace_file
where ($1::text is null or namespace = $1) and starts_with(path, $2) order by namespace, path limit $3 offset $4;

-- name: count_namespace_files
-- How many files there are. $1 namespace, $2 what their paths begin with.
select count(*) as total from taskrpc.namespace_file
where ($1::text is null or namespace = $1) and starts_with(path, $2);

-- name: delete_namespace_file
-- Removes a file. $1 namespace, $2 path.
delete from taskrpc.namespace_file where namespace = $1 and path = $2 returning path;

-- name: put_template
-- Adds a revision of a template, unless the newest says the same; answers the newest then. No row: another one was added
-- at the same moment. $1 namespace, $2 id, $3 spec.
with newest as (
    select * from taskrpc.template where namespace = $1 and id = $2 order by revision desc limit 1
), added as (
    insert into taskrpc.template (namespace, id, revision, spec, created_at)
    select $1, $2, coalesce((select revision from newest), 0) + 1, $3::json, taskrpc.now()
    where not exists (select from newest where not deleted and spec::text = $3::json::text)
    on conflict do nothing returning *
)
select * from added union all select * from newest where not deleted and spec::text = $3::json::text;

-- name: get_template
-- A template as it is now, or one of its revisions. $1 namespace, $2 id, $3 revision (or null).
select * from (
    select * from taskrpc.template
    where namespace = $1 and id = $2 and ($3::int is null or revision = $3) order by revision desc limit 1
) t where not deleted;

-- name: list_templates
-- Templates in their newest revisions, without their tasks. $1 namespace, $2 what their ids begin with, $3 most rows,
-- $4 rows skipped.
select namespace, id, revision, spec ->> 'description' as description, created_at from (
    select distinct on (namespace, id) * from taskrpc.template
    where ($1::text is null or namespace = $1) and starts_with(id, $2) order by namespace, id, revision desc
) t where not deleted order by namespace, id limit $3 offset $4;

-- name: count_templates
-- How many templates there are. $1 namespace, $2 what their ids begin with.
select count(*) as total from (
    select distinct on (namespace, id) deleted from taskrpc.template
    where ($1::text is null or namespace = $1) and starts_with(id, $2) order by namespace, id, revision desc
) t where not deleted;

-- name: delete_template
-- Adds a revision that says that a template is deleted. $1 namespace, $2 id.
insert into taskrpc.template (namespace, id, revision, spec, deleted, created_at)
select namespace, id, revision + 1, spec, true, taskrpc.now() from (
    select * from taskrpc.template where namespace = $1 and id = $2 order by revision desc limit 1
) t where not deleted
on conflict do nothing returning revision;
