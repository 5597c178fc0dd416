-- Deliveries take turns by project: from one project's oldest to the next one's, whatever either has waiting.
create index event_deliveries_turns on event_deliveries (project_id, next_at) where not is_dead;
