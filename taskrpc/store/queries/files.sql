-- name: make_file_key
-- Keeps a key for tokens of files, unless there is one. $1 key.
insert into taskrpc.file_key (key, created_at) values ($1, taskrpc.now()) on conflict do nothing;

-- name: file_key
-- The key for tokens of files.
select key from taskrpc.file_key;

-- name: is_over
-- Whether a time has come. $1 time.
select $1::timestamptz <= taskrpc.now() as over;
