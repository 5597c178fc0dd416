-- Files that visitors uploaded and handlers made. Their bytes are blobs, written and synced before the row that names them. A file outlives
-- its instance, and its plugin where the owner keeps its data, so nothing here refers to those rows.
create table files (
    id                text primary key,
    project_id        text not null,
    plugin_id         text not null,
    instance_id       text not null,
    instance_slug     text not null,          -- the host its links are on; never issued twice
    owner_id          uuid not null,
    source            text not null check (source in ('visitor', 'handler')),
    filename          text not null,
    original_filename text not null,
    mime              text not null,          -- of our own table
    sha256            bytea not null,
    size              bigint not null,
    visitor           text not null,          -- address; "" for a handler's
    request_id        text not null,
    created_at        timestamptz(3) not null default now()
);
-- Lists, newest first: a project's, those of one class of types ("image"), an instance's, what a plugin's handler may see.
create index files_project on files (project_id, created_at, id);
create index files_class on files (project_id, split_part(mime, '/', 1), created_at, id);
create index files_instance on files (instance_id, created_at, id);
create index files_plugin on files (plugin_id, project_id, created_at, id);
-- Which blobs are named: what collection asks.
create index files_sha256 on files (sha256);

-- What a plugin's files take up in a project. The row is locked before a file's is written or deleted. A plugin deleted with its data
-- leaves its rows, closed: what was on its way when the plugin went finds no room.
create table file_quotas (
    project_id text not null,
    plugin_id  text not null,
    bytes      bigint not null,
    count      bigint not null,
    is_closed  boolean not null default false,
    primary key (project_id, plugin_id)
) with (fillfactor = 50);
create index file_quotas_plugin on file_quotas (plugin_id);
alter table file_quotas set (autovacuum_vacuum_scale_factor = 0.02);
