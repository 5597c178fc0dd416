-- What owners set beside their code. Secrets are sealed (edge/base/seal.h) to table, row ("{id}/{name}"), column and project.
create table plugin_secrets (
    plugin_id  text not null references plugins (id) on delete cascade,
    name       text not null,
    value      bytea not null,
    created_at timestamptz(3) not null default now(),
    updated_at timestamptz(3) not null default now(),
    primary key (plugin_id, name)
);

create table instance_secrets (
    instance_id text not null references instances (id) on delete cascade,
    name        text not null,
    value       bytea not null,
    created_at  timestamptz(3) not null default now(),
    updated_at  timestamptz(3) not null default now(),
    primary key (instance_id, name)
);

-- What was set, without defaults: those are the manifest's, and change with it.
create table instance_configs (
    instance_id   text primary key references instances (id) on delete cascade,
    config_values json not null,
    updated_at    timestamptz(3) not null default now()
);

-- Allowed origins, rate limits, retention, in the shape of the API.
create table instance_settings (
    instance_id text primary key references instances (id) on delete cascade,
    settings    json not null,
    updated_at  timestamptz(3) not null default now()
);
