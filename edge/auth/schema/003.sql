-- Sessions of embedded builders: one record for all exchanges of one provisioning token, a chain for each exchange.
create table sessions (
    id             text primary key,
    platform_id    text not null references platforms (id),
    project_id     text not null references projects (id),
    user_id        uuid not null references users (id),
    key_id         text not null,        -- the signing key's, which is embed's
    provisioning   bytea not null,       -- SHA-256 of the token's header and payload
    kept_until     timestamptz(3) not null, -- the token may come again until then, and is to find its record
    created_at     timestamptz(3) not null,
    ends_at        timestamptz(3) not null, -- nothing outlives it
    ended_at       timestamptz(3),
    last_used_at   timestamptz(3),
    constraint sessions_provisioning unique (platform_id, provisioning)
);
create index sessions_page on sessions (platform_id, created_at, id) where ended_at is null;
create index sessions_user on sessions (user_id);
create index sessions_project on sessions (project_id);
create index sessions_key on sessions (key_id);
create index sessions_kept on sessions (kept_until);

-- A token names its chain and its turn; only the present turn is good, and the one before it for a few seconds.
create table session_chains (
    id         text primary key,
    session_id text not null references sessions (id) on delete cascade,
    length_s   bigint not null, -- how long each of its tokens lasts
    turn       bigint not null default 1,
    turned_at  timestamptz(3) not null default now(),
    expires_at timestamptz(3) not null, -- of its present token
    ended_at   timestamptz(3)
);
create index session_chains_session on session_chains (session_id);
create index session_chains_expired on session_chains (expires_at);

-- The keys that sign them. A key is published before it signs, and verifies until all that it signed is over.
create table session_keys (
    id          text primary key, -- the kid
    algorithm   text not null check (algorithm in ('ES256', 'RS256')),
    public_key  text not null,    -- PEM
    private_key bytea not null,   -- PEM, sealed
    created_at  timestamptz(3) not null default now(),
    signs_from  timestamptz(3) not null
);
