-- Where plugins' data lies in the plugins' cluster: a database for each project that owns instances, and in it, for each plugin, a
-- role and a schema of the same name. Names are random and never used twice.
create table managed_databases (
    project_id text primary key references projects (id),
    name       text not null unique,
    made_at    timestamptz(3),
    -- as it was granted last
    functions  boolean not null default false
);

-- A plugin's row outlives the plugin when its data is kept: by the slug it is found again.
create table managed_roles (
    name         text primary key,
    project_id   text not null references managed_databases (project_id),
    plugin_id    text not null,
    password     bytea not null,
    made_at      timestamptz(3),
    kept_at      timestamptz(3),
    kept_project text,
    kept_slug    text,
    constraint managed_roles_plugin unique (project_id, plugin_id)
);
create index managed_roles_kept on managed_roles (project_id, kept_project, kept_slug) where kept_at is not null;
create index managed_roles_of_plugin on managed_roles (plugin_id);

-- Roles whose schema is to be dropped from the cluster, which is not done by the transaction that decided it.
create table managed_drops (
    name     text primary key,
    database text not null,
    password bytea not null,
    project_id text not null,
    since    timestamptz(3) not null default now()
);
