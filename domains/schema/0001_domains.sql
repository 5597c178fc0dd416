-- Claims on host names: who may have which name serve which instance. A claim is one row from the day it is made; a name that is claimed
-- again, by anybody, is another row with another token. Names never change.
create table domains (
    id            text primary key,
    project_id    text not null references projects (id),
    instance_id   text references instances (id), -- null once removed
    hostname      text not null,                  -- A-labels, lower case
    unicode       text not null,                  -- as shown
    registrable   text not null,
    token         text not null,                  -- 128 random bits, of this claim
    status        text not null check (status in ('pending', 'verified', 'failing', 'suspended', 'removed')),
    since         timestamptz(3) not null,        -- in that status
    created_at    timestamptz(3) not null default now(),
    verified_at   timestamptz(3),                 -- the first time
    failing_since timestamptz(3),
    seen_at       timestamptz(3),                 -- its TXT record, last
    checked_at    timestamptz(3),
    next_at       timestamptz(3),                 -- when it is looked at again; null: not by itself
    held_until    timestamptz(3),                 -- removed: the name is nobody else's until then
    ended         text not null default '',       -- removed: why
    changed_hands_at timestamptz(3),              -- when visitors last came to meet another app under this name
    redirect_to   text,
    https_only    boolean not null default true,
    hsts_max_age  bigint,                         -- seconds; null: off
    hsts_subdomains boolean not null default false,
    checks        json not null default '[]',     -- the last few, newest first
    routing       json,                           -- what was seen of it, last
    constraint domains_end check ((status = 'removed') = (ended <> '')),
    constraint domains_instance check (status = 'removed' or instance_id is not null)
);
-- Exactly one project's visitors are served under a name, whoever races.
create unique index domains_holder on domains (hostname) where status in ('verified', 'failing');
create unique index domains_claim on domains (project_id, hostname) where status <> 'removed';
create index domains_hostname on domains (hostname);
create index domains_page on domains (project_id, created_at, id);
create index domains_instance on domains (instance_id);
create index domains_due on domains (next_at) where next_at is not null;
create index domains_ended on domains (since) where status = 'removed';

-- What was claimed stays as it was claimed.
create trigger domains_claim_stays before update of project_id, hostname, token on domains for each row
    when (new.project_id <> old.project_id or new.hostname <> old.hostname or new.token <> old.token)
    execute function rows_stay();

-- Whoever serves by Host is told of what changes for visitors, on every node.
create function domains_tell() returns trigger language plpgsql as $$
begin
    perform pg_notify('stoa_domains', coalesce(new.hostname, old.hostname));
    return null;
end $$;
create trigger domains_changed after update on domains for each row
    when ((old.status, old.instance_id, old.redirect_to, old.https_only, old.hsts_max_age, old.hsts_subdomains, old.changed_hands_at)
        is distinct from (new.status, new.instance_id, new.redirect_to, new.https_only, new.hsts_max_age, new.hsts_subdomains, new.changed_hands_at))
    execute function domains_tell();
create trigger domains_deleted after delete on domains for each row execute function domains_tell();

-- With an instance, however it goes, its claims end; names that were its are nobody else's for a while (lifecycle.h: a week).
create function domains_instance_gone() returns trigger language plpgsql as $$
begin
    update domains set status = 'removed', ended = 'removed', instance_id = null, since = now(), next_at = null, failing_since = null,
        held_until = case when status = 'pending' then null else now() + interval '7 days' end
        where instance_id = old.id;
    return old;
end $$;
create trigger domains_instance_gone before delete on instances for each row execute function domains_instance_gone();

-- Whose visitors a name last brought: another's service worker and storage may wait in their browsers (security-rules.md 13). Rows stay.
create table domain_holders (
    hostname    text primary key,
    project_id  text not null,
    instance_id text not null,
    since       timestamptz(3) not null default now()
);

-- The name below instance_domain that an instance's domains point to by CNAME: random, so that a record which outlives its app leads
-- nowhere, and never issued twice.
create table domain_targets (
    label       text primary key,
    instance_id text not null unique,
    project_id  text not null,
    issued_at   timestamptz(3) not null default now()
);
create trigger domain_targets_stay before update or delete on domain_targets for each row execute function rows_stay();
create trigger domain_targets_stay_all before truncate on domain_targets for each statement execute function rows_stay();
