-- The catalogue: what a platform says of its owner project's plugins.
create table pieces (
    plugin_id  text primary key references plugins (id) on delete cascade,
    is_offered boolean not null default false,
    tags       text[] not null default '{}',
    updated_at timestamptz(3) not null default now()
);

-- Connections: what a project's users gave a plugin to work with. Found again by the name the host knows them by.
create table connections (
    id           text primary key,
    project_id   text not null references projects (id),
    plugin_id    text not null references plugins (id) on delete cascade,
    external_id  text not null,
    display_name text not null,
    piece_name   text not null, -- as it was asked for
    created_by   text not null, -- token or session
    created_at   timestamptz(3) not null default now(),
    updated_at   timestamptz(3) not null default now(),
    constraint connections_name unique (project_id, external_id)
);
create index connections_page on connections (project_id, created_at, id);
create index connections_plugin on connections (plugin_id, project_id, created_at, id);

-- Sealed (edge/base/seal.h) to table, row ("{connection}/{kind}/{name}"), column and project. A field's value is JSON.
create table connection_values (
    connection_id text not null references connections (id) on delete cascade,
    kind          text not null check (kind in ('secret', 'field')),
    name          text not null,
    value         bytea not null,
    primary key (connection_id, kind, name)
);
