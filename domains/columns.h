// What the statements of queries.c and queries_settle.c share: the columns that domain_of_row reads.
#ifndef STOA_DOMAINS_COLUMNS_H
#define STOA_DOMAINS_COLUMNS_H
#define MS(column) "coalesce((extract(epoch from " column ") * 1000)::bigint, 0)"
// clang-format off
#define DOMAIN_COLUMNS \
    "d.id, d.project_id, coalesce(d.instance_id, ''), coalesce(i.slug, ''), d.hostname, d.unicode," \
    " d.registrable, d.token, coalesce(t.label, ''), d.status, " MS("d.since") ", " MS("d.verified_at") "," \
    " " MS("d.failing_since") ", " MS("d.seen_at") ", " MS("d.next_at") ", " MS("d.held_until") ", d.ended," \
    " " MS("d.created_at") ", " MS("d.checked_at") ", coalesce(d.redirect_to, ''), d.https_only," \
    " coalesce(d.hsts_max_age, -1), d.hsts_subdomains, d.checks, coalesce(d.routing, 'null')," \
    " case when c.source = 'acme' and c.leaf is not null and c.renew_at is null then 'leaving' else coalesce(c.source, '') end, " MS("c.not_before") ", " MS("c.not_after") ", " MS("c.next_at") "," \
    " coalesce(c.error_code, ''), coalesce(c.error, ''), coalesce(c.claimed_until > now(), false)," \
    " " MS("d.missed_at")
#define DOMAIN_FROM \
    " from domains d left join instances i on i.id = d.instance_id" \
    " left join domain_targets t on t.instance_id = d.instance_id" \
    " left join domain_certificates c on c.domain_id = d.id"
// clang-format on
#endif
