// What PUBLIC loses in a database that plugins' roles may enter (security-rules.md 6, 8), as SQL:
// two statements, a line each, to be run in that database by whoever owns its system objects.
// By anybody else they change nothing and do not fail.
#ifndef STOA_STORE_CLUSTER_RIGHTS_H
#define STOA_STORE_CLUSTER_RIGHTS_H
#define CLUSTER_RIGHTS                                                                             \
    "DO $$ DECLARE o record; BEGIN FOR o IN SELECT p.oid::regprocedure AS f FROM pg_proc p"        \
    " WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname ~"                           \
    " '^(lo_|loread$|lowrite$|pg_(try_)?advisory_|pg_notify$|pg_logical_|pg_export_snapshot$"      \
    "|pg_(create|copy|drop)_(logical_|physical_)?replication_slot|pg_replication_slot_"            \
    "|pg_get_replication_slots|pg_lock_status|pg_prepared_xact$|pg_blocking_pids"                  \
    "|pg_safe_snapshot_blocking|pg_isolation_test|pg_tablespace_|pg_stat_get_(activity|backend_"   \
    "|progress_|wal|db_|subscription|slru|replication_slot|archiver|bgwriter)|pg_postmaster_"      \
    "|pg_conf_load|pg_control_|pg_import_system_collations|database_to_xml)' LOOP"                 \
    " EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', o.f); END LOOP; FOR o IN"        \
    " SELECT c.relname AS f FROM pg_class c WHERE c.relnamespace = 'pg_catalog'::regnamespace"     \
    " AND c.relkind IN ('r', 'v') AND c.relname ~ "                                                \
    "'^(pg_database|pg_roles|pg_user|pg_group|pg_user_mappings|pg_auth_members"                    \
    "|pg_db_role_setting|pg_shdepend|pg_shdescription|pg_shseclabel|pg_tablespace|pg_locks"        \
    "|pg_parameter_acl|pg_prepared_xacts|pg_largeobject_metadata|pg_replication_.*|pg_"            \
    "subscription"                                                                                 \
    "|pg_stat_(activity|archiver|bgwriter|database.*|gssapi|progress_.*|recovery_prefetch"         \
    "|replication.*|slru|ssl|subscription.*|wal.*))$' LOOP"                                        \
    " EXECUTE format('REVOKE ALL ON pg_catalog.%I FROM PUBLIC', o.f); END LOOP; END $$;\n"         \
    "REVOKE USAGE ON LANGUAGE plpgsql, sql FROM PUBLIC;\n"
#endif
