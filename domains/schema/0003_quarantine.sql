-- A claim that was not served when it ended keeps nobody out: the name was free to whoever proved it, and may be another's by now.
create or replace function domains_instance_gone() returns trigger language plpgsql as $$
begin
    update domains set status = 'removed', ended = 'removed', instance_id = null, since = now(), next_at = null, failing_since = null,
        held_until = case when status in ('verified', 'failing') then now() + interval '7 days' end
        where instance_id = old.id;
    return old;
end $$;
update domains d set held_until = null where status = 'removed' and held_until is not null
    and exists (select from domain_holders h where h.hostname = d.hostname and h.project_id <> d.project_id);
