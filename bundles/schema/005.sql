-- What a project's deployments take, kept up by bundle_count and bundle_remove so that no deploy adds it up. Each distinct content they name counts once, in whole
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

-- Deletes deployments of one project that no instance points at; all of a plugin's at once, since what they name is mostly the same.
create function bundle_remove(deployments text[]) returns bigint language plpgsql as $$
declare
    removed bigint;
begin
    update bundle_projects p set bytes = p.bytes - r.bytes
        from (select d.project_id, sum(bundle_rows(d.file_count)) as bytes from bundle_deployments d where d.id = any (deployments) group by 1) r
        where p.project_id = r.project_id;
    with named as materialized (
            select d.project_id, n.sha256, count(*) as uses
                from bundle_deployments d, lateral bundle_named(d.id, 0, 0, 0) n where d.id = any (deployments) group by 1, 2),
        gone as (delete from bundle_blobs b using named n
            where b.project_id = n.project_id and b.sha256 = n.sha256 and b.uses = n.uses returning b.project_id, b.size),
        others as (update bundle_blobs b set uses = b.uses - n.uses from named n
            where b.project_id = n.project_id and b.sha256 = n.sha256 and b.uses > n.uses)
    update bundle_projects p set bytes = p.bytes - g.bytes
        from (select gone.project_id, sum(bundle_blocks(gone.size)) as bytes from gone group by 1) g
        where p.project_id = g.project_id;
    delete from bundle_deployments d where d.id = any (deployments);
    get diagnostics removed = row_count;
    return removed;
end $$;

-- Those from before, all at once. How large their source, code and widget are is not known here: they count as nothing.
insert into bundle_blobs (project_id, sha256, size, uses)
    select x.project_id, x.sha256, max(x.size), count(*) from (
        select distinct d.id, d.project_id, f.sha256, f.size from bundle_deployments d join bundle_files f on f.deployment_id = d.id
        union select d.id, d.project_id, v.sha256, 0 from bundle_deployments d,
            lateral (values (d.source_sha256), (d.code_sha256), (d.widget_sha256)) v (sha256)
            where v.sha256 is not null
                and not exists (select from bundle_files f where f.deployment_id = d.id and f.sha256 = v.sha256)) x
    group by x.project_id, x.sha256;
insert into bundle_projects (project_id, bytes)
    select d.project_id, sum(bundle_rows(d.file_count))
            + coalesce((select sum(bundle_blocks(b.size)) from bundle_blobs b where b.project_id = d.project_id), 0)
        from bundle_deployments d group by d.project_id;
