-- A deployment is everything one .pie or archive declares, immutable; an instance points at one.
create table bundle_deployments (
    id             text primary key,                     -- 26 random base32 characters: a preview's address, never a content hash
    plugin_id      text not null references plugins (id) on delete cascade,
    project_id     text not null references projects (id),
    created_at     timestamptz(3) not null default now(),
    created_by     text not null,                        -- token id
    content_sha256 bytea not null,                       -- over everything it declares: the same again makes no new deployment
    source_sha256  bytea,                                -- blob: the .pie as sent; NULL for an archive
    code_sha256    bytea,                                -- blobs inherited by archive deploys; NULL: none
    widget_sha256  bytea,
    front          jsonb not null,                       -- front matter, unknown keys kept
    config         jsonb,                                -- public-config; NULL: no public app
    file_count     integer not null,
    total_bytes    bigint not null
);
create index bundle_deployments_plugin on bundle_deployments (plugin_id, created_at desc);

create table bundle_files (
    deployment_id text not null references bundle_deployments (id) on delete cascade,
    path          text not null,
    sha256        bytea not null,
    size          bigint not null,
    content_type  text not null,
    immutable     boolean not null,                      -- hashed name that never had other bytes in this plugin
    br_sha256     bytea, br_size bigint,
    zstd_sha256   bytea, zstd_size bigint,
    gzip_sha256   bytea, gzip_size bigint,
    primary key (deployment_id, path)
);
-- Which blobs are named: what collection asks.
create index bundle_files_sha256 on bundle_files (sha256);
create index bundle_files_br on bundle_files (br_sha256);
create index bundle_files_zstd on bundle_files (zstd_sha256);
create index bundle_files_gzip on bundle_files (gzip_sha256);
create index bundle_deployments_source on bundle_deployments (source_sha256);
create index bundle_deployments_code on bundle_deployments (code_sha256);
create index bundle_deployments_widget on bundle_deployments (widget_sha256);

-- Every (path, bytes) a plugin ever served: what decides `immutable`. Never shrinks while the plugin lives.
create table bundle_history (
    plugin_id text not null references plugins (id) on delete cascade,
    path      text not null,
    sha256    bytea not null,
    primary key (plugin_id, path, sha256)
);

-- The pointer that deploy, activate and roll back switch.
create table bundle_instances (
    instance_id   text primary key references instances (id) on delete cascade,
    deployment_id text not null references bundle_deployments (id),
    activated_at  timestamptz not null default now()
);
create index bundle_instances_deployment on bundle_instances (deployment_id);
