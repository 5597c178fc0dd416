-- One value that only the right master key opens (edge/master_key.c): without it nobody would notice that secrets come to lie under a
-- second one.
create table master_key_checks (
    only_one boolean primary key default true check (only_one),
    sealed   bytea not null,
    made_at  timestamptz(3) not null default now()
);
