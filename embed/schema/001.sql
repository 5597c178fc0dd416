-- The keys that platforms sign provisioning tokens with: the public half alone. A key's id is the `kid` of its tokens.
create table signing_keys (
    id               text primary key,
    platform_id      text not null references platforms (id),
    display_name     text not null,
    public_key       text not null, -- PEM
    allowed_origins  text[] not null default '{}', -- who may frame the builder
    audience         text,          -- NULL: `aud` is not looked at
    max_lifetime_s   bigint,        -- NULL: as long as the token says
    session_s        bigint not null default 604800, -- of a host page's session
    absolute_s       bigint not null default 43200,  -- from the first exchange, whatever is renewed
    is_single_use    boolean not null default false,
    status           text not null default 'ACTIVE' check (status in ('ACTIVE', 'DISABLED')),
    last_used_at     timestamptz(3),
    longest_seen_s   bigint, -- the longest lifetime over 24 h that one of its tokens had
    created_by       text not null,
    created_at       timestamptz(3) not null default now(),
    deleted_at       timestamptz(3) -- the row stays: the trail names it
);
create index signing_keys_platform on signing_keys (platform_id, created_at, id) where deleted_at is null;
