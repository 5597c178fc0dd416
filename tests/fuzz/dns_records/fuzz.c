// An answer's packet: first byte the type asked for, then the packet. Whatever a server sends, what is
// shown is printable, within its limits, and shows no private address.
#include <stdint.h>
#include <stdlib.h>
#include "domains/dns_records.h"
#include "domains/hostname.h"
#include "edge/client/address_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth)
        abort();
}

static void check_record(const struct dns_record *r)
{
    for (size_t i = 0; i != r->text.n; ++i)
        must(r->text.p[i] >= ' ' && r->text.p[i] <= '~');
    must(r->is_redacted == str_eq(r->text, STR("redacted")) || r->type == DNS_TXT ||
         r->type == DNS_CNAME);
    if (r->type == DNS_A || r->type == DNS_AAAA)
        must(r->is_redacted || fetch_address_purpose(&r->address) == NULL);
    if (r->type == DNS_CNAME && !r->is_redacted)
        must(!str_ends(r->text, STR(".corp")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum dns_type types[] = {DNS_A, DNS_CNAME, DNS_TXT, DNS_AAAA, DNS_CAA};
    static const struct hostname_rules rules = {.reserved = "kept.org"};
    static bool is_set_up;
    struct dns_answer a = {0};
    size_t found = 0, shown = 0;
    if (!is_set_up)
        hostname_init(&rules);
    is_set_up = true;
    if (size == 0)
        return 0;
    enum dns_type type = types[data[0] % 5];
    enum dns_reading reading =
        dns_records_read(str_of(data + 1, size - 1), STR("t.a.com"), type, &a, &found);
    must(a.count <= DNS_RECORDS_MAX);
    for (size_t i = 0; i != a.count; ++i) {
        check_record(&a.records[i]);
        shown += a.records[i].is_redacted ? 0 : a.records[i].text.n;
    }
    must(shown <= DNS_SHOWN_BYTES);
    if (reading == DNS_READING_DONE && !a.is_cut)
        must(found <= a.count && a.count <= found + DNS_CNAMES_MAX);
    dns_answer_fini(&a);
    return 0;
}
