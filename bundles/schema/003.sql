-- The one that was live when it was deployed: where a rollback leads. NULL: the plugin's first, and those from before this.
alter table bundle_deployments add column replaces text references bundle_deployments (id) on delete set null;
create index bundle_deployments_replaces on bundle_deployments (replaces);
