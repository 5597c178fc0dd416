#include "played_dns.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RECORDS = 200 };
static struct {
    char name[256], text[512];
    enum dns_type type;
} records[RECORDS];
static size_t count;
static enum dns_outcome failure;
static bool answers_are_cut;
static unsigned slow_ms;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void played_clear(void)
{
    pthread_mutex_lock(&lock);
    count = 0;
    failure = DNS_FOUND;
    answers_are_cut = false;
    slow_ms = 0;
    pthread_mutex_unlock(&lock);
}

void played_add(const char *name, enum dns_type type, const char *text)
{
    pthread_mutex_lock(&lock);
    if (count == RECORDS)
        abort();
    snprintf(records[count].name, sizeof records[0].name, "%s", name);
    snprintf(records[count].text, sizeof records[0].text, "%s", text);
    records[count++].type = type;
    pthread_mutex_unlock(&lock);
}

void played_remove(const char *name)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i != count; ++i)
        if (strcmp(records[i].name, name) == 0)
            records[i].name[0] = '\0';
    pthread_mutex_unlock(&lock);
}

void played_fail(enum dns_outcome outcome)
{
    failure = outcome;
}

void played_cut(bool is_cut)
{
    answers_are_cut = is_cut;
}

void played_slow(unsigned ms)
{
    slow_ms = ms;
}

static void add(struct dns_answer *a, size_t i)
{
    struct dns_record *r = &a->records[a->count++];
    char *text = strdup(records[i].text);
    *r = (struct dns_record){.type = records[i].type, .text = str_from(text)};
    (void)ip_parse(r->text, &r->address);
}

enum fail dns_lookup(str name, enum dns_type type, struct dns_answer *ret, struct fault *fault)
{
    struct dns_answer a = {.outcome = DNS_NXDOMAIN, .ms = 2};
    snprintf(a.resolver, sizeof a.resolver, "played");
    nanosleep(&(struct timespec){.tv_nsec = slow_ms * 1000000L}, NULL);
    pthread_mutex_lock(&lock);
    for (int depth = 0; depth != 3; ++depth) {
        str next = {0};
        for (size_t i = 0; i != count; ++i) {
            if (!str_eq(str_from(records[i].name), name))
                continue;
            if (a.outcome == DNS_NXDOMAIN)
                a.outcome = DNS_NO_DATA;
            if (records[i].type == type || records[i].type == DNS_CNAME)
                add(&a, i);
            if (records[i].type == type)
                a.outcome = DNS_FOUND;
            if (records[i].type == DNS_CNAME)
                next = str_from(records[i].text);
        }
        if (next.n == 0)
            break;
        name = next;
    }
    pthread_mutex_unlock(&lock);
    if (failure != DNS_FOUND) {
        a.outcome = failure;
        snprintf(a.why, sizeof a.why, "as played");
    }
    a.is_cut = answers_are_cut;
    *ret = a;
    return FAIL_NONE;
}

void dns_answer_fini(struct dns_answer *a)
{
    for (size_t i = 0; i != a->count; ++i)
        free((char *)a->records[i].text.p);
    a->count = 0;
}

enum fail dns_init(const struct dns_options *o, struct fault *fault)
{
    return FAIL_NONE;
}

const char *dns_outcome_name(enum dns_outcome o)
{
    return "played";
}
