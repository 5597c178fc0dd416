// The packet is walked by glibc's ns_parserr, which keeps each record within it; what is inside a
// record is measured here.
#include "domains/dns_records.h"
#include <arpa/nameser.h>
#include <stdio.h>
#include <stdlib.h>
#include "domains/hostname.h"
#include "edge/client/address_policy.h"

struct reading {
    ns_msg packet;
    struct dns_answer *to;
    size_t shown;    // bytes of `_texts` in use
    bool is_private; // the names followed have led to where nothing is shown
};

// --- texts
// Adds to the last text; what does not fit cuts the answer.
static void show(struct reading *r, str piece)
{
    if (piece.n > DNS_SHOWN_BYTES - r->shown) {
        r->to->is_cut = true;
        return;
    }
    memcpy(r->to->_texts + r->shown, piece.p, piece.n);
    r->shown += piece.n;
}

// RFC 1035 §5.1: one byte is shown whole or not at all.
static void show_bytes(struct reading *r, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i != n && !r->to->is_cut; ++i) {
        char digits[8];
        if (p[i] >= ' ' && p[i] <= '~' && p[i] != '\\')
            show(r, str_of(p + i, 1));
        else
            show(r, str_of(digits, (size_t)snprintf(digits, sizeof digits, "\\%03u", p[i])));
    }
}

// NULL when no more are taken.
static struct dns_record *begin(struct reading *r, enum dns_type type)
{
    struct dns_answer *a = r->to;
    if (a->count == DNS_RECORDS_MAX || a->is_cut) {
        a->is_cut = true;
        return NULL;
    }
    struct dns_record *record = &a->records[a->count++];
    *record = (struct dns_record){.type = type, .text = {.p = a->_texts + r->shown}};
    return record;
}

static void end(struct reading *r, struct dns_record *record, bool is_redacted)
{
    size_t start = (size_t)(record->text.p - r->to->_texts);
    record->is_redacted = is_redacted;
    if (is_redacted) {
        r->shown = start;
        record->text = STR("redacted");
        return;
    }
    record->text.n = r->shown - start;
}

// --- one record each; false when its inside does not keep to its length
static bool take_address(struct reading *r, enum dns_type type, const uint8_t *data, size_t n)
{
    struct dns_record *record;
    char text[IP_ROOM];
    if (n != (type == DNS_A ? 4 : 16))
        return false;
    if ((record = begin(r, type)) == NULL)
        return true;
    record->address.n = (uint8_t)n;
    memcpy(record->address.b, data, n);
    ip_text(&record->address, text);
    show(r, str_from(text));
    end(r, record, r->is_private || fetch_address_purpose(&record->address) != NULL);
    return true;
}

// RFC 1035 §3.3.14, and §3.3 for the strings.
static bool is_strings(const uint8_t *data, size_t n)
{
    size_t at = 0;
    while (at < n)
        at += 1u + data[at];
    return at == n && n != 0;
}

static bool take_texts(struct reading *r, const uint8_t *data, size_t n)
{
    struct dns_record *record;
    if (!is_strings(data, n))
        return false;
    if ((record = begin(r, DNS_TXT)) == NULL)
        return true;
    for (size_t at = 0; at != n; at += 1u + data[at])
        show_bytes(r, data + at + 1, data[at]);
    end(r, record, r->is_private);
    return true;
}

// RFC 8659 §4.1: flags, the length of the tag, the tag, the value.
static bool take_caa(struct reading *r, const uint8_t *data, size_t n)
{
    struct dns_record *record;
    char flags[8];
    if (n < 2 || data[1] == 0 || data[1] > n - 2)
        return false;
    if ((record = begin(r, DNS_CAA)) == NULL)
        return true;
    const uint8_t *value = data + 2 + data[1];
    show(r, str_of(flags, (size_t)snprintf(flags, sizeof flags, "%u ", data[0])));
    show_bytes(r, data + 2, data[1]);
    show(r, STR(" \""));
    show_bytes(r, value, n - 2 - data[1]);
    show(r, STR("\""));
    end(r, record, r->is_private);
    return true;
}

static void take_cname(struct reading *r, const char *target)
{
    struct dns_record *record = begin(r, DNS_CNAME);
    if (record == NULL)
        return;
    show(r, str_from(target));
    end(r, record, r->is_private);
}

// --- walking
static bool read_target(struct reading *r, const ns_rr *rr, char to[static NS_MAXDNAME])
{
    return ns_name_uncompress(ns_msg_base(r->packet), ns_msg_end(r->packet), ns_rr_rdata(*rr), to,
                              NS_MAXDNAME) == ns_rr_rdlen(*rr);
}

static bool is_private(const char *name)
{
    char lower[NS_MAXDNAME];
    size_t n = 0;
    for (; name[n] != '\0' && n != sizeof lower - 1; ++n)
        lower[n] = (char)(name[n] >= 'A' && name[n] <= 'Z' ? name[n] | 0x20 : name[n]);
    return hostname_is_private(str_of(lower, n));
}

static bool is_of(const ns_rr *rr, const char *name, enum dns_type type)
{
    return (int)ns_rr_type(*rr) == (int)type && ns_rr_class(*rr) == ns_c_in &&
           str_caseeq(str_from(ns_rr_name(*rr)), str_from(name));
}

// 1: `at` is now where its CNAME leads, 0: it has none, -1: malformed.
static int follow(struct reading *r, char at[static NS_MAXDNAME])
{
    for (int i = 0; i != ns_msg_count(r->packet, ns_s_an); ++i) {
        ns_rr rr;
        if (ns_parserr(&r->packet, ns_s_an, i, &rr) != 0)
            return -1;
        if (is_of(&rr, at, DNS_CNAME))
            return read_target(r, &rr, at) ? 1 : -1;
    }
    return 0;
}

static bool take(struct reading *r, enum dns_type type, const ns_rr *rr)
{
    char target[NS_MAXDNAME];
    switch (type) {
    case DNS_A:
    case DNS_AAAA:
        return take_address(r, type, ns_rr_rdata(*rr), ns_rr_rdlen(*rr));
    case DNS_TXT:
        return take_texts(r, ns_rr_rdata(*rr), ns_rr_rdlen(*rr));
    case DNS_CAA:
        return take_caa(r, ns_rr_rdata(*rr), ns_rr_rdlen(*rr));
    case DNS_CNAME:
        if (!read_target(r, rr, target))
            return false;
        r->is_private = r->is_private || is_private(target);
        take_cname(r, target);
        return true;
    }
    return false;
}

static enum dns_reading take_all(struct reading *r, const char *at, enum dns_type type,
                                 size_t *ret_found)
{
    for (int i = 0; i != ns_msg_count(r->packet, ns_s_an); ++i) {
        ns_rr rr;
        if (ns_parserr(&r->packet, ns_s_an, i, &rr) != 0)
            return DNS_READING_MALFORMED;
        if (!is_of(&rr, at, type))
            continue;
        if (!take(r, type, &rr))
            return DNS_READING_MALFORMED;
        ++*ret_found;
    }
    return DNS_READING_DONE;
}

enum dns_reading dns_records_read(str packet, str name, enum dns_type type, struct dns_answer *ret,
                                  size_t *ret_found)
{
    struct reading r = {.to = ret};
    char at[NS_MAXDNAME];
    int followed = 0, more = 0;
    *ret_found = 0;
    if (packet.n > NS_MAXMSG || name.n >= sizeof at ||
        ns_initparse((const unsigned char *)packet.p, (int)packet.n, &r.packet) != 0)
        return DNS_READING_MALFORMED;
    if ((ret->_texts = malloc(DNS_SHOWN_BYTES)) == NULL)
        abort();
    snprintf(at, sizeof at, "%.*s", STR_FMT(name));
    r.is_private = is_private(at);
    while (type != DNS_CNAME && (more = follow(&r, at)) == 1) {
        if (followed++ == DNS_CNAMES_MAX)
            return DNS_READING_ENDLESS;
        r.is_private = r.is_private || is_private(at);
        take_cname(&r, at);
    }
    return more < 0 ? DNS_READING_MALFORMED : take_all(&r, at, type, ret_found);
}
