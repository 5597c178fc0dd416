-- A claim may fail because nothing was heard of it; another project may take the name only when its record was seen to be absent twice.
alter table domains add column missed_at timestamptz(3); -- the first look that found no record, since it was last seen
