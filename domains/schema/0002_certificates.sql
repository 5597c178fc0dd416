-- Certificates of custom domains: one a claim, ordered of a certificate authority (acme) or given by the owner (own). Chains are kept once.
create table certificate_chains (
    digest  bytea primary key, -- SHA-256 of bytes
    bytes   bytea not null     -- edge/route/certificate.h
);

create table domain_certificates (
    domain_id     text primary key references domains (id) on delete cascade,
    project_id    text not null,
    source        text not null default 'acme' check (source in ('acme', 'own')),
    leaf          bytea,                                        -- DER; null: none yet
    chain         bytea references certificate_chains (digest), -- null: the leaf alone
    key           bytea,                                        -- sealed
    not_before    timestamptz(3),
    not_after     timestamptz(3),
    renew_at      timestamptz(3),                               -- of the one that is served
    next_at       timestamptz(3),                               -- when it is next tried; null: not by itself
    attempts      integer not null default 0,                   -- that failed, one after the other
    failing_since timestamptz(3),
    is_told       boolean not null default false,               -- subscribers know that it fails
    tried_at      timestamptz(3),
    claim         text,                                         -- who orders now
    claimed_until timestamptz(3),
    error_code    text not null default '',
    error         text not null default '',
    constraint domain_certificates_whole check ((leaf is null) = (key is null) and (leaf is null) = (not_after is null))
);
create index domain_certificates_due on domain_certificates (next_at) where next_at is not null;
create index domain_certificates_turns on domain_certificates (project_id, tried_at);
create index domain_certificates_chain on domain_certificates (chain) where chain is not null;

-- A name that becomes served here is due; one that stops being so is found out when it is next tried. With a claim its key dies.
create function domains_want_certificate() returns trigger language plpgsql as $$
begin
    if new.status = 'removed' then
        delete from domain_certificates where domain_id = new.id;
    elsif new.status in ('verified', 'failing') and coalesce((new.routing ->> 'ok')::boolean, false) then
        insert into domain_certificates (domain_id, project_id, next_at) values (new.id, new.project_id, now())
            on conflict (domain_id) do update set next_at = greatest(now(), domain_certificates.renew_at), attempts = 0, failing_since = null
            where domain_certificates.next_at is null or domain_certificates.leaf is null;
    end if;
    return null;
end $$;
create trigger domains_want_certificate after update on domains for each row
    when ((old.status in ('verified', 'failing'), coalesce((old.routing ->> 'ok')::boolean, false), old.status = 'removed')
        is distinct from (new.status in ('verified', 'failing'), coalesce((new.routing ->> 'ok')::boolean, false), new.status = 'removed'))
    execute function domains_want_certificate();
insert into domain_certificates (domain_id, project_id, next_at) select id, project_id, now() from domains
    where status in ('verified', 'failing') and coalesce((routing ->> 'ok')::boolean, false);

-- Every node serves the new one within a second.
create function domain_certificates_tell() returns trigger language plpgsql as $$
begin
    perform pg_notify('stoa_domains', (select hostname from domains where id = coalesce(new.domain_id, old.domain_id)));
    return null;
end $$;
create trigger domain_certificates_changed after update on domain_certificates for each row
    when ((old.leaf, old.key, old.chain) is distinct from (new.leaf, new.key, new.chain)) execute function domain_certificates_tell();
create trigger domain_certificates_made after insert on domain_certificates for each row
    when (new.leaf is not null) execute function domain_certificates_tell();

-- Who we are to a certificate authority.
create table acme_accounts (
    directory    text primary key,
    key          bytea not null, -- sealed
    url          text not null default '',
    paused_until timestamptz(3)  -- the authority is away, and said for how long
);

-- What a certificate authority looks for, while it does (RFC 8555, 8.3); every node answers.
create table acme_challenges (
    token      text primary key,
    answer     text not null,
    hostname   text not null,
    created_at timestamptz(3) not null default now()
);
create function acme_challenges_tell() returns trigger language plpgsql as $$
begin
    perform pg_notify('stoa_challenges', new.token);
    return null;
end $$;
create trigger acme_challenges_made after insert or update on acme_challenges for each row execute function acme_challenges_tell();

-- Orders of the last days, whatever became of them: what our own budget is counted by.
create table acme_issues (
    directory   text not null,
    project_id  text not null,
    hostname    text not null,
    registrable text not null,
    is_renewal  boolean not null,
    at          timestamptz(3) not null default now()
);
create index acme_issues_at on acme_issues (directory, at);
create index acme_issues_hostname on acme_issues (hostname, at);
create index acme_issues_registrable on acme_issues (registrable, at);
