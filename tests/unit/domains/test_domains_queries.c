// Claims through their endpoints and the scheduler's task, with DNS played and a real PostgreSQL; two
// projects beside each other, one of which tries what it must not.
#include "domains/api.h"
#include "domains/certificates.h"
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/catalog/hooks.h"
#include "edge/limits/limits.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef enum fail run_fn(struct call *call, struct answer *answer, struct fault *fault);

#include <cmocka.h>
#include "played_dns.h"
#include "tests/harness/postgres.h"

struct owner {
    struct principal principal;
    struct plugin plugin;
    struct instance instance, second;
};
static struct owner mine, theirs;
static struct db *db;
static const char *database;
static char told[2000]; // "project:type " of every event

static void ok(enum fail f, const struct fault *fault)
{
    if (f != FAIL_NONE)
        fail_msg("%d %s: %s | %s", (int)f, fault->code, fault->public_text, fault->log_text);
}
#define OK(call) ok((call), &fault)

// --- the ground ---

static enum fail on_event(struct db *own, const struct catalog_event *e, struct fault *fault)
{
    size_t n = strlen(told);
    snprintf(told + n, sizeof told - n, "%s:%s ",
             strcmp(e->project_id, mine.principal.project_id) == 0 ? "mine" : "theirs", e->type);
    return FAIL_NONE;
}

static void make_owner(const char *name, struct owner *o)
{
    struct fault fault = {0};
    bool created;
    o->principal = (struct principal){.scope = SCOPE_ADMIN, .token_id = "tok_test"};
    OK(db_begin(db, &fault));
    OK(catalog_project_create(db, str_from(name), o->principal.project_id, o->principal.owner_id,
                              &fault));
    OK(catalog_plugin_upsert(db, o->principal.project_id, STR("rsvp"), STR("RSVP"), STR("1.0.0"),
                             STR("app"), &o->plugin, &created, &fault));
    OK(catalog_instance_create(db, o->principal.project_id, &o->plugin, &o->instance, &fault));
    OK(catalog_instance_create(db, o->principal.project_id, &o->plugin, &o->second, &fault));
    OK(db_commit(db, &fault));
}

static void migrate_all(void)
{
    struct fault fault = {0};
    struct migration all[32];
    size_t n = 0;
    for (size_t i = 0; i != catalog_migration_count; ++i)
        all[n++] = catalog_migrations[i];
    for (size_t i = 0; i != domains_migration_count; ++i)
        all[n++] = domains_migrations[i];
    OK(migrate(db, all, n, &fault));
}

static int prepare(void **state)
{
    struct fault fault = {0};
    static const struct catalog_hooks hooks = {.on_event = on_event};
    static const struct domains_options options = {.apps_origin = "https://apps.stoa-host.com",
                                                   .console_origin =
                                                       "https://console.stoa-desk.com",
                                                   .files_origin = "",
                                                   .instance_domain = "i.stoa-host.com",
                                                   .addresses = "203.0.113.7, 2001:db8::7",
                                                   .reserved = "reserved-name.com"};
    limits_init();
    database = postgres_start();
    db_configure(database);
    db = db_of_thread();
    migrate_all();
    catalog_hooks_add(&hooks);
    OK(domains_init(&options, &fault));
    return 0;
}

static int finish(void **state)
{
    postgres_stop();
    return 0;
}

// Other projects and another zone for each test, so that none meets another's limits.
static char zone[64], name[100], challenge[160];

static int begin(void **state)
{
    static int count;
    make_owner("Mine", &mine);
    make_owner("Theirs", &theirs);
    snprintf(zone, sizeof zone, "customer-%d.com", ++count);
    snprintf(name, sizeof name, "forms.%s", zone);
    snprintf(challenge, sizeof challenge, "_stoa-challenge.%s", name);
    played_clear();
    told[0] = '\0';
    return 0;
}

// --- calls ---

static enum fail ask(run_fn *run, const struct owner *o, const char *param, json_t *body,
                     json_t **ret, struct fault *fault)
{
    struct answer a = {0};
    struct call call = {.db = db_of_thread(),
                        .principal = &o->principal,
                        .params = {str_from(param)},
                        .json = body,
                        .request_id = "0123456789abcdef01234567",
                        .peer = STR("192.0.2.1")};
    enum fail f = run(&call, &a, fault);
    db_rollback(call.db);
    json_decref(body);
    *ret = f == FAIL_NONE ? a.json : a.details;
    if (f == FAIL_NONE)
        json_decref(a.details);
    else
        json_decref(a.json);
    return f;
}

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s != NULL ? s : "";
}

// The id, in static memory of its own.
static const char *claim(const struct owner *o, const char *hostname)
{
    static char ids[16][CATALOG_ID_ROOM];
    static unsigned turn;
    struct fault fault = {0};
    json_auto_t *d = NULL;
    OK(ask(domain_api_create, o, "",
           json_pack("{ss ss}", "hostname", hostname, "instanceId", o->instance.slug), &d, &fault));
    assert_string_equal(text(d, "status"), "pending");
    char *id = ids[turn++ % 16];
    snprintf(id, CATALOG_ID_ROOM, "%s", text(d, "id"));
    return id;
}

static void add_record(const struct owner *o, const char *id)
{
    struct fault fault = {0};
    json_auto_t *d = NULL;
    OK(ask(domain_api_get, o, id, NULL, &d, &fault));
    const json_t *v = json_object_get(d, "verification");
    played_add(text(v, "name"), DNS_TXT, text(v, "value"));
}

// "verified", or the code it failed with.
static const char *verify(const struct owner *o, const char *id)
{
    static __thread struct fault fault;
    json_auto_t *d = NULL;
    fault = (struct fault){0};
    enum fail f = ask(domain_api_verify, o, id, NULL, &d, &fault);
    return f == FAIL_NONE ? "verified" : fault.code;
}
#define VERIFY(owner, id, expected) assert_string_equal(verify(owner, id), expected)

static const char *status_of(const struct owner *o, const char *id)
{
    static char status[16];
    struct fault fault = {0};
    json_auto_t *d = NULL;
    OK(ask(domain_api_get, o, id, NULL, &d, &fault));
    snprintf(status, sizeof status, "%s", text(d, "status"));
    return status;
}
#define STATUS(owner, id, expected) assert_string_equal(status_of(owner, id), expected)

static void patch(const char *id, json_t *body, enum fail expected)
{
    struct fault fault = {0};
    json_t *d = NULL;
    enum fail f = ask(domain_api_change, &mine, id, body, &d, &fault);
    json_decref(d);
    if (f != expected)
        fail_msg("%d %s %s %s", (int)f, fault.code, fault.public_text, fault.log_text);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void sql(const char *format, const char *id)
{
    char statement[400];
    struct fault fault = {0};
    snprintf(statement, sizeof statement, format, id);
    OK(db_script(db, &fault, statement));
}

static int64_t number(const char *format, const char *what)
{
    char statement[400];
    struct fault fault = {0};
    DB_ROWS_AUTO rows = NULL;
    snprintf(statement, sizeof statement, format, what);
    static char *kept[64]; // statements are prepared by their address
    static size_t n;
    kept[n] = strdup(statement);
    OK(db_query(db, &fault, &rows, kept[n]));
    n = (n + 1) % 64;
    return db_get_int(rows, 0, 0);
}

#pragma GCC diagnostic pop

// Without the pool: what its job does.
static void tend(void)
{
    struct fault fault = {0};
    DB_ROWS_AUTO rows = NULL;
    OK(domain_query_due(db, 100, &rows, &fault));
    for (size_t i = 0; i != db_count(rows); ++i) {
        static const struct domain_actor server = {0};
        struct domain_verdict verdict;
        DOMAIN_AUTO d;
        domain_of_row(rows, i, &d);
        int64_t ends = domain_ends_at(&d.life);
        if (ends != 0 && clock_real_ms() >= ends) {
            OK(domain_expire(db, &d, &fault));
            continue;
        }
        PROOF_AUTO proof;
        ROUTING_AUTO routing;
        proof_look(&d, &proof);
        routing_look(db, &d, &routing);
        OK(domain_settle(db, &d, &proof, &routing, &server, &verdict, &fault));
    }
}

// --- proof ---

static void a_claim_says_what_to_add(void **state)
{
    struct fault fault = {0};
    json_auto_t *d = NULL;
    const char *id = claim(&mine, name);
    OK(ask(domain_api_get, &mine, name, NULL, &d, &fault)); // by its name as well
    assert_string_equal(text(d, "id"), id);
    const json_t *v = json_object_get(d, "verification"),
                 *expected = json_object_get(json_object_get(d, "routing"), "expected");
    assert_string_equal(text(v, "type"), "TXT");
    assert_string_equal(text(v, "name"), challenge);
    assert_int_equal(strlen(text(v, "value")), strlen("stoa-verification=") + 32);
    assert_int_equal(json_array_size(expected), 3);
    const char *target = text(json_array_get(expected, 0), "value");
    assert_string_equal(text(json_array_get(expected, 0), "type"), "CNAME");
    assert_int_equal(strlen(target), strlen("c-.i.stoa-host.com") + 26);
    assert_string_equal(text(json_array_get(expected, 2), "type"), "AAAA");
    assert_string_equal(text(json_array_get(expected, 2), "value"), "2001:db8::7");
    assert_string_not_equal(text(d, "nextCheckAt"), "");
    assert_string_not_equal(text(d, "next"), "");
    json_t *none = NULL;
    assert_int_equal(ask(domain_api_get, &theirs, id, NULL, &none, &fault), FAIL_NOT_FOUND);
    assert_int_equal(ask(domain_api_create, &mine, "",
                         json_pack("{ss ss}", "hostname", name, "instanceId", mine.instance.id),
                         &none, &fault),
                     FAIL_CONFLICT);
    assert_string_equal(fault.code, "domain_exists");
    assert_int_equal(ask(domain_api_create, &mine, "",
                         json_pack("{ss ss}", "hostname", "other.customer-x.com", "instanceId",
                                   theirs.instance.id),
                         &none, &fault),
                     FAIL_NOT_FOUND);
}

static void a_record_that_is_there_verifies(void **state)
{
    const char *id = claim(&mine, name);
    VERIFY(&mine, id, "txt_not_found");
    STATUS(&mine, id, "pending");
    played_add(challenge, DNS_TXT, "v=spf1 -all");
    VERIFY(&mine, id, "txt_not_found");
    add_record(&mine, id); // beside the other
    VERIFY(&mine, id, "verified");
    VERIFY(&mine, id, "verified");
    assert_string_equal(told, "mine:domain.verified ");
    assert_int_equal(number("select count(*) from audit_events where subject = '%s'", id), 2);
    VERIFY(&theirs, id, "domain_not_found");
}

static void one_that_dns_cannot_tell_is_no_miss(void **state)
{
    const char *id = claim(&mine, name);
    add_record(&mine, id);
    VERIFY(&mine, id, "verified");
    played_fail(DNS_TIMEOUT);
    VERIFY(&mine, id, "dns_error");
    played_fail(DNS_SERVFAIL);
    VERIFY(&mine, id, "dns_error");
    played_fail(DNS_BOGUS);
    VERIFY(&mine, id, "dnssec_bogus");
    STATUS(&mine, id, "verified");
    played_fail(DNS_FOUND);
    played_clear();
    VERIFY(&mine, id, "txt_not_found");
    STATUS(&mine, id, "failing");
    add_record(&mine, id);
    VERIFY(&mine, id, "verified");
    assert_string_equal(told, "mine:domain.verified mine:domain.failing mine:domain.verified ");
}

struct slip {
    const char *format; // %s: the value
    const char *code;
    const char *words; // of the message
};

static void every_slip_is_named(void **state)
{
    static const struct slip slips[] = {
        {"\"%s\"", "txt_mismatch", "quotation marks"},
        {"'%s'", "txt_mismatch", "quotation marks"},
        {"\\226\\128\\156%s\\226\\128\\157", "txt_mismatch", "quotation marks"},
        {" %s", "txt_mismatch", "spaces around"},
        {"%s \\010", "txt_mismatch", "spaces or quotation marks"},
        {"%s; other", "txt_mismatch", "more in it"},
        {"stoa-verification=0123456789abcdef0123456789abcdef%.0s", "txt_mismatch",
         "token is another one"},
        {"google-site-verification=x%.0s", "txt_not_found", "are others"},
    };
    for (size_t i = 0; i != sizeof slips / sizeof slips[0]; ++i) {
        char value[60], slip[120];
        begin(NULL);
        DOMAIN_AUTO d = {.checks = NULL};
        struct fault fault = {0};
        const char *id = claim(&mine, name);
        OK(domain_query_find(db, mine.principal.project_id, str_from(id), &d, &fault));
        snprintf(value, sizeof value, "stoa-verification=%s", d.token);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(slip, sizeof slip, slips[i].format, value);
#pragma GCC diagnostic pop
        played_add(challenge, DNS_TXT, slip);
        PROOF_AUTO p;
        proof_look(&d, &p);
        assert_string_equal(proof_code(p.outcome), slips[i].code);
        if (strstr(p.message, slips[i].words) == NULL)
            fail_msg("%s: %s", slip, p.message);
        assert_string_equal(text(json_array_get(p.seen, 0), "value"), slip);
    }
}

static void capitals_and_a_missing_beginning_are_named(void **state)
{
    DOMAIN_AUTO d = {.checks = NULL};
    struct fault fault = {0};
    const char *id = claim(&mine, name);
    OK(domain_query_find(db, mine.principal.project_id, str_from(id), &d, &fault));
    char value[60];
    snprintf(value, sizeof value, "STOA-verification=%s", d.token);
    for (int i = 0; i != 2; ++i) {
        played_clear();
        played_add(challenge, DNS_TXT, i == 0 ? value : d.token);
        PROOF_AUTO p;
        proof_look(&d, &p);
        assert_int_equal(p.outcome, PROOF_MISMATCH);
        assert_non_null(strstr(p.message, i == 0 ? "capital" : "missing in front"));
    }
}

static void wrong_places_are_looked_at(void **state)
{
    static const char *const places[] = {"_stoa-challenge.%s.%s", "%s%.0s",
                                         "_stoa-challenge.%.0s%s"};
    static const char *const words[] = {"adds the zone by itself", "in front of the name",
                                        "below the very name"};
    DOMAIN_AUTO d = {.checks = NULL};
    struct fault fault = {0};
    const char *id = claim(&mine, name);
    OK(domain_query_find(db, mine.principal.project_id, str_from(id), &d, &fault));
    for (size_t i = 0; i != 3; ++i) {
        char place[300], value[60];
        snprintf(value, sizeof value, "stoa-verification=%s", d.token);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(place, sizeof place, places[i], name, zone);
#pragma GCC diagnostic pop
        played_clear();
        played_add(place, DNS_TXT, value);
        PROOF_AUTO p;
        proof_look(&d, &p);
        assert_int_equal(p.outcome, PROOF_NOT_FOUND);
        assert_non_null(strstr(p.message, place));
        assert_non_null(strstr(p.message, words[i]));
        assert_string_equal(text(json_array_get(p.seen, 0), "name"), place);
    }
}

static void a_cname_at_the_challenge_is_followed(void **state)
{
    DOMAIN_AUTO d = {.checks = NULL};
    struct fault fault = {0};
    const char *id = claim(&mine, name);
    OK(domain_query_find(db, mine.principal.project_id, str_from(id), &d, &fault));
    char value[60];
    snprintf(value, sizeof value, "stoa-verification=%s", d.token);
    played_add(challenge, DNS_CNAME, "proofs.customer-elsewhere.com");
    played_add("proofs.customer-elsewhere.com", DNS_TXT, value);
    VERIFY(&mine, id, "verified");
}

// How many looks until it is too many.
static int exhaust(const struct owner *o, const char *id)
{
    int n = 0;
    while (n != 100 && strcmp(verify(o, id), "rate_limited") != 0)
        ++n;
    return n;
}

static void dns_is_not_asked_without_end(void **state)
{
    const char *id = claim(&mine, name), *other = claim(&theirs, name);
    assert_in_range(exhaust(&mine, id), 10, 20);
    VERIFY(&theirs, other, "txt_not_found"); // whoever else claims it is not kept from it
    begin(NULL);
    VERIFY(&mine, claim(&mine, name), "txt_not_found");
}

// The scheduler's looks at what somebody claimed are theirs too, and a zone has an end.
static void a_zone_is_not_asked_without_end(void **state)
{
    struct owner strangers[6];
    unsigned wait;
    int owners = 0, servers = 0;
    for (size_t i = 0; i != 6; ++i) {
        DOMAIN_AUTO d = {.checks = NULL};
        struct fault fault = {0};
        make_owner("Stranger", &strangers[i]);
        const char *id = claim(&strangers[i], name);
        OK(domain_query_find(db, strangers[i].principal.project_id, str_from(id), &d, &fault));
        while (domain_may_ask(&d, false, &wait) && servers < 100)
            ++servers;
        assert_true(wait > 0);
        if (i == 0)
            assert_in_range(servers, 5, 6);
        owners += exhaust(&strangers[i], id);
    }
    assert_in_range(owners + servers, 40, 60);
}

static void strangers_keep_no_holder_from_its_looks(void **state)
{
    struct owner strangers[4];
    DOMAIN_AUTO d = {.checks = NULL};
    struct fault fault = {0};
    unsigned wait;
    const char *id = claim(&mine, name);
    add_record(&mine, id);
    VERIFY(&mine, id, "verified");
    for (size_t i = 0; i != 4; ++i) {
        make_owner("Stranger", &strangers[i]);
        (void)exhaust(&strangers[i], claim(&strangers[i], name));
    }
    VERIFY(&theirs, claim(&theirs, name), "rate_limited");
    OK(domain_query_find(db, mine.principal.project_id, str_from(id), &d, &fault));
    assert_true(domain_may_ask(&d, false, &wait));
    played_remove(challenge);
    VERIFY(&mine, id, "txt_not_found");
    STATUS(&mine, id, "failing");
    add_record(&mine, id);
    VERIFY(&mine, id, "verified");
}

// --- several projects ---

static void only_one_holds_a_name(void **state)
{
    const char *a = claim(&mine, name), *b = claim(&theirs, name);
    add_record(&mine, a);
    add_record(&theirs, b);
    VERIFY(&mine, a, "verified");
    VERIFY(&theirs, b, "domain_held");
    STATUS(&theirs, b, "pending");
    STATUS(&mine, a, "verified");
    // whatever a mistake of ours would write, the database refuses
    struct fault fault = {0};
    assert_int_equal(db_query(db, &fault, NULL,
                              "update domains set status = 'verified' where id = $1", db_text(b)),
                     FAIL_CONFLICT);
    assert_string_equal(db_constraint(db), "domains_holder");
}

static void a_transfer_needs_an_hour_of_absence(void **state)
{
    const char *a = claim(&mine, name), *b = claim(&theirs, name);
    add_record(&mine, a);
    VERIFY(&mine, a, "verified");
    played_remove(challenge);
    add_record(&theirs, b);
    VERIFY(&theirs, b, "domain_held"); // the first absence
    STATUS(&mine, a, "failing");
    VERIFY(&theirs, b, "domain_held"); // again at once
    sql("update domains set missed_at = now() - interval '59 minutes' where id = '%s'", a);
    VERIFY(&theirs, b, "domain_held");
    sql("update domains set missed_at = now() - interval '61 minutes' where id = '%s'", a);
    played_fail(DNS_SERVFAIL);
    VERIFY(&theirs, b, "dns_error");
    played_fail(DNS_FOUND);
    played_cut(true); // the holder's may be among those not read
    VERIFY(&theirs, b, "domain_held");
    played_cut(false);
    VERIFY(&theirs, b, "verified");
    STATUS(&mine, a, "removed");
    assert_string_equal(told, "mine:domain.verified mine:domain.failing mine:domain.transferred "
                              "theirs:domain.verified ");
    assert_int_equal(number("select count(*) from domains where id = '%s' and changed_hands_at > "
                            "now() - interval '1 minute'",
                            b),
                     1);
    // its old record is worth nothing any more
    played_clear();
    add_record(&mine, a);
    VERIFY(&mine, a, "domain_not_found");
}

static void a_record_that_comes_back_ends_the_absence(void **state)
{
    const char *a = claim(&mine, name), *b = claim(&theirs, name);
    add_record(&mine, a);
    VERIFY(&mine, a, "verified");
    played_clear();
    add_record(&theirs, b);
    VERIFY(&theirs, b, "domain_held");
    sql("update domains set missed_at = now() - interval '2 hours' where id = '%s'", a);
    add_record(&mine, a); // back before the second look
    VERIFY(&theirs, b, "domain_held");
    STATUS(&mine, a, "verified");
    played_clear();
    add_record(&theirs, b);
    VERIFY(&theirs, b, "domain_held"); // begins anew
    STATUS(&mine, a, "failing");
}

static void a_week_of_silence_is_no_absence(void **state)
{
    static const char *const fails[] = {"8 days", "1 hour"};
    for (size_t i = 0; i != 2; ++i) {
        begin(NULL);
        const char *a = claim(&mine, name), *b = claim(&theirs, name);
        add_record(&mine, a);
        VERIFY(&mine, a, "verified");
        sql("update domains set seen_at = now() - interval '8 days' where id = '%s'", a);
        played_fail(DNS_TIMEOUT);
        VERIFY(&mine, a, "dns_error");
        STATUS(&mine, a, "failing");
        sql(i == 0 ? "update domains set failing_since = now() - interval '8 days' where id = '%s'"
                   : "update domains set failing_since = now() - interval '1 hour' where id = '%s'",
            a);
        played_clear();
        add_record(&theirs, b);
        if (strcmp(verify(&theirs, b), "domain_held") != 0)
            fail_msg("taken at the first look, failing for %s", fails[i]);
        STATUS(&mine, a, "failing");
        sql("update domains set missed_at = now() - interval '61 minutes' where id = '%s'", a);
        VERIFY(&theirs, b, "verified");
    }
}

// Whoever does not prove the name says nothing of its holder.
static void strangers_cannot_make_a_name_fail(void **state)
{
    const char *a = claim(&mine, name), *b = claim(&theirs, name);
    add_record(&mine, a);
    VERIFY(&mine, a, "verified");
    played_clear();
    VERIFY(&theirs, b, "txt_not_found");
    STATUS(&mine, a, "verified");
    played_add(challenge, DNS_TXT, "stoa-verification=00000000000000000000000000000000");
    VERIFY(&theirs, b, "txt_mismatch");
    STATUS(&mine, a, "verified");
}

static void a_removed_name_is_nobody_elses_for_a_week(void **state)
{
    struct fault fault = {0};
    json_t *d = NULL;
    const char *a = claim(&mine, name), *b = claim(&theirs, name);
    add_record(&mine, a);
    add_record(&theirs, b);
    VERIFY(&mine, a, "verified");
    OK(ask(domain_api_remove, &mine, a, NULL, &d, &fault));
    assert_string_equal(text(d, "status"), "removed");
    json_decref(d);
    VERIFY(&theirs, b, "domain_held");
    sql("update domains set held_until = held_until - interval '7 days' where id = '%s'", a);
    VERIFY(&theirs, b, "verified");
}

static void who_removed_it_may_have_it_back(void **state)
{
    struct fault fault = {0};
    json_t *d = NULL;
    const char *a = claim(&mine, name);
    add_record(&mine, a);
    VERIFY(&mine, a, "verified");
    OK(ask(domain_api_remove, &mine, name, NULL, &d, &fault));
    json_decref(d);
    const char *again = claim(&mine, name);
    assert_string_not_equal(a, again);
    VERIFY(&mine, again, "txt_mismatch"); // another claim, another token
    add_record(&mine, again);
    VERIFY(&mine, again, "verified");
    assert_int_equal(
        number("select count(*) from domains where id = '%s' and held_until is null", a), 1);
    assert_int_equal(
        number("select count(*) from domains where id = '%s' and changed_hands_at is null", again),
        1);
}

static void a_claim_that_proved_nothing_keeps_nobody_out(void **state)
{
    struct fault fault = {0};
    json_t *d = NULL;
    const char *a = claim(&mine, name), *b = claim(&theirs, name);
    OK(ask(domain_api_remove, &mine, a, NULL, &d, &fault));
    json_decref(d);
    add_record(&theirs, b);
    VERIFY(&theirs, b, "verified");
}

// `a` was mine and suspended; the name is theirs by now.
static void lose(const char *a, const char *b)
{
    add_record(&mine, a);
    VERIFY(&mine, a, "verified");
    sql("update domains set status = 'suspended', since = now() where id = '%s'", a);
    played_clear();
    add_record(&theirs, b);
    VERIFY(&theirs, b, "verified");
}

// What they see of their own name, their record there and gone and there again.
static void assert_theirs(const char *b)
{
    VERIFY(&theirs, b, "verified");
    played_clear();
    VERIFY(&theirs, b, "txt_not_found");
    STATUS(&theirs, b, "failing");
    add_record(&theirs, b);
    VERIFY(&theirs, b, "verified");
    played_clear();
    sql("update domains set status = 'suspended', since = now() where id = '%s'", b);
    add_record(&theirs, b);
    VERIFY(&theirs, b, "verified");
}

static void a_former_holder_that_leaves_takes_nothing_along(void **state)
{
    struct fault fault = {0};
    json_t *d = NULL;
    const char *a = claim(&mine, name), *b = claim(&theirs, name);
    lose(a, b);
    OK(ask(domain_api_remove, &mine, a, NULL, &d, &fault));
    json_decref(d);
    assert_theirs(b);
}

static void nor_does_one_whose_instance_goes(void **state)
{
    struct fault fault = {0};
    struct instance gone;
    OK(db_begin(db, &fault));
    OK(catalog_instance_create(db, mine.principal.project_id, &mine.plugin, &gone, &fault));
    OK(db_commit(db, &fault));
    const char *a = claim(&mine, name), *b = claim(&theirs, name);
    patch(a, json_pack("{ss}", "instanceId", gone.id), FAIL_NONE);
    lose(a, b);
    OK(catalog_instance_delete(db, mine.principal.project_id, gone.id, &fault));
    STATUS(&mine, a, "removed");
    assert_theirs(b);
}

// However it came to be written down.
static void no_quarantine_holds_against_who_is_served(void **state)
{
    const char *a = claim(&mine, name), *b = claim(&theirs, name);
    lose(a, b);
    sql("update domains set status = 'removed', ended = 'removed', instance_id = null, held_until "
        "= now() + interval '7 days' where id = '%s'",
        a);
    VERIFY(&theirs, b, "verified");
    played_clear();
    VERIFY(&theirs, b, "txt_not_found");
    STATUS(&theirs, b, "failing");
    add_record(&theirs, b);
    VERIFY(&theirs, b, "verified");
}

// Written down before such claims kept nobody out: the script that mends it may run again. Who
// holds a quarantine by right keeps it.
static void quarantines_of_former_holders_were_lifted(void **state)
{
    struct fault fault = {0};
    json_t *d = NULL;
    const char *a = claim(&mine, name), *b = claim(&theirs, name);
    lose(a, b);
    sql("update domains set status = 'removed', ended = 'removed', instance_id = null, held_until "
        "= now() + interval '7 days' where id = '%s'",
        a);
    sql("update domains set status = 'suspended', since = now() where id = '%s'", b);
    VERIFY(&theirs, b, "domain_held");
    OK(db_script(db, &fault, domains_migrations[2].sql)); // 0003_quarantine.sql
    VERIFY(&theirs, b, "verified");
    OK(ask(domain_api_remove, &theirs, b, NULL, &d, &fault));
    json_decref(d);
    OK(db_script(db, &fault, domains_migrations[2].sql)); // 0003_quarantine.sql
    const char *again = claim(&mine, name);
    add_record(&mine, again);
    VERIFY(&mine, again, "domain_held");
}

static void claims_stay_as_they_were_made(void **state)
{
    static const char *const tries[] = {"update domains set hostname = 'x.y' where id = $1",
                                        "update domains set token = 'x' where id = $1",
                                        "update domains set project_id = 'x' where id = $1"};
    const char *a = claim(&mine, name);
    for (size_t i = 0; i != 3; ++i) {
        struct fault fault = {0};
        assert_int_equal(db_query(db, &fault, NULL, tries[i], db_text(a)), FAIL_INTERNAL);
        assert_non_null(strstr(fault.log_text, "42501"));
    }
}

// --- races ---

struct racer {
    pthread_t thread;
    pthread_barrier_t *barrier;
    const struct owner *owner;
    const char *id;
    bool won;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    pthread_barrier_wait(r->barrier);
    const char *how = verify(r->owner, r->id);
    r->won = strcmp(how, "verified") == 0;
    return r->won || strcmp(how, "domain_held") == 0 ? NULL : (void *)how;
}

static void racing_verifies_have_one_winner(void **state)
{
    for (int round = 0; round != 12; ++round) {
        begin(NULL);
        pthread_barrier_t barrier;
        struct racer racers[2] = {{.owner = &mine}, {.owner = &theirs}};
        pthread_barrier_init(&barrier, NULL, 2);
        for (int i = 0; i != 2; ++i) {
            racers[i].id = claim(racers[i].owner, name);
            racers[i].barrier = &barrier;
            add_record(racers[i].owner, racers[i].id);
        }
        for (int i = 0; i != 2; ++i)
            pthread_create(&racers[i].thread, NULL, race, &racers[i]);
        for (int i = 0; i != 2; ++i) {
            void *wrong;
            pthread_join(racers[i].thread, &wrong);
            if (wrong != NULL)
                fail_msg("a racer ended with %s", (char *)wrong);
        }
        pthread_barrier_destroy(&barrier);
        assert_int_equal(racers[0].won + racers[1].won, 1);
        assert_int_equal(number("select count(*) from domains where hostname = '%s' and status in "
                                "('verified', 'failing')",
                                name),
                         1);
    }
}

// Two transactions that have both seen no holder: the second waits for the first, and fails.
static void two_transactions_cannot_both_hold(void **state)
{
    struct fault fault = {0};
    const char *a = claim(&mine, name), *b = claim(&theirs, name);
    struct db *other = NULL;
    static const char update[] =
        "update domains set status = 'verified', since = now() where id = $1";
    OK(db_open(database, &other, &fault));
    OK(db_begin(db, &fault));
    OK(db_begin(other, &fault));
    OK(db_query(db, &fault, NULL, update, db_text(a)));
    OK(db_script(other, &fault, "set local lock_timeout = '200ms'"));
    assert_int_equal(db_query(other, &fault, NULL, update, db_text(b)), FAIL_BUSY); // it waits
    db_rollback(other);
    OK(db_commit(db, &fault));
    OK(db_begin(other, &fault));
    assert_int_equal(db_query(other, &fault, NULL, update, db_text(b)), FAIL_CONFLICT);
    db_rollback(other);
    db_close(other);
}

// --- the scheduler ---

static void the_server_verifies_by_itself(void **state)
{
    const char *a = claim(&mine, name);
    add_record(&mine, a);
    tend();
    STATUS(&mine, a, "verified");
    assert_int_equal(
        number("select count(*) from domains where id = '%s' and next_at between now() + "
               "interval '21 hours' and now() + interval '25 hours'",
               a),
        1);
}

static void grace_suspension_and_recovery(void **state)
{
    const char *a = claim(&mine, name);
    add_record(&mine, a);
    VERIFY(&mine, a, "verified");
    played_clear();
    sql("update domains set next_at = now() - interval '1 second' where id = '%s'", a);
    tend();
    STATUS(&mine, a, "failing");
    sql("update domains set failing_since = now() - interval '7 days 1 second', missed_at = "
        "now() - interval '7 days 1 second', next_at = now() - "
        "interval '1 second'"
        " where id = '%s'",
        a);
    tend();
    STATUS(&mine, a, "suspended");
    add_record(&mine, a);
    sql("update domains set next_at = now() - interval '1 second' where id = '%s'", a);
    tend();
    STATUS(&mine, a, "verified");
    assert_string_equal(told, "mine:domain.verified mine:domain.failing mine:domain.suspended "
                              "mine:domain.verified ");
}

static void claims_end(void **state)
{
    const char *a = claim(&mine, name), *b = claim(&theirs, name);
    add_record(&mine, a);
    sql("update domains set since = now() - interval '30 days 1 second', next_at = now() - "
        "interval '1 second' where id "
        "= '%s'",
        a);
    tend();
    STATUS(&mine, a, "removed");
    assert_int_equal(
        number("select count(*) from domains where id = '%s' and ended = 'expired' and "
               "held_until is null",
               a),
        1);
    STATUS(&theirs, b, "pending");
}

static void a_name_is_looked_at_by_one_node(void **state)
{
    struct fault fault = {0};
    struct db *other = NULL;
    DB_ROWS_AUTO first = NULL;
    DB_ROWS_AUTO second = NULL;
    sql("update domains set next_at = now() + interval '1 day' where next_at is not null%s", "");
    (void)claim(&mine, name);
    OK(db_open(database, &other, &fault));
    OK(db_begin(other, &fault));
    OK(domain_query_due(other, 10, &first, &fault));
    OK(domain_query_due(db, 10, &second, &fault)); // not held up, and not given the same
    assert_int_equal(db_count(first), 1);
    assert_int_equal(db_count(second), 0);
    db_rollback(other);
    db_close(other);
}

// A thousand names whose servers never answer hold up their own project only.
static void one_project_does_not_hold_up_others(void **state)
{
    struct fault fault = {0};
    DB_ROWS_AUTO rows = NULL;
    char many[120];
    bool found = false;
    sql("update domains set next_at = now() + interval '1 day' where next_at is not null%s", "");
    for (int i = 0; i != 20; ++i) {
        snprintf(many, sizeof many, "n%d.%s", i, zone);
        (void)claim(&mine, many);
    }
    const char *b = claim(&theirs, name);
    OK(domain_query_due(db, 4, &rows, &fault));
    assert_int_equal(db_count(rows), 3);
    for (size_t i = 0; i != db_count(rows); ++i)
        found = found || str_eq(db_get(rows, i, 0), str_from(b));
    assert_true(found);
}

static void what_has_ended_goes(void **state)
{
    struct fault fault = {0};
    json_t *d = NULL;
    const char *a = claim(&mine, name);
    OK(ask(domain_api_remove, &mine, a, NULL, &d, &fault));
    json_decref(d);
    OK(domain_query_purge(db, 100, &fault));
    assert_int_equal(number("select count(*) from domains where id = '%s'", a), 1);
    sql("update domains set since = now() - interval '25 hours' where id = '%s'", a);
    OK(domain_query_purge(db, 100, &fault));
    assert_int_equal(number("select count(*) from domains where id = '%s'", a), 0);
}

// --- what is served ---

struct seen_hosts {
    char text[2000];
};

static void visit(void *arg, const struct domain_host *h)
{
    struct seen_hosts *s = arg;
    size_t n = strlen(s->text);
    snprintf(s->text + n, sizeof s->text - n, "%.*s=%.*s>%.*s;", STR_FMT(h->hostname),
             STR_FMT(h->instance_slug), STR_FMT(h->redirect_to));
}

static const char *served(const char *hostname)
{
    static struct seen_hosts s;
    struct fault fault = {0};
    s.text[0] = '\0';
    OK(domains_hosts(db, str_from(hostname), visit, &s, &fault));
    return s.text;
}

static void hosts_follow_the_claims(void **state)
{
    char www[120], expected[300];
    const char *a = claim(&mine, name);
    snprintf(www, sizeof www, "www.%s", name);
    assert_string_equal(served(name), "");
    add_record(&mine, a);
    VERIFY(&mine, a, "verified");
    snprintf(expected, sizeof expected, "%s=%s>;", name, mine.instance.slug);
    assert_string_equal(served(name), expected);
    const char *b = claim(&mine, www);
    add_record(&mine, b);
    VERIFY(&mine, b, "verified");
    patch(b, json_pack("{ss}", "redirectTo", name), FAIL_NONE);
    snprintf(expected, sizeof expected, "%s=%s>%s;", www, mine.instance.slug, name);
    assert_string_equal(served(www), expected);
    patch(a, json_pack("{ss}", "redirectTo", www), FAIL_REFUSED); // in circles
    patch(a, json_pack("{ss}", "redirectTo", name), FAIL_REFUSED);
    patch(a, json_pack("{ss}", "redirectTo", "elsewhere.customer-x.com"), FAIL_REFUSED);
    patch(a, json_pack("{s{sI}}", "hsts", "maxAge", (json_int_t)-5), FAIL_REFUSED);
    patch(a, json_pack("{s{si}}", "hsts", "maxAge", 300), FAIL_NONE);
    patch(a, json_pack("{ss}", "instanceId", theirs.instance.id), FAIL_NOT_FOUND);
    // moved at once; the other name, left behind, serves by itself again
    patch(a, json_pack("{ss}", "instanceId", mine.second.slug), FAIL_NONE);
    snprintf(expected, sizeof expected, "%s=%s>;", name, mine.second.slug);
    assert_string_equal(served(name), expected);
    snprintf(expected, sizeof expected, "%s=%s>;", www, mine.instance.slug);
    assert_string_equal(served(www), expected);
    assert_int_equal(number("select count(*) from domains where id = '%s' and changed_hands_at is "
                            "not null",
                            a),
                     1);
    played_clear();
    VERIFY(&mine, a, "txt_not_found");
    assert_string_not_equal(served(name), ""); // failing: still served
    sql("update domains set failing_since = now() - interval '7 days', missed_at = now() - "
        "interval '7 days' where id = '%s'",
        a);
    VERIFY(&mine, a, "txt_not_found");
    assert_string_equal(served(name), "");
}

static void a_name_ends_with_its_instance(void **state)
{
    struct fault fault = {0};
    struct instance gone;
    json_auto_t *what = json_object();
    bool has_data;
    OK(db_begin(db, &fault));
    OK(catalog_instance_create(db, mine.principal.project_id, &mine.plugin, &gone, &fault));
    OK(db_commit(db, &fault));
    const char *a = claim(&mine, name), *b = claim(&theirs, name);
    add_record(&mine, a);
    add_record(&theirs, b);
    VERIFY(&mine, a, "verified");
    patch(a, json_pack("{ss}", "instanceId", gone.id), FAIL_NONE);
    OK(catalog_ask_delete(db, &mine.plugin, what, &has_data, &fault));
    assert_true(json_array_size(json_object_get(what, "domains")) >= 1);
    OK(catalog_instance_delete(db, mine.principal.project_id, gone.id, &fault));
    STATUS(&mine, a, "removed");
    assert_string_equal(served(name), "");
    VERIFY(&theirs, b, "domain_held"); // quarantined as if removed by hand
}

static void changes_are_told_to_every_node(void **state)
{
    struct fault fault = {0};
    struct db *listener = NULL;
    struct db_notice notice;
    unsigned count = 0;
    OK(db_open(database, &listener, &fault));
    OK(db_script(listener, &fault, "listen stoa_domains"));
    const char *a = claim(&mine, name);
    VERIFY(&mine, a, "txt_not_found"); // nothing for visitors
    add_record(&mine, a);
    VERIFY(&mine, a, "verified");
    VERIFY(&mine, a, "verified");
    patch(a, json_pack("{sb}", "httpsOnly", 0), FAIL_NONE);
    OK(db_script(listener, &fault, "select 1"));
    while (db_next_notice(listener, &notice)) {
        assert_string_equal(notice.payload, name);
        ++count;
    }
    assert_int_equal(count, 2);
    db_close(listener);
}

// --- certificates' rows ---

// Ordered once, and served for a month yet; its renewal fails since a month ago.
static const char *given_up(void)
{
    const char *id = claim(&mine, name);
    sql("insert into domain_certificates (domain_id, project_id, leaf, key, not_after, renew_at, "
        "error_code, "
        "error, failing_since, tried_at) select id, project_id, 'x', 'x', now() + interval '30 "
        "days', now(), 'acme_refused', 'No.', now() - interval '31 days', now() - interval '2 "
        "minutes' "
        "from domains where id = '%s'",
        id);
    return id;
}
#define DUE                                                                                        \
    "select count(*) from domain_certificates where next_at < now() + interval '1 second'"         \
    " and domain_id = '%s'"

static void an_owner_hurries_a_renewal_too(void **state)
{
    struct fault fault = {0};
    const char *id = given_up();
    assert_int_equal(number(DUE, id), 0);
    OK(certificate_query_hurry(db, id, &fault));
    assert_int_equal(number(DUE " and failing_since is null", id), 1);
    sql("update domain_certificates set next_at = null, tried_at = now() where domain_id = '%s'",
        id);
    OK(certificate_query_hurry(db, id, &fault)); // not twice a minute
    assert_int_equal(number(DUE, id), 0);
    sql("update domain_certificates set source = 'own', tried_at = now() - interval '1 hour'"
        " where domain_id = '%s'",
        id);
    OK(certificate_query_hurry(db, id, &fault)); // the owner's own is not ours to renew
    assert_int_equal(number(DUE, id), 0);
}

static void fail_try(const char *id, const char *code, bool counts, const char *expected)
{
    struct fault fault = {0};
    struct certificate_due due;
    DOMAIN_AUTO d = {.checks = NULL};
    sql("update domain_certificates set next_at = now() - interval '1 second', source = 'own' "
        "where domain_id = '%s'",
        id);
    OK(certificate_query_due(db, NULL, &due, &fault));
    assert_string_equal(due.domain_id, id);
    OK(certificate_query_failed(db, &due,
                                &(struct certificate_failure){.code = code,
                                                              .text = code,
                                                              .next_at = clock_real_ms() + 3600000,
                                                              .failing_since = clock_real_ms(),
                                                              .counts = counts},
                                &fault));
    OK(domain_query_find(db, mine.principal.project_id, str_from(id), &d, &fault));
    assert_string_equal(d.certificate.error_code, expected);
    assert_string_equal(d.certificate.error, expected);
    assert_true(d.certificate.next_at > clock_real_ms() + 3500000);
}

static void our_own_budget_hides_no_error(void **state)
{
    const char *id = given_up();
    sql("update domain_certificates set error_code = '', error = '' where domain_id = '%s'", id);
    fail_try(id, "certificate_budget", false, "certificate_budget");
    fail_try(id, "acme_refused", true, "acme_refused");
    fail_try(id, "certificate_budget", false, "acme_refused");
    fail_try(id, "caa_forbids", true, "caa_forbids");
}

// What is due of that claim is tried, without an authority.
static void try_now(const char *id)
{
    struct fault fault = {0};
    struct certificate_due due;
    sql("update domain_certificates set next_at = now() - interval '1 second' where domain_id = "
        "'%s'",
        id);
    OK(certificate_query_due(db, "https://ca.example/dir", &due, &fault));
    assert_string_equal(due.domain_id, id);
    OK(certificate_try(db, NULL, &due, &fault));
}
#define ROW "select count(*) from domain_certificates where domain_id = '%s' and "
#define ROUTED                                                                                     \
    "update domains set status = 'verified', routing = '{\"ok\":true,\"message\":\"\"}' where id " \
    "= "                                                                                           \
    "'%s'"

static void a_renewal_stops_with_a_word(void **state)
{
    const char *id = given_up();
    sql(ROUTED, id);
    sql("update domain_certificates set error_code = '', error = '', is_told = false where "
        "domain_id = '%s'",
        id);
    sql("update domains set routing = '{\"ok\":false,\"message\":\"The name leads elsewhere.\"}' "
        "where id = '%s'",
        id);
    told[0] = '\0';
    try_now(id);
    assert_string_equal(told, "mine:certificate.failing ");
    assert_int_equal(number(ROW "error_code = 'not_routed' and error like 'It is not renewed%% The "
                                "name leads elsewhere.' and next_at between now() + interval '23 "
                                "hours' and now() + interval '24 hours'",
                            id),
                     1);
    try_now(id); // the next day
    assert_string_equal(told, "mine:certificate.failing ");
    sql(ROUTED, id);
    assert_int_equal(number(ROW "error_code = '' and error = '' and not is_told and attempts = 0 "
                                "and failing_since is null and next_at <= now()",
                            id),
                     1);
    // whoever is not served at all has been told otherwise
    sql("update domains set status = 'suspended' where id = '%s'", id);
    try_now(id);
    assert_string_equal(told, "mine:certificate.failing ");
    assert_int_equal(number(ROW "error_code = '' and next_at is null", id), 1);
    sql(ROUTED, id);
    assert_int_equal(number(ROW "next_at <= now()", id), 1);
}

// --- routing ---

static void routing_row(const char *type, const char *value, bool expected, const char *words)
{
    DOMAIN_AUTO d = {.checks = NULL};
    struct fault fault = {0};
    ROUTING_AUTO r;
    OK(domain_query_find(db, mine.principal.project_id, str_from(name), &d, &fault));
    played_clear();
    if (type != NULL)
        played_add(name,
                   strcmp(type, "A") == 0      ? DNS_A
                   : strcmp(type, "AAAA") == 0 ? DNS_AAAA
                                               : DNS_CNAME,
                   value);
    routing_look(db, &d, &r);
    if (r.ok != expected || strstr(r.message, words) == NULL)
        fail_msg("%s %s: %s", type, value, r.message);
}

static void routing_is_told_from_ownership(void **state)
{
    char target[HOSTNAME_ROOM + DOMAIN_TARGET_ROOM], strangers[HOSTNAME_ROOM + DOMAIN_TARGET_ROOM];
    DOMAIN_AUTO d = {.checks = NULL};
    DOMAIN_AUTO e = {.checks = NULL};
    struct fault fault = {0};
    (void)claim(&mine, name);
    (void)claim(&theirs, name);
    OK(domain_query_find(db, mine.principal.project_id, str_from(name), &d, &fault));
    OK(domain_query_find(db, theirs.principal.project_id, str_from(name), &e, &fault));
    snprintf(target, sizeof target, "%s.i.stoa-host.com", d.target);
    snprintf(strangers, sizeof strangers, "%s.i.stoa-host.com", e.target);
    assert_string_not_equal(target, strangers);
    routing_row(NULL, NULL, false, "no address yet");
    routing_row("CNAME", target, true, "leads here");
    routing_row("CNAME", strangers, false, "another project");
    routing_row("CNAME", "elsewhere.customer-x.com", false, "no address yet");
    routing_row("CNAME", "c-never-issued.i.stoa-host.com", false, "no target of this server");
    routing_row("A", "203.0.113.7", true, "leads here");
    routing_row("AAAA", "2001:db8::7", true, "leads here");
    routing_row("A", "198.51.100.1", false, "leads elsewhere");
    ROUTING_AUTO r;
    played_clear();
    played_add(name, DNS_A, "203.0.113.7");
    played_add(name, DNS_AAAA, "2001:db8::bad");
    routing_look(db, &d, &r);
    assert_false(r.ok);
    assert_non_null(strstr(r.message, "AAAA"));
}

// A name moves at once; its record, which leads to the same server, need not follow.
static void records_of_the_projects_other_apps_lead_here_too(void **state)
{
    struct fault fault = {0};
    char of_second[DOMAIN_TARGET_ROOM], target[HOSTNAME_ROOM + DOMAIN_TARGET_ROOM],
        slug[HOSTNAME_ROOM + CATALOG_SLUG_ROOM], strangers[HOSTNAME_ROOM + CATALOG_SLUG_ROOM];
    (void)claim(&mine, name);
    OK(domain_query_target(db, mine.second.id, mine.principal.project_id, of_second, &fault));
    snprintf(target, sizeof target, "%s.i.stoa-host.com", of_second);
    snprintf(slug, sizeof slug, "%s.i.stoa-host.com", mine.second.slug);
    snprintf(strangers, sizeof strangers, "%s.i.stoa-host.com", theirs.second.slug);
    routing_row("CNAME", target, true, "leads here");
    routing_row("CNAME", slug, true, "leads here");
    routing_row("CNAME", strangers, false, "another project");
    sql("delete from instances where id = '%s'", mine.second.id);
    routing_row("CNAME", target, true, "leads here");
    routing_row("CNAME", slug, true, "leads here");
    sql("delete from instances where id = '%s'", theirs.second.id);
    routing_row("CNAME", strangers, false, "another project");
}

static void targets_are_never_issued_twice(void **state)
{
    struct fault fault = {0};
    char first[DOMAIN_TARGET_ROOM], again[DOMAIN_TARGET_ROOM];
    OK(domain_query_target(db, mine.instance.id, mine.principal.project_id, first, &fault));
    OK(domain_query_target(db, mine.instance.id, mine.principal.project_id, again, &fault));
    assert_string_equal(first, again);
    assert_int_equal(
        db_query(db, &fault, NULL, "delete from domain_targets where label = $1", db_text(first)),
        FAIL_INTERNAL);
}

static void names_are_refused_with_a_reason(void **state)
{
    static const char *const names[] = {
        "apps.stoa-host.com", "x.i.stoa-host.com", "a.reserved-name.com",   "com",
        "*.customer-x.com",   "192.0.2.1",         "console.stoa-desk.com", "stoa-host.com"};
    for (size_t i = 0; i != sizeof names / sizeof names[0]; ++i) {
        struct fault fault = {0};
        json_t *none = NULL;
        assert_int_equal(
            ask(domain_api_create, &mine, "",
                json_pack("{ss ss}", "hostname", names[i], "instanceId", mine.instance.id), &none,
                &fault),
            FAIL_REFUSED);
        assert_string_equal(fault.code, "invalid_hostname");
        assert_true(strlen(fault.public_text) > 20);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, begin)
    const struct CMUnitTest tests[] = {
        TEST(a_claim_says_what_to_add),
        TEST(a_record_that_is_there_verifies),
        TEST(one_that_dns_cannot_tell_is_no_miss),
        TEST(every_slip_is_named),
        TEST(capitals_and_a_missing_beginning_are_named),
        TEST(wrong_places_are_looked_at),
        TEST(a_cname_at_the_challenge_is_followed),
        TEST(dns_is_not_asked_without_end),
        TEST(a_zone_is_not_asked_without_end),
        TEST(strangers_keep_no_holder_from_its_looks),
        TEST(only_one_holds_a_name),
        TEST(a_transfer_needs_an_hour_of_absence),
        TEST(a_record_that_comes_back_ends_the_absence),
        TEST(a_week_of_silence_is_no_absence),
        TEST(strangers_cannot_make_a_name_fail),
        TEST(a_removed_name_is_nobody_elses_for_a_week),
        TEST(who_removed_it_may_have_it_back),
        TEST(a_claim_that_proved_nothing_keeps_nobody_out),
        TEST(a_former_holder_that_leaves_takes_nothing_along),
        TEST(nor_does_one_whose_instance_goes),
        TEST(no_quarantine_holds_against_who_is_served),
        TEST(quarantines_of_former_holders_were_lifted),
        TEST(claims_stay_as_they_were_made),
        TEST(racing_verifies_have_one_winner),
        TEST(two_transactions_cannot_both_hold),
        TEST(the_server_verifies_by_itself),
        TEST(grace_suspension_and_recovery),
        TEST(claims_end),
        TEST(a_name_is_looked_at_by_one_node),
        TEST(one_project_does_not_hold_up_others),
        TEST(what_has_ended_goes),
        TEST(hosts_follow_the_claims),
        TEST(a_name_ends_with_its_instance),
        TEST(changes_are_told_to_every_node),
        TEST(an_owner_hurries_a_renewal_too),
        TEST(our_own_budget_hides_no_error),
        TEST(a_renewal_stops_with_a_word),
        TEST(routing_is_told_from_ownership),
        TEST(records_of_the_projects_other_apps_lead_here_too),
        TEST(targets_are_never_issued_twice),
        TEST(names_are_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, prepare, finish);
}
