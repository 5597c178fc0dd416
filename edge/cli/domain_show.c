// Everything that comes from DNS is a stranger's text: it is printed through output_text only.
#include "edge/cli/domain_show.h"
#include <stdio.h>
#include "edge/base/clock.h"
#include "edge/cli/show.h"
#include "edge/cli/units.h"

static void label(const struct cli *cli, const char *name)
{
    char padded[16];
    snprintf(padded, sizeof padded, "%-13s", name);
    output_text(&cli->output, stdout, STYLE_DIM, str_from(padded));
}

static void line(const struct cli *cli, const char *name, enum style style, str text)
{
    label(cli, name);
    output_text(&cli->output, stdout, style, text);
    fputc('\n', stdout);
}

static void record(const struct cli *cli, FILE *to, const char *indent, const json_t *r,
                   enum style style)
{
    char type[12];
    snprintf(type, sizeof type, "%-6.*s", STR_FMT(show_member(r, "type")));
    fputs(indent, to);
    output_text(&cli->output, to, STYLE_NONE, str_from(type));
    output_text(&cli->output, to, STYLE_NONE, show_member(r, "name"));
    fputs("  ", to);
    output_text(&cli->output, to, style, show_member(r, "value"));
    fputc('\n', to);
}

void show_domain_seen(const struct cli *cli, FILE *to, const json_t *of)
{
    size_t i;
    json_t *r;
    json_array_foreach(json_object_get(of, "seen"), i, r)
    {
        record(cli, to, "  seen: ", r, STYLE_WARN);
    }
}

// "DNS says", or how long ago it said so.
static void said(const struct cli *cli, const json_t *check, const char *when, bool is_good)
{
    size_t i;
    json_t *r;
    line(cli, when, is_good ? STYLE_GOOD : STYLE_BAD, show_member(check, "message"));
    json_array_foreach(json_object_get(check, "seen"), i, r)
    {
        record(cli, stdout, "             ", r, STYLE_NONE);
    }
}

static void print_proof(const struct cli *cli, const json_t *domain)
{
    const json_t *now = json_object_get(domain, "dns"),
                 *last = json_array_get(json_object_get(domain, "checks"), 0),
                 *check = now != NULL ? now : last;
    fputs("Proof: this record must be there, and stay\n", stdout);
    record(cli, stdout, "             ", json_object_get(domain, "verification"), STYLE_STRONG);
    if (check == NULL)
        return;
    said(cli, check, now != NULL ? "  DNS now" : "  DNS last",
         str_eq(show_member(check, "outcome"), STR("verified")));
    label(cli, "  asked");
    output_text(&cli->output, stdout, STYLE_DIM, show_member(check, "resolver"));
    printf("%s\n", json_is_true(json_object_get(check, "secure")) ? ", DNSSEC" : "");
}

static void print_routing(const struct cli *cli, const json_t *domain)
{
    const json_t *routing = json_object_get(domain, "routing"),
                 *expected = json_object_get(routing, "expected");
    size_t i;
    json_t *r;
    fputs("Routing: the name leads here by one kind of these\n", stdout);
    json_array_foreach(expected, i, r)
    {
        record(cli, stdout, "             ", r, STYLE_STRONG);
    }
    if (json_array_size(expected) == 0)
        line(cli, "", STYLE_WARN,
             STR("the server's operator has not said where names may point: that takes "
                 "domain_addresses or instance_domain in its settings"));
    said(cli, routing, json_is_null(json_object_get(routing, "checkedAt")) ? "" : "  DNS",
         json_is_true(json_object_get(routing, "ok")));
}

static void time_line(const struct cli *cli, const char *name, const json_t *of, const char *member)
{
    int64_t at;
    char text[UNITS_ROOM];
    if (units_parse_time(show_member(of, member), &at))
        line(cli, name, STYLE_NONE, str_from(units_relative(clock_real_ms(), at, text)));
}

static void print_settings(const struct cli *cli, const json_t *domain)
{
    const json_t *hsts = json_object_get(domain, "hsts"),
                 *certificate = json_object_get(domain, "certificate");
    str to = show_member(domain, "redirectTo"), status = show_member(certificate, "status"),
        error = show_member(certificate, "error"), next = show_member(certificate, "next");
    bool is_own = str_eq(show_member(certificate, "source"), STR("own"));
    label(cli, "Certificate");
    output_text(&cli->output, stdout, STYLE_NONE,
                str_eq(status, STR("none")) ? STR("none yet") : status);
    fputs(is_own ? ", your own\n" : "\n", stdout);
    time_line(cli, "  ends", certificate, "notAfter");
    if (error.n != 0)
        line(cli, "", STYLE_BAD, error);
    if (next.n != 0)
        line(cli, "", STYLE_NONE, next);
    time_line(cli,
              error.n != 0  ? "  tried again"
              : next.n != 0 ? "  ordered"
                            : "  renewed",
              certificate, "nextTryAt");
    if (to.n != 0)
        line(cli, "Redirects to", STYLE_NONE, to);
    if (json_is_object(hsts))
        printf("%-13s%lld seconds%s\n", "HSTS",
               (long long)json_integer_value(json_object_get(hsts, "maxAge")),
               json_is_true(json_object_get(hsts, "includeSubDomains")) ? ", subdomains too" : "");
}

void show_domain(const struct cli *cli, const json_t *domain)
{
    str ascii = show_member(domain, "hostname"), shown = show_member(domain, "unicodeHostname"),
        status = show_member(domain, "status");
    char next[UNITS_ROOM];
    int64_t at;
    line(cli, "Domain", STYLE_STRONG, shown);
    if (!str_eq(ascii, shown))
        line(cli, "In DNS", STYLE_NONE, ascii);
    line(cli, "Instance", STYLE_NONE, show_member(domain, "instanceSlug"));
    line(cli, "Status", str_eq(status, STR("verified")) ? STYLE_GOOD : STYLE_WARN, status);
    fputc('\n', stdout);
    print_proof(cli, domain);
    fputc('\n', stdout);
    print_routing(cli, domain);
    fputc('\n', stdout);
    print_settings(cli, domain);
    line(cli, "Next", STYLE_NONE, show_member(domain, "next"));
    if (units_parse_time(show_member(domain, "nextCheckAt"), &at))
        line(cli, "Next check", STYLE_NONE, str_from(units_relative(clock_real_ms(), at, next)));
}
