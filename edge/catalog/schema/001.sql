-- Projects, each with its one owner; users; plugins; instances; the slugs that were ever issued; the audit trail.
-- Times have milliseconds, so that a page's cursor says exactly where it stands.
create table projects (
    id            text primary key,
    display_name  text not null,
    owner_user_id uuid not null unique,
    created_at    timestamptz(3) not null default now()
);

create table users (
    id           uuid primary key,
    project_id   text not null references projects (id),
    display_name text not null,
    created_at   timestamptz(3) not null default now()
);
create index users_project on users (project_id);

-- A project and its owner are made together, whichever row comes first.
alter table projects add constraint projects_owner foreign key (owner_user_id) references users (id)
    deferrable initially deferred;

create table plugins (
    id           text primary key,
    project_id   text not null references projects (id),
    slug         text not null,
    display_name text not null,
    version      text not null,
    tier         text not null,
    created_at   timestamptz(3) not null default now(),
    updated_at   timestamptz(3) not null default now(),
    constraint plugins_slug unique (project_id, slug)
);
create index plugins_page on plugins (project_id, created_at, id);

-- An instance's project may be another than its plugin's.
create table instances (
    id         text primary key,
    plugin_id  text not null references plugins (id) on delete cascade,
    project_id text not null references projects (id),
    slug       text not null,
    created_at timestamptz(3) not null default now(),
    constraint instances_slug unique (slug)
);
create index instances_plugin on instances (plugin_id, project_id, created_at, id);
create index instances_project on instances (project_id);

-- An instance's slug may have become a host name that browsers remember: never issued twice, so rows here never go.
create table used_slugs (
    slug       text primary key,
    project_id text not null,
    issued_at  timestamptz(3) not null default now()
);

-- One chain a project: each row's hash covers it and the hash before it; the head says where the chain ends. The trail outlives
-- its project.
create table audit_events (
    project_id text not null,
    seq        bigint not null,
    at         timestamptz(3) not null,
    actor      text not null,  -- token or session id, "system"
    action     text not null,  -- "token.create"
    subject    text not null,  -- the id it happened to
    request_id text not null,
    address    text not null,  -- "" when not over the network
    facts      json,           -- kept byte for byte: the hash covers it
    hash       bytea not null,
    primary key (project_id, seq)
);
create table audit_heads (
    project_id text primary key,
    seq        bigint not null,
    hash       bytea not null
);

-- The daily role owns its tables, so no revoke would hold it.
create function rows_stay() returns trigger language plpgsql as $$
begin
    raise exception 'rows of % are never changed', tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger audit_events_stay before update or delete on audit_events for each row execute function rows_stay();
create trigger audit_events_stay_all before truncate on audit_events for each statement execute function rows_stay();
create trigger used_slugs_stay before update or delete on used_slugs for each row execute function rows_stay();
create trigger used_slugs_stay_all before truncate on used_slugs for each statement execute function rows_stay();
