// One lookup, one context. libunbound answers an asynchronous question from a thread of the context, or
// from a process it forks: the thread, since a fork of a server with many threads, locks and secrets is
// no place to parse strangers' bytes in, and ub_resolve, which needs neither, cannot be given up. The
// thread that asks sleeps in poll until the answer or the deadline; deleting the context ends its thread.
#include "domains/dns.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unbound.h>
#include "domains/dns_records.h"
#include "edge/base/clock.h"
#include "edge/client/address_policy.h"

enum { RCODE_NXDOMAIN = 3, CLASS_IN = 1, NO_ERROR = 0 };
#define ROOT_KEY "/usr/share/dns/root.key"
#define UNREADABLE "The name servers sent an answer that cannot be read."
#define ENDLESS "More than 8 CNAMEs follow each other."
#define FAILED                                                                                     \
    "The name servers of the name, or of a zone above it, answered with a failure (SERVFAIL), "    \
    "refused, or could not be reached."
#define SILENT "The name servers of the name, or of a zone above it, did not answer in time."

static const struct dns_options *options; // written by dns_init, only read after it
// libunbound makes and unmakes locks of the whole process with each context and its thread, unguarded:
// held while a context is made, started (about a millisecond each) and deleted, never while it waits.
static pthread_mutex_t contexts = PTHREAD_MUTEX_INITIALIZER;

static const char *const outcome_names[DNS_OUTCOMES] = {"found", "no_data",  "nxdomain",
                                                        "bogus", "servfail", "timeout"};

const char *dns_outcome_name(enum dns_outcome o)
{
    assert(o >= 0 && o < DNS_OUTCOMES);
    return outcome_names[o];
}

void dns_answer_fini(struct dns_answer *a)
{
    free(a->_texts);
    *a = (struct dns_answer){0};
}

// --- contexts
static bool has_forwarders(void)
{
    return options->forwarders[0] != '\0';
}

// A context lives for one question: small tables, nothing fetched that is not asked for, and no answers
// of its own about private addresses' reverse names, which nobody asks here (a third of what a context
// costs).
static const char *const fixed_options[][2] = {
    {"msg-cache-slabs:", "1"},         {"rrset-cache-slabs:", "1"},
    {"infra-cache-slabs:", "1"},       {"key-cache-slabs:", "1"},
    {"msg-cache-size:", "1m"},         {"rrset-cache-size:", "2m"},
    {"key-cache-size:", "1m"},         {"neg-cache-size:", "512k"},
    {"infra-cache-numhosts:", "1000"}, {"target-fetch-policy:", "0 0 0 0 0"},
    {"trust-anchor-signaling:", "no"}, {"unblock-lan-zones:", "yes"},
};

static int set_fixed(struct ub_ctx *ctx)
{
    int r = NO_ERROR;
    for (size_t i = 0; i != sizeof fixed_options / sizeof fixed_options[0] && r == NO_ERROR; ++i)
        r = ub_ctx_set_option(ctx, fixed_options[i][0], fixed_options[i][1]);
    return r;
}

// A stranger's zone may name any address as its server's. From the public root none but public ones are
// asked; who has a root or forwarders of their own has servers elsewhere, too.
static int set_reach(struct ub_ctx *ctx)
{
    bool is_public =
        options->asks_public_only || (!has_forwarders() && options->root_hints[0] == '\0');
    int r = ub_ctx_set_option(ctx, "do-not-query-localhost:", is_public ? "yes" : "no");
    for (size_t i = 0; is_public && i != fetch_address_row_count && r == NO_ERROR; ++i)
        r = ub_ctx_set_option(ctx, "do-not-query-address:", fetch_address_rows[i].network);
    return r;
}

static int set_forwarders(struct ub_ctx *ctx)
{
    int r = NO_ERROR;
    for (str rest = str_from(options->forwarders); rest.n != 0 && r == NO_ERROR;) {
        AUTOFREE char *address = str_dup(str_trim(str_cut(&rest, ',')));
        if (address[0] != '\0')
            r = ub_ctx_set_fwd(ctx, address);
    }
    return r;
}

// The options in the order they are set in; libunbound takes them until the first question.
static int set_options(struct ub_ctx *ctx, const char **ret_what)
{
    const char *key = options->trust_anchor[0] != '\0' ? options->trust_anchor : ROOT_KEY;
    int r;
    *ret_what = "libunbound's own";
    if ((r = ub_ctx_debugout(ctx, NULL)) != NO_ERROR || (r = ub_ctx_async(ctx, 1)) != NO_ERROR ||
        (r = set_fixed(ctx)) != NO_ERROR || (r = set_reach(ctx)) != NO_ERROR)
        return r;
    *ret_what = "dns_trust_anchor";
    if ((r = ub_ctx_add_ta_file(ctx, key)) != NO_ERROR)
        return r;
    *ret_what = "dns_forwarders";
    if ((r = set_forwarders(ctx)) != NO_ERROR)
        return r;
    *ret_what = "dns_root_hints";
    if (options->root_hints[0] != '\0')
        r = ub_ctx_set_option(ctx, "root-hints:", options->root_hints);
    return r;
}

static enum fail busy(struct fault *fault, const char *what)
{
    enum fail f = fault_set(fault, FAIL_BUSY, "busy", "DNS cannot be asked just now. Try again.");
    fault_log(fault, "libunbound: %.200s", what);
    return f;
}

static struct ub_ctx *create(void)
{
    pthread_mutex_lock(&contexts);
    errno = 0;
    struct ub_ctx *ctx = ub_ctx_create();
    pthread_mutex_unlock(&contexts);
    return ctx;
}

// Ends its thread, too.
static void discard(struct ub_ctx *ctx)
{
    pthread_mutex_lock(&contexts);
    ub_ctx_delete(ctx);
    pthread_mutex_unlock(&contexts);
}

static enum fail make_context(struct ub_ctx **ret, struct fault *fault)
{
    const char *what;
    struct ub_ctx *ctx = create();
    if (ctx == NULL)
        return busy(fault, errno != 0 ? strerror(errno) : "no context");
    int r = set_options(ctx, &what);
    if (r != NO_ERROR) {
        discard(ctx);
        return busy(fault, ub_strerror(r));
    }
    *ret = ctx;
    return FAIL_NONE;
}

// --- one question
struct question {
    bool is_over;
    int error;
    struct ub_result *result;
};

static void on_answer(void *data, int error, struct ub_result *result)
{
    struct question *q = data;
    q->is_over = true;
    q->error = error;
    q->result = result;
}

// Until there is an answer or the deadline is over; a library's error ends it too.
static int wait_for(struct ub_ctx *ctx, struct question *q, uint64_t deadline)
{
    int r = NO_ERROR;
    for (uint64_t now; r == NO_ERROR && !q->is_over && (now = clock_monotonic_ms()) < deadline;) {
        struct pollfd fd = {.fd = ub_fd(ctx), .events = POLLIN};
        if (poll(&fd, 1, (int)(deadline - now)) > 0)
            r = ub_process(ctx);
    }
    return r;
}

// *ret_result is NULL when time was over.
static int ask(struct ub_ctx *ctx, const char *name, enum dns_type type, uint64_t deadline,
               struct ub_result **ret_result)
{
    struct question q = {0};
    int id = 0;
    pthread_mutex_lock(&contexts);
    int r = ub_resolve_async(ctx, name, type, CLASS_IN, &q, on_answer, &id);
    pthread_mutex_unlock(&contexts);
    if (r == NO_ERROR)
        r = wait_for(ctx, &q, deadline);
    // Also when it is over: a callback into this frame must not come later.
    if (!q.is_over)
        ub_cancel(ctx, id);
    *ret_result = q.result;
    return r != NO_ERROR ? r : q.error;
}

// --- what is told of it
static bool is_ours(const struct ip *a)
{
    return has_forwarders() || fetch_address_purpose(a) != NULL;
}

// libunbound's reason names the servers that were asked.
static void copy_reason(char *to, size_t room, const char *reason)
{
    struct buf b;
    buf_init(&b, 4096);
    for (str rest = str_from(reason); rest.n != 0;) {
        str word = str_cut(&rest, ' '), bare = word;
        struct ip a;
        while (bare.n != 0 && strchr(",;.:", bare.p[bare.n - 1]) != NULL)
            --bare.n;
        buf_add(&b, ip_parse(bare, &a) && is_ours(&a) ? STR("redacted") : word);
        if (rest.n != 0)
            buf_addc(&b, ' ');
    }
    snprintf(to, room, "%.*s", STR_FMT(buf_str(&b)));
    buf_fini(&b);
    for (char *c = to; *c != '\0'; ++c)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

// "127.0.0.1@5353" without its port.
static bool is_public(str forwarder)
{
    struct ip a;
    return ip_parse(str_trim(str_cut(&forwarder, '@')), &a) && fetch_address_purpose(&a) == NULL;
}

static void say_resolver(char *to, size_t room)
{
    struct buf b;
    if (!has_forwarders()) {
        snprintf(to, room, "recursive from the %sroot",
                 options->root_hints[0] ? "configured " : "");
        return;
    }
    buf_init(&b, room - 1);
    buf_add(&b, STR("forwarders"));
    for (str rest = str_from(options->forwarders); rest.n != 0;) {
        str one = str_trim(str_cut(&rest, ','));
        if (one.n != 0)
            buf_addf(&b, " %.*s", STR_FMT(is_public(one) ? one : STR("redacted")));
    }
    snprintf(to, room, "%.*s", STR_FMT(buf_str(&b)));
    buf_fini(&b);
}

static void tell(struct dns_answer *a, enum dns_outcome outcome, const char *why)
{
    a->outcome = outcome;
    if (why != NULL)
        copy_reason(a->why, sizeof a->why, why);
}

static void read_result(const struct ub_result *r, str name, enum dns_type type,
                        struct dns_answer *a)
{
    size_t found = 0;
    if (r->bogus) {
        tell(a, DNS_BOGUS, r->why_bogus != NULL ? r->why_bogus : "DNSSEC does not hold.");
        return;
    }
    if (r->rcode != NO_ERROR && r->rcode != RCODE_NXDOMAIN) {
        tell(a, DNS_SERVFAIL, FAILED);
        return;
    }
    a->is_secure = r->secure;
    str packet = str_of(r->answer_packet, r->answer_len > 0 ? (size_t)r->answer_len : 0);
    enum dns_reading reading = dns_records_read(packet, name, type, a, &found);
    if (reading != DNS_READING_DONE)
        tell(a, DNS_SERVFAIL, reading == DNS_READING_ENDLESS ? ENDLESS : UNREADABLE);
    else if (r->rcode == RCODE_NXDOMAIN)
        tell(a, DNS_NXDOMAIN, NULL);
    else
        tell(a, found != 0 ? DNS_FOUND : DNS_NO_DATA, NULL);
}

enum fail dns_lookup(str name, enum dns_type type, struct dns_answer *ret, struct fault *fault)
{
    uint64_t start = clock_monotonic_ms();
    struct ub_ctx *ctx = NULL;
    struct ub_result *result;
    char asked[DNS_NAME_MAX + 2];
    assert(options != NULL && name.n != 0 && name.n <= DNS_NAME_MAX);
    snprintf(asked, sizeof asked, "%.*s.", STR_FMT(name));
    enum fail f = make_context(&ctx, fault);
    if (f != FAIL_NONE)
        return f;
    unsigned limit = options->deadline_ms != 0 ? options->deadline_ms : DNS_DEADLINE_MS;
    int error = ask(ctx, asked, type, start + limit, &result);
    if (error == NO_ERROR) {
        struct dns_answer a = {0};
        if (result != NULL)
            read_result(result, name, type, &a);
        else
            tell(&a, DNS_TIMEOUT, SILENT);
        say_resolver(a.resolver, sizeof a.resolver);
        a.ms = (unsigned)(clock_monotonic_ms() - start);
        *ret = a;
    }
    ub_resolve_free(result);
    discard(ctx);
    return error == NO_ERROR ? FAIL_NONE : busy(fault, ub_strerror(error));
}

// --- start
// libunbound reads its files for the first question; this one it answers itself (RFC 6761 §6.4).
static int read_files(struct ub_ctx *ctx)
{
    struct ub_result *result;
    int r = ask(ctx, "invalid.", DNS_A, clock_monotonic_ms() + DNS_DEADLINE_MS, &result);
    ub_resolve_free(result);
    return r;
}

enum fail dns_init(const struct dns_options *o, struct fault *fault)
{
    const char *what;
    options = o;
    struct ub_ctx *ctx = create();
    if (ctx == NULL)
        return busy(fault, "no context");
    int r = set_options(ctx, &what);
    if (r == NO_ERROR) {
        what = "dns_trust_anchor or dns_root_hints";
        r = read_files(ctx);
    }
    discard(ctx);
    if (r == NO_ERROR)
        return FAIL_NONE;
    return fault_set(fault, FAIL_BAD_INPUT, "dns_options", "%s cannot be used: %.100s.", what,
                     ub_strerror(r));
}
