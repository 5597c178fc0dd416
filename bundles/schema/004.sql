-- Hashed names that have had other bytes since: immutable in no deployment, the older ones' too.
update bundle_files b set immutable = false from bundle_deployments d
    where b.deployment_id = d.id and b.immutable and exists (select from bundle_history h
        where h.plugin_id = d.plugin_id and h.path = b.path and h.sha256 <> b.sha256);
