-- What a project's deployments take, kept up so that no deploy adds it up. Each distinct content they name counts once, in whole
-- blocks of 4 KiB, and each file they list 1 KiB for its row; compressed forms do not count.
create table bundle_projects (
    project_id text primary key references projects (id),
    bytes      bigint not null
);
-- The project's row above is locked before any of these is changed.
create table bundle_blobs (
    project_id text not null references projects (id),
    sha256     bytea not null,
    size       bigint not null,
    uses       integer not null, -- deployments that name it
    primary key (project_id, sha256)
);

create function bundle_blocks(size bigint) returns bigint language sql immutable as 'select (size + 4095) / 4096 * 4096';
create function bundle_rows(file_count bigint) returns bigint language sql immutable as 'select (file_count + 1) * 1024';

-- The contents that one deployment names; sizes of those that are no public files are the caller's to know.
create function bundle_named(deployment text, source bigint, code bigint, widget bigint)
    returns table (sha256 bytea, size bigint) language sql stable as $$
    select x.sha256, max(x.size) from (
        select f.sha256, f.size from bundle_files f where f.deployment_id = deployment
        union all select v.sha256, v.size from bundle_deployments d,
            lateral (values (d.source_sha256, source), (d.code_sha256, code), (d.widget_sha256, widget)) v (sha256, size)
            where d.id = deployment and v.sha256 is not null) x
    group by x.sha256
$$;

-- After all rows of a deployment are written. A content that another deployment names has its size there already.
create function bundle_count(deployment text, source bigint, code bigint, widget bigint) returns void language plpgsql as $$
declare
    of_project text;
    files      bigint;
begin
    select d.project_id, d.file_count into strict of_project, files from bundle_deployments d where d.id = deployment;
    insert into bundle_projects (project_id, bytes) values (of_project, bundle_rows(files))
        on conflict (project_id) do update set bytes = bundle_projects.bytes + excluded.bytes;
    with used as (
        insert into bundle_blobs as b (project_id, sha256, size, uses)
            select of_project, n.sha256, n.size, 1 from bundle_named(deployment, source, code, widget) n
            on conflict (project_id, sha256) do update set uses = b.uses + 1
            returning b.size, b.uses)
    update bundle_projects set bytes = bytes + (select coalesce(sum(bundle_blocks(used.size)), 0) from used where used.uses = 1)
        where project_id = of_project;
end $$;

-- However a deployment goes, its files are still there then.
create function bundle_uncount() returns trigger language plpgsql as $$
begin
    update bundle_projects set bytes = bytes - bundle_rows(old.file_count) where project_id = old.project_id;
    with named as materialized (select n.sha256 from bundle_named(old.id, 0, 0, 0) n),
        gone as (delete from bundle_blobs b using named n
            where b.project_id = old.project_id and b.sha256 = n.sha256 and b.uses = 1 returning b.size),
        others as (update bundle_blobs b set uses = b.uses - 1 from named n
            where b.project_id = old.project_id and b.sha256 = n.sha256 and b.uses > 1)
    update bundle_projects set bytes = bytes - (select coalesce(sum(bundle_blocks(gone.size)), 0) from gone)
        where project_id = old.project_id;
    return old;
end $$;
create trigger bundle_deployments_uncount before delete on bundle_deployments for each row execute function bundle_uncount();

-- How large source, code and widget of those from before this are is not known here: they count as nothing.
select bundle_count(id, 0, 0, 0) from bundle_deployments;
