#include "uploads/links.h"
#include <inttypes.h>
#include <stdio.h>
#include "edge/base/seal.h"
#include "edge/http/urlencoded.h"
#include "edge/route/site.h"

#define PREFIX "/files/"
#define LABEL "links to files 1"

enum {
    VERSION = 1,
    HEAD_BYTES = 1 + SEAL_ID_BYTES + LINK_BOUND_BYTES,
    SIGNATURE_BYTES = HEAD_BYTES + 32,
    SIGNATURE_ROOM = (SIGNATURE_BYTES * 4 + 2) / 3 + 1,
    HOST_MAX = 300,
    NAME_MAX_ENCODED = 3 * (FILE_NAME_ROOM - 1),
    EXPIRY_DIGITS = 12,
    SIGNED_MAX = 2048,
    ID_LETTERS = 26,
};

// What the HMAC is over, but for the signature's own head.
struct claim {
    str host; // lower case
    uint16_t port;
    str id, name; // decoded
    uint64_t expires_at;
    enum link_use use;
};

static const str use_names[] = {
    [LINK_INLINE] = {"inline", 6}, [LINK_ATTACHMENT] = {"attachment", 10}};

// Each part behind its length: no two claims give the same bytes.
static void add_part(struct buf *to, str s)
{
    buf_addf(to, "%zu:", s.n);
    buf_add(to, s);
}

static void add_number(struct buf *to, uint64_t v)
{
    char text[24];
    add_part(to, str_of(text, (size_t)snprintf(text, sizeof text, "%" PRIu64, v)));
}

// False when the key that `head` names is none of ours.
static bool sign(const uint8_t head[static HEAD_BYTES], const struct claim *c, struct digest *ret)
{
    uint8_t key[32];
    struct buf text;
    if (!seal_derive_under(head + 1, LABEL, key))
        return false;
    buf_init(&text, SIGNED_MAX);
    add_part(&text, str_of(head, HEAD_BYTES));
    add_part(&text, c->host);
    add_number(&text, c->port);
    add_part(&text, c->id);
    add_part(&text, c->name);
    add_number(&text, c->expires_at);
    add_part(&text, use_names[c->use]);
    bool is_whole = !text.full;
    if (is_whole)
        *ret = digest_hmac_sha256(str_of(key, sizeof key), buf_str(&text));
    buf_fini(&text);
    explicit_bzero(key, sizeof key);
    return is_whole;
}

static void bind_row(const struct file *f, uint8_t ret[static LINK_BOUND_BYTES])
{
    char text[CATALOG_ID_ROOM + FILE_MIME_ROOM];
    int n = snprintf(text, sizeof text, "%s\n%s", f->owner.instance_id, f->mime);
    struct digest d = digest_sha256(str_of(text, (size_t)n));
    memcpy(ret, d.b, LINK_BOUND_BYTES);
}

// --- which origin ---

// One kind of site gives files: where strangers' bytes have an origin of their own, no other serves
// them (security-rules.md 11).
static enum site_kind serving_site(void)
{
    if (uploads_options->files_origin[0] != '\0')
        return SITE_FILES;
    return uploads_options->instance_domain[0] != '\0' ? SITE_INSTANCE : SITE_APPS;
}

void link_origin(const struct file *f, struct buf *to)
{
    const struct uploads_options *o = uploads_options;
    if (serving_site() == SITE_FILES)
        buf_add(to, str_from(o->files_origin));
    else if (serving_site() == SITE_APPS)
        buf_add(to, str_from(o->apps_origin));
    else
        buf_addf(to, "%s://%s.%s%s", o->instance_scheme, f->owner.instance_slug, o->instance_domain,
                 o->instance_port);
}

// Behind a proxy that ends TLS the request's own scheme says nothing: the origin's does.
static uint16_t default_port(void)
{
    const struct uploads_options *o = uploads_options;
    const char *origin = serving_site() == SITE_FILES  ? o->files_origin
                         : serving_site() == SITE_APPS ? o->apps_origin
                                                       : o->instance_scheme;
    return str_starts(str_from(origin), STR("https")) ? 443 : 80;
}

// --- making ---

static void add_encoded(struct buf *to, str s)
{
    static const char plain[] =
        "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (size_t i = 0; i != s.n; ++i)
        if (s.p[i] != '\0' && strchr(plain, s.p[i]) != NULL)
            buf_addc(to, s.p[i]);
        else
            buf_addf(to, "%%%02X", (unsigned char)s.p[i]);
}

static bool make_signature(const struct file *f, const struct claim *c,
                           char to[static SIGNATURE_ROOM])
{
    uint8_t all[SIGNATURE_BYTES] = {VERSION};
    struct digest mac;
    if (seal_current_id(all + 1, NULL) != FAIL_NONE)
        return false;
    bind_row(f, all + 1 + SEAL_ID_BYTES);
    if (!sign(all, c, &mac))
        return false;
    memcpy(all + HEAD_BYTES, mac.b, sizeof mac.b);
    base64url_encode(str_of(all, sizeof all), to, SIGNATURE_ROOM);
    return true;
}

enum fail link_check(struct fault *fault)
{
    uint8_t id[SEAL_ID_BYTES];
    return seal_current_id(id, fault);
}

void link_make(const struct file *f, enum link_use use, int64_t now_ms, struct buf *to)
{
    bool is_tls;
    struct buf origin;
    char signature[SIGNATURE_ROOM] = "";
    // a name of dots is a step to browsers and tools, however it is spelt
    bool is_step = strcmp(f->filename, ".") == 0 || strcmp(f->filename, "..") == 0;
    struct claim c = {.id = str_from(f->id),
                      .name = is_step ? STR("file") : str_from(f->filename),
                      .expires_at = (uint64_t)(now_ms / 1000) + LINK_SECONDS,
                      .use = use};
    buf_init(&origin, HOST_MAX);
    link_origin(f, &origin);
    AUTOFREE char *text = buf_take(&origin);
    if (site_parse_origin(text, &is_tls, &c.host, &c.port))
        make_signature(f, &c, signature);
    buf_addf(to, "%s" PREFIX "%s/", text, f->id);
    add_encoded(to, c.name);
    buf_addf(to, "?exp=%" PRIu64 "&sig=%s&d=%.*s", c.expires_at, signature,
             STR_FMT(use_names[use]));
}

// --- reading ---

struct query {
    str exp, sig, d;
};

// The three of them once each, and nothing else.
static bool read_query(str rest, struct query *ret)
{
    *ret = (struct query){0};
    size_t n = 0;
    if (str_ends(rest, STR("&")))
        return false;
    for (; rest.n != 0 && n != 4; ++n) {
        str value = str_cut(&rest, '&'), name = str_cut(&value, '=');
        str *to = str_eq(name, STR("exp"))   ? &ret->exp
                  : str_eq(name, STR("sig")) ? &ret->sig
                  : str_eq(name, STR("d"))   ? &ret->d
                                             : NULL;
        if (to == NULL || to->n != 0 || value.n == 0)
            return false;
        *to = value;
    }
    return n == 3 && rest.n == 0;
}

static bool read_use(str d, enum link_use *ret)
{
    *ret = str_eq(d, use_names[LINK_INLINE]) ? LINK_INLINE : LINK_ATTACHMENT;
    return str_eq(d, use_names[*ret]);
}

static bool read_expiry(str exp, uint64_t *ret)
{
    return exp.n <= EXPIRY_DIGITS && exp.p[0] != '0' && str_to_u64(exp, UINT64_MAX, ret);
}

// "/files/{id}/{name}"
static bool split_path(str path, str *ret_id, str *ret_name)
{
    if (!str_starts(path, STR(PREFIX)))
        return false;
    *ret_name = str_skip(path, sizeof PREFIX - 1);
    *ret_id = str_cut(ret_name, '/');
    return ret_id->n != 0 && ret_id->n < FILES_ID_ROOM && ret_name->n != 0 &&
           str_find(*ret_name, '/') == SIZE_MAX;
}

// As token_id and token_ordered_id write them.
static bool is_file_id(str id)
{
    if (!str_starts(id, STR("file_")) || id.n != sizeof "file_" - 1 + ID_LETTERS)
        return false;
    for (size_t i = sizeof "file_" - 1; i != id.n; ++i)
        if (!((id.p[i] >= '0' && id.p[i] <= '9') || (id.p[i] >= 'a' && id.p[i] <= 'z')))
            return false;
    return true;
}

bool link_is_meant(const struct request *r)
{
    str id, name;
    return split_path(r->path, &id, &name) && is_file_id(id);
}

enum link_state link_read(const struct request *r, int64_t now_ms, struct link *ret)
{
    struct query q;
    struct digest mac;
    struct link link = {0};
    char name[NAME_MAX_ENCODED];
    uint8_t sig[SIGNATURE_BYTES];
    size_t sig_n;
    str id, encoded;
    if (!split_path(r->path, &id, &encoded))
        return LINK_NONE;
    struct claim c = {.host = r->host, .port = r->port != 0 ? r->port : default_port(), .id = id};
    if (r->site != serving_site() || encoded.n > sizeof name || !read_query(r->query, &q))
        return LINK_WRONG;
    c.name.p = name;
    if (!url_decode(encoded, false, name, &c.name.n) || !read_use(q.d, &c.use) ||
        !read_expiry(q.exp, &c.expires_at) || !base64url_decode(q.sig, sig, sizeof sig, &sig_n) ||
        sig_n != sizeof sig || sig[0] != VERSION || !sign(sig, &c, &mac) ||
        !digest_secret_eq(str_of(mac.b, sizeof mac.b),
                          str_of(sig + HEAD_BYTES, sizeof sig - HEAD_BYTES)))
        return LINK_WRONG;
    if (c.expires_at <= (uint64_t)(now_ms / 1000))
        return LINK_EXPIRED;
    memcpy(link.id, id.p, id.n);
    memcpy(link.bound, sig + 1 + SEAL_ID_BYTES, sizeof link.bound);
    link.use = c.use;
    link.expires_at = (int64_t)c.expires_at;
    *ret = link;
    return LINK_GOOD;
}

bool link_is_of(const struct link *link, const struct request *r, const struct file *f)
{
    uint8_t bound[LINK_BOUND_BYTES];
    bind_row(f, bound);
    return memcmp(bound, link->bound, sizeof bound) == 0 &&
           (r->site != SITE_INSTANCE || str_eq(r->site_name, str_from(f->owner.instance_slug)));
}
