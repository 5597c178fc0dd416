-- A name whose certificate could not be renewed because it did not lead here is due as soon as it does; what was said of it is over.
create or replace function domains_want_certificate() returns trigger language plpgsql as $$
begin
    if new.status = 'removed' then
        delete from domain_certificates where domain_id = new.id;
    elsif new.status in ('verified', 'failing') and coalesce((new.routing ->> 'ok')::boolean, false) then
        insert into domain_certificates as c (domain_id, project_id, next_at) values (new.id, new.project_id, now())
            on conflict (domain_id) do update set next_at = greatest(now(), c.renew_at), attempts = 0, failing_since = null,
            error_code = case when c.error_code = 'not_routed' then '' else c.error_code end,
            error = case when c.error_code = 'not_routed' then '' else c.error end, is_told = c.is_told and c.error_code <> 'not_routed'
            where c.next_at is null or c.leaf is null or c.error_code = 'not_routed';
    end if;
    return null;
end $$;
-- Those that were given up without a word are looked at again, and told.
update domain_certificates set next_at = now() where next_at is null and source = 'acme' and leaf is not null and error_code = '';
