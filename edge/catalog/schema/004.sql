-- Platforms: SaaSes that embed the builder. Their projects and users are known by the ids they gave them.
create table platforms (
    id               text primary key,
    slug             text not null constraint platforms_slug unique,
    display_name     text not null,
    owner_project_id text not null unique references projects (id) deferrable initially deferred, -- its plugins are the catalogue
    sessions_from    timestamptz(3), -- embed sessions that began before are over
    created_at       timestamptz(3) not null default now()
);

alter table projects
    add column platform_id   text references platforms (id) deferrable initially deferred,
    add column external_id   text,
    add column sessions_from timestamptz(3),
    add column pieces_filter text not null default 'NONE' check (pieces_filter in ('NONE', 'ALLOWED')), -- of the last exchange
    add column pieces_tags   text[] not null default '{}',
    add constraint projects_external unique (platform_id, external_id);

-- A platform's users belong to no one project: project_members says where they are what.
alter table users
    alter column project_id drop not null,
    add column platform_id   text references platforms (id),
    add column external_id   text,
    add column first_name    text,
    add column last_name     text,
    add column email         text,
    add column status        text not null default 'ACTIVE' check (status in ('ACTIVE', 'INACTIVE')),
    add column sessions_from timestamptz(3),
    add column last_seen_at  timestamptz(3),
    add constraint users_external unique (platform_id, external_id),
    add constraint users_home check (project_id is not null or platform_id is not null);
create index users_platform on users (platform_id, created_at, id) where platform_id is not null;
create index projects_platform on projects (platform_id, created_at, id) where platform_id is not null;

create table project_members (
    project_id text not null references projects (id),
    user_id    uuid not null references users (id),
    role       text not null check (role in ('Admin', 'Editor', 'Viewer', 'Operator')),
    issued_at  bigint not null, -- seconds: the highest issue time of a token that was accepted for the two
    created_at timestamptz(3) not null default now(),
    primary key (project_id, user_id)
);
create index project_members_user on project_members (user_id);

-- Of the project, at the time: a platform reads the trails of all its projects together.
alter table audit_events add column platform_id text;
create index audit_events_platform on audit_events (platform_id, at, project_id, seq) where platform_id is not null;
