// The endpoints, what other features are answered, and the operator's side of where names may point.
#include <stdio.h>
#include <stdlib.h>
#include "domains/api.h"
#include "edge/catalog/hooks.h"
#include "edge/route/site.h"

struct domain_config domain_config = {.instance_domain = ""};

static const struct endpoint_field list_query[] = {
    {"limit", "integer", false, "How many at most, 1 to 100; 50 when left out."},
    {"cursor", "string", false, "The `next` or `previous` of another page."},
    {"instance", "string", false, "Only the domains of this instance, by its id or slug."},
    {"hostname", "string", false, "Only this name."},
    {0}};
static const struct endpoint_field create_fields[] = {
    {"hostname", "string", true, "The name, in Unicode or in ASCII: forms.example.com."},
    {"instanceId", "string", true, "What it shall serve: an instance's id or slug."},
    {0}};
static const struct endpoint_field change_fields[] = {
    {"redirectTo", "string", false,
     "Another domain of the same instance, to which this one leads; null: none."},
    {"httpsOnly", "boolean", false,
     "Whether http:// leads to https:// once there is a certificate (it does unless you say no)."},
    {"hsts", "object", false,
     "{maxAge, includeSubDomains}: browsers keep to https for so many seconds; null: off."},
    {"instanceId", "string", false,
     "Another instance of the project, by id or slug: takes effect at once."},
    {0}};
static const struct endpoint_field certificate_fields[] = {
    {"chainPem", "string", true, "The certificate for the name, then its issuers, in PEM."},
    {"keyPem", "string", true, "Its private key in PEM, without a password."},
    {0}};

#define NAMES "/api/public-apps/domains"
static const struct endpoint endpoints[] = {
    {.lane = LANE_API,
     .success = 201,
     .method = "POST",
     .path = NAMES,
     .id = "addDomain",
     .summary = "Claim a name for an instance; the answer has the record that proves it.",
     .scope = SCOPE_DEPLOY,
     .permission = PERMISSION_MANAGE,
     .body = BODY_JSON,
     .body_max = 8192,
     .fields = create_fields,
     .answer = "Domain",
     .codes = "invalid_hostname instance_not_found domain_exists too_many_domains "
              "rate_limited",
     .run = domain_api_create},
    {.lane = LANE_API,
     .success = 200,
     .method = "GET",
     .path = NAMES,
     .id = "listDomains",
     .summary = "The project's domains, newest first.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_VIEW,
     .query = list_query,
     .answer = "DomainList",
     .codes = "instance_not_found invalid_cursor",
     .run = domain_api_list},
    {.lane = LANE_API,
     .success = 200,
     .method = "GET",
     .path = NAMES "/:domain",
     .id = "getDomain",
     .summary = "A domain, by its id or its name: how it stands, and what happens next.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_VIEW,
     .answer = "Domain",
     .codes = "domain_not_found",
     .run = domain_api_get},
    {.lane = LANE_DOMAINS,
     .success = 200,
     .method = "GET",
     .path = NAMES "/:domain/dns",
     .id = "lookAtDomain",
     .summary = "What DNS answers about the name now; changes nothing.",
     .scope = SCOPE_READ,
     .permission = PERMISSION_VIEW,
     .answer = "DomainDns",
     .codes = "domain_not_found rate_limited",
     .run = domain_api_dns},
    {.lane = LANE_DOMAINS,
     .success = 200,
     .method = "POST",
     .path = NAMES "/:domain/verify",
     .id = "verifyDomain",
     .summary = "Look for the record now, and serve the name if it is there.",
     .scope = SCOPE_DEPLOY,
     .permission = PERMISSION_MANAGE,
     .answer = "Domain",
     .codes = "domain_not_found txt_not_found txt_mismatch dns_error dnssec_bogus domain_held "
              "rate_limited",
     .run = domain_api_verify},
    {.lane = LANE_API,
     .success = 200,
     .method = "PATCH",
     .path = NAMES "/:domain",
     .id = "changeDomain",
     .summary = "Redirect it, have it keep to https, or move it to another instance.",
     .scope = SCOPE_DEPLOY,
     .permission = PERMISSION_MANAGE,
     .body = BODY_JSON,
     .body_max = 8192,
     .fields = change_fields,
     .answer = "Domain",
     .codes = "domain_not_found instance_not_found invalid_domain_settings",
     .run = domain_api_change},
    {.lane = LANE_API,
     .success = 200,
     .method = "DELETE",
     .path = NAMES "/:domain",
     .id = "removeDomain",
     .summary = "Give the name up: it is served no longer, and nobody else's for a week if it was.",
     .scope = SCOPE_DEPLOY,
     .permission = PERMISSION_MANAGE,
     .answer = "Domain",
     .codes = "domain_not_found",
     .run = domain_api_remove},
    {.lane = LANE_API,
     .success = 200,
     .method = "PUT",
     .path = NAMES "/:domain/certificate",
     .id = "putDomainCertificate",
     .summary = "Serve the name with a certificate of your own.",
     .scope = SCOPE_DEPLOY,
     .permission = PERMISSION_MANAGE,
     .body = BODY_JSON,
     .body_max = 128 * 1024,
     .fields = certificate_fields,
     .answer = "Domain",
     .codes = "domain_not_found no_tls_listener invalid_certificate",
     .run = domain_api_put_certificate},
    {.lane = LANE_API,
     .success = 200,
     .method = "DELETE",
     .path = NAMES "/:domain/certificate",
     .id = "removeDomainCertificate",
     .summary = "Give up your own certificate; it is served until one is ordered, if the server "
                "orders any.",
     .scope = SCOPE_DEPLOY,
     .permission = PERMISSION_MANAGE,
     .answer = "Domain",
     .codes = "domain_not_found certificate_not_found",
     .run = domain_api_remove_certificate},
};

// clang-format off
static const char schemas[] =
    "{\"DnsRecord\":{\"type\":\"object\",\"required\":[\"type\",\"name\",\"value\"],\"properties\":{"
    "\"type\":{\"type\":\"string\"},\"name\":{\"type\":\"string\"},"
    "\"value\":{\"type\":\"string\"}}}"
    ",\"DomainCheck\":{\"type\":\"object\",\"required\":[\"at\",\"outcome\",\"message\",\"name\",\"expected\",\"seen\"],\"properties\":{"
    "\"at\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"},"
    "\"by\":{\"enum\":[\"owner\",\"server\"]},"
    "\"outcome\":{\"enum\":[\"verified\",\"txt_not_found\",\"txt_mismatch\",\"dns_error\",\"dnssec_bogus\",\"domain_held\"]},"
    "\"message\":{\"type\":\"string\"},\"name\":{\"type\":\"string\"},"
    "\"expected\":{\"type\":\"string\"},"
    "\"seen\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/DnsRecord\"}},"
    "\"resolver\":{\"type\":\"string\"},\"secure\":{\"type\":\"boolean\"},"
    "\"ms\":{\"type\":\"integer\"}}}"
    ",\"DomainRouting\":{\"type\":\"object\",\"required\":[\"ok\",\"expected\",\"seen\"],\"properties\":{"
    "\"ok\":{\"type\":\"boolean\"},\"message\":{\"type\":\"string\"},"
    "\"expected\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/DnsRecord\"}},"
    "\"seen\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/DnsRecord\"}},"
    "\"checkedAt\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}}}"
    ",\"Domain\":{\"type\":\"object\",\"required\":[\"id\",\"hostname\",\"unicodeHostname\",\"status\",\"verification\",\"routing\",\"certificate\",\"nextCheckAt\",\"checks\"],\"properties\":{"
    "\"id\":{\"type\":\"string\"},\"hostname\":{\"type\":\"string\"},"
    "\"unicodeHostname\":{\"type\":\"string\"},\"instanceId\":{\"type\":\"string\"},"
    "\"instanceSlug\":{\"type\":\"string\"},"
    "\"status\":{\"enum\":[\"pending\",\"verified\",\"failing\",\"suspended\",\"removed\"]},"
    "\"ended\":{\"type\":\"string\"},\"next\":{\"type\":\"string\"},"
    "\"verification\":{\"$ref\":\"#/components/schemas/DnsRecord\"},"
    "\"routing\":{\"$ref\":\"#/components/schemas/DomainRouting\"},"
    "\"certificate\":{\"type\":\"object\",\"required\":[\"status\"],\"properties\":{\"status\":{\"enum\":[\"none\",\"issuing\",\"active\",\"failed\"]},\"source\":{\"enum\":[\"acme\",\"own\"]},\"notBefore\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"},\"notAfter\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"},\"nextTryAt\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"},\"errorCode\":{\"type\":\"string\"},\"error\":{\"type\":\"string\"},\"next\":{\"type\":\"string\"}}},"
    "\"redirectTo\":{\"type\":[\"string\",\"null\"]},"
    "\"httpsOnly\":{\"type\":\"boolean\"},\"hsts\":{\"type\":[\"object\",\"null\"]},"
    "\"since\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"},"
    "\"createdAt\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"},"
    "\"verifiedAt\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"},"
    "\"failingSince\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"},"
    "\"servedUntil\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"},"
    "\"endsAt\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"},"
    "\"checkedAt\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"},"
    "\"nextCheckAt\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"},"
    "\"checks\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/DomainCheck\"}}}}"
    ",\"DomainList\":{\"type\":\"object\",\"required\":[\"data\",\"next\",\"previous\"],\"properties\":{"
    "\"data\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Domain\"}},"
    "\"next\":{\"type\":[\"string\",\"null\"]},"
    "\"previous\":{\"type\":[\"string\",\"null\"]}}}"
    ",\"DomainDns\":{\"type\":\"object\",\"required\":[\"id\",\"hostname\",\"status\",\"verification\",\"routing\"],\"properties\":{"
    "\"id\":{\"type\":\"string\"},\"hostname\":{\"type\":\"string\"},"
    "\"status\":{\"type\":\"string\"},"
    "\"verification\":{\"$ref\":\"#/components/schemas/DomainCheck\"},"
    "\"routing\":{\"$ref\":\"#/components/schemas/DomainRouting\"}}}}";
// clang-format on

// --- what goes with a plugin ---

static enum fail on_delete_ask(struct db *db, const struct plugin *p, json_t *what,
                               bool *ret_has_data, struct fault *fault)
{
    DB_ROWS_AUTO rows = NULL;
    enum fail f = domain_query_names_of_plugin(db, p->id, &rows, fault);
    json_t *names = json_array();
    for (size_t i = 0; f == FAIL_NONE && i != db_count(rows); ++i)
        if (db_get_bool(rows, i, 1))
            json_array_append_new(names, json_string(db_get(rows, i, 0).p));
    if (json_array_size(names) != 0)
        json_object_set(what, "domains", names);
    json_decref(names);
    return f;
}

// --- start ---

static const char *host_of(const char *origin, char to[static HOSTNAME_ROOM])
{
    bool is_tls;
    str host;
    uint16_t port;
    to[0] = '\0';
    if (origin != NULL && site_parse_origin(origin, &is_tls, &host, &port))
        snprintf(to, HOSTNAME_ROOM, "%.*s", STR_FMT(host));
    return to;
}

static enum fail read_addresses(const char *text, struct fault *fault)
{
    str rest = str_from(text);
    domain_config.address_count = 0;
    while (rest.n != 0) {
        str item = str_trim(str_cut(&rest, ','));
        if (item.n == 0)
            continue;
        if (domain_config.address_count == DOMAIN_ADDRESSES_MAX ||
            !ip_parse(item, &domain_config.addresses[domain_config.address_count++]))
            return fault_set(
                fault, FAIL_REFUSED, "invalid_setting",
                "domain_addresses must be at most %d IP addresses with commas between; "
                "\"%.60s\" is none.",
                DOMAIN_ADDRESSES_MAX, item.p);
    }
    return FAIL_NONE;
}

// What owners could point a CNAME to: a name that is somewhere.
static void find_apps_host(const char *apps_origin)
{
    struct ip address;
    char *host = domain_config.apps_host;
    host_of(apps_origin, host);
    if (strchr(host, '.') == NULL || ip_parse(str_from(host), &address) || host[0] == '[')
        host[0] = '\0';
}

enum fail domains_init(const struct domains_options *o, struct fault *fault)
{
    static const struct catalog_hooks hooks = {.on_delete_ask = on_delete_ask};
    static char own[3][HOSTNAME_ROOM];
    static struct hostname_rules rules;
    static struct dns_options dns;
    rules = (struct hostname_rules){.reserved = o->reserved};
    const char *origins[] = {o->apps_origin, o->console_origin, o->files_origin};
    for (size_t i = 0; i != 3; ++i)
        if (host_of(origins[i], own[i])[0] != '\0')
            rules.own[rules.own_count++] = own[i];
    if (o->instance_domain[0] != '\0')
        rules.own[rules.own_count++] = o->instance_domain;
    hostname_init(&rules);
    dns = (struct dns_options){.forwarders = o->dns_forwarders,
                               .root_hints = o->dns_root_hints,
                               .trust_anchor = o->dns_trust_anchor};
    domain_config.instance_domain = o->instance_domain;
    find_apps_host(o->apps_origin);
    catalog_hooks_add(&hooks);
    enum fail f = dns_init(&dns, fault);
    return f == FAIL_NONE ? read_addresses(o->addresses, fault) : f;
}

struct service *domains_service(void)
{
    static struct service service = {.name = "domains",
                                     .endpoints = endpoints,
                                     .endpoint_count = sizeof endpoints / sizeof endpoints[0],
                                     .schemas = schemas};
    return &service;
}
