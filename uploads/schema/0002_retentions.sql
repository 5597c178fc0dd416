-- How long visitors' files of an instance that is gone are kept: what its owner had set when it went, and with which they were taken in.
-- Goes with the last of them. Those of instances that are there are their settings'.
create table file_retentions (
    instance_id text primary key,
    days        integer not null,
    created_at  timestamptz(3) not null default now()
);
