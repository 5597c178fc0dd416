-- Tokens of several members speak for one project's filter: the newest of them counts.
alter table projects add column filter_issued_at bigint; -- seconds: of the token that said it; null: none has
update projects p set filter_issued_at = least(extract(epoch from now())::bigint,
                                               (select max(m.issued_at) from project_members m where m.project_id = p.id));
