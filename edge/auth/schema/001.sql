-- API tokens, kept as hashes: who has a row has no token. A revoked token's row stays, as the maker of others and for the trail.
create table api_tokens (
    id           text primary key,
    project_id   text not null references projects (id),
    name         text not null,
    scope        text not null check (scope in ('read', 'deploy', 'admin', 'operator')),
    sha256       bytea not null constraint api_tokens_sha256 unique,
    parent_id    text references api_tokens (id), -- the token that made it: a project's first one was made by the operator's
    created_at   timestamptz(3) not null default now(),
    expires_at   timestamptz(3),
    last_used_at timestamptz(3),
    revoked_at   timestamptz(3)
);
create index api_tokens_page on api_tokens (project_id, created_at, id) where revoked_at is null;
create index api_tokens_parent on api_tokens (parent_id);
