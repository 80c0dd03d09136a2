-- What flows keep by namespace: keys with values, secrets, files, templates. docs/design.md tells how they are used.

-- A key that has expired counts as absent; the servers remove it.
create table taskrpc.key_value (
    namespace text collate "C" not null,
    key text collate "C" not null,
    value json not null,
    expires_at timestamptz,
    version bigint not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (namespace, key)
);
create index key_value_expiry on taskrpc.key_value (expires_at) where expires_at is not null;

-- The value is encrypted by the servers; the database never has the key.
create table taskrpc.secret (
    namespace text collate "C" not null,
    key text collate "C" not null,
    ciphertext text collate "C" not null,
    description text,
    version bigint not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (namespace, key)
);

create table taskrpc.namespace_file (
    namespace text collate "C" not null,
    path text collate "C" not null,
    content bytea not null,
    version bigint not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (namespace, path)
);

-- Append-only: an execution keeps the revision that it began with. A deleted template ends with a revision that says so.
create table taskrpc.template (
    namespace text collate "C" not null,
    id text collate "C" not null,
    revision integer not null,
    spec json not null,
    deleted boolean not null default false,
    created_at timestamptz not null,
    primary key (namespace, id, revision)
);

-- The key of the tokens that let executors read and write files; one for all servers, made by the first that needs it.
create table taskrpc.file_key (
    one boolean primary key default true check (one),
    key text collate "C" not null,
    created_at timestamptz not null
);
