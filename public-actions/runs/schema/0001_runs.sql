-- What was run, what it raised, and what is still to be told to subscribers. Rows are written many at a time, so none of these tables
-- has a foreign key into another: a run whose instance has gone meanwhile must not take its neighbours' rows with it. Collection removes
-- what belongs to nothing any more. JSON is kept as text, byte for byte: it is a stranger's, and may hold what the json types refuse.
create table runs (
    id            text primary key,
    project_id    text not null,
    plugin_id     text not null,
    instance_id   text not null,
    deployment_id text not null,
    source        text not null,
    action        text not null,
    outcome       text not null,
    is_preview    boolean not null,
    request_id    text not null,
    visitor       text not null,  -- address; "" for the owner's runs
    actor         text not null,  -- the acting member; "" for visitors
    started_at    timestamptz(3) not null,
    ended_at      timestamptz(3) not null,
    queued_ms     integer not null,
    ran_ms        integer not null,
    input_bytes   bigint not null,
    output_bytes  bigint not null,
    query_count   integer not null,
    fetch_count   integer not null,
    log           text not null,  -- a JSON array a line; bounded by its writer, as the next three are
    error         text not null,  -- a JSON object, or ""
    facts         text not null   -- a JSON object, or ""
);
-- Lists, and what is over an instance's number of rows. Rows come in in about this order, so both indexes grow at their ends.
create index runs_page on runs (instance_id, ended_at, id);
-- What is too old: a few pages for millions of rows.
create index runs_age on runs using brin (ended_at) with (pages_per_range = 32);

-- `seq` grows in the order of commits (the writers hold a lock from before its number is drawn until they commit), so that whoever has
-- read up to a number has missed nothing below it.
create table run_events (
    seq         bigint generated always as identity primary key,
    id          text not null constraint run_events_id unique,
    project_id  text not null,
    plugin_id   text not null,
    instance_id text not null,
    run_id      text not null,
    type        text not null,
    source      text not null,
    action      text not null,
    created_at  timestamptz(3) not null,
    data        text not null
);
create index run_events_page on run_events (instance_id, seq);
create index run_events_run on run_events (run_id);
create index run_events_age on run_events using brin (created_at) with (pages_per_range = 32);

create table event_subscriptions (
    id           text primary key,
    project_id   text not null references projects (id),
    instance_id  text,            -- null: all of the project's
    url          text not null,
    events       text[] not null, -- types, or "*"
    secret       bytea not null,  -- sealed (edge/base/seal.h)
    created_at   timestamptz(3) not null default now(),
    delivered_at timestamptz(3),  -- the last success
    failed_at    timestamptz(3),  -- the last failure
    failure      text not null default ''
);
create index event_subscriptions_page on event_subscriptions (project_id, created_at, id);

-- The outbox: a row for each event and subscription, gone when it is delivered. A claimed row's next_at lies in the future, as far as its
-- claim lasts: whoever dies with it leaves a row that falls due by itself.
create table event_deliveries (
    id              bigint generated always as identity primary key,
    event_id        text not null,
    subscription_id text not null,
    project_id      text not null,
    created_at      timestamptz(3) not null default now(),
    next_at         timestamptz not null default now(),
    attempts        integer not null default 0,
    is_dead         boolean not null default false -- given up
);
create index event_deliveries_due on event_deliveries (next_at) where not is_dead;
create index event_deliveries_subscription on event_deliveries (subscription_id);
-- Rows come and go all the time.
alter table event_deliveries set (autovacuum_vacuum_scale_factor = 0.02, fillfactor = 80);
