#include "bundles/variant.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include "bundles/living.h"

enum {
    ETAG_DIGEST_CHARACTERS = 24, // 144 bits of the digest of the very bytes
    FILE_LEAST = 48 * 1024,      // below it one write of memory costs less than two calls
    FILES_MAX = 1024,
    FILES_SHARE = 8, // at most that part of the descriptors
};

static _Atomic unsigned files; // bodies that have one

static unsigned files_most(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    rlim_t share = limit.rlim_cur / FILES_SHARE;
    return share < FILES_MAX ? (unsigned)share : FILES_MAX;
}

// The bytes as a file nobody can change any more, mapped; NULL when the system gives none.
static const char *move_to_file(const char *bytes, size_t size, int *ret_fd)
{
    enum { SEALS = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL };
    int fd = memfd_create("stoa-body", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    size_t done = 0;
    for (ssize_t n = 1; fd >= 0 && n > 0 && done != size; done += n > 0 ? (size_t)n : 0)
        n = write(fd, bytes + done, size - done);
    void *mapped = MAP_FAILED;
    if (fd >= 0 && done == size && fcntl(fd, F_ADD_SEALS, SEALS) == 0)
        mapped = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (mapped == MAP_FAILED) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    *ret_fd = fd;
    return mapped;
}

static void on_body_free(struct shared *s)
{
    struct body *b = (struct body *)s;
    if (b->is_listed)
        living_remove(b);
    if (b->fd != -1) {
        munmap((void *)b->bytes, b->size);
        close(b->fd);
        atomic_fetch_sub(&files, 1);
    } else {
        free((void *)b->bytes);
    }
    free(b);
}

struct body *body_create(const struct digest *digest, char *bytes, uint64_t size)
{
    struct body *b = malloc(sizeof *b);
    if (b == NULL)
        abort();
    *b = (struct body){.digest = *digest, .size = size, .bytes = bytes, .fd = -1};
    shared_init(&b->shared, on_body_free);
    if (size < FILE_LEAST)
        return b;
    const char *mapped =
        atomic_fetch_add(&files, 1) < files_most() ? move_to_file(bytes, size, &b->fd) : NULL;
    if (mapped == NULL) {
        atomic_fetch_sub(&files, 1);
        return b;
    }
    b->bytes = mapped;
    free(bytes);
    return b;
}

size_t variant_etag_of(const struct site_variant *v, enum encoding e,
                       char to[static VARIANT_ETAG_ROOM])
{
    static const char *const suffixes[ENCODINGS] = {"", "-br", "-zst", "-gz"};
    char text[BASE64URL_32_ROOM];
    size_t n = 0;
    base64url_encode(str_of(v->blob.b, sizeof v->blob.b), text, sizeof text);
    to[n++] = '"';
    memcpy(to + n, text, ETAG_DIGEST_CHARACTERS);
    n += ETAG_DIGEST_CHARACTERS;
    memcpy(to + n, suffixes[e], strlen(suffixes[e]));
    n += strlen(suffixes[e]);
    to[n++] = '"';
    return n;
}

// contract §2: caching follows what is served, not what was asked.
static str cache_control(const struct site *site, const struct site_file *file)
{
    if (site->is_preview)
        return STR("private, no-store");
    if (file->is_html)
        return STR("no-cache");
    if (file->is_immutable)
        return STR("public, max-age=31536000, immutable");
    return STR("public, max-age=60, stale-while-revalidate=3600");
}

static void add_validators(struct reply_headers *h, const struct variant *v,
                           const struct site_file *file)
{
    reply_headers_add(h, "cache-control", cache_control(v->site, file));
    reply_headers_add(h, "etag", variant_etag(v));
    reply_headers_add(h, "last-modified", str_from(v->site->last_modified_text));
    if (file->encodings != 1u << ENCODING_IDENTITY)
        reply_headers_add(h, "vary", STR("Accept-Encoding"));
}

// On the apps origin a preview is given an opaque origin, to which its own scripts and fonts are
// foreign: they are readable by anyone who knows its address. A host of its own is an origin that
// nobody shares, and what its pages need to call its actions.
static const struct preview_policy apart = {"sandbox allow-scripts allow-forms", true},
                                   hosted = {"sandbox allow-scripts allow-forms allow-same-origin",
                                             false};
static const struct preview_policy *preview_policy = &apart;

void variant_init(bool previews_have_hosts)
{
    preview_policy = previews_have_hosts ? &hosted : &apart;
}

const struct preview_policy *variant_preview_policy(void)
{
    return preview_policy;
}

static void add_preview(struct reply_headers *h)
{
    reply_headers_add(h, "x-robots-tag", STR("noindex"));
    reply_headers_add(h, "content-security-policy", str_from(preview_policy->sandbox));
    if (preview_policy->may_read_anywhere)
        reply_headers_add(h, "access-control-allow-origin", STR("*"));
}

static void add_content(struct reply_headers *h, const struct site *site,
                        const struct site_file *file, enum encoding e)
{
    reply_headers_add(h, "content-type", file->content_type);
    if (e != ENCODING_IDENTITY)
        reply_headers_add(h, "content-encoding", encoding_name(e));
    reply_headers_add(h, "x-content-type-options", STR("nosniff"));
    reply_headers_add(h, "referrer-policy", STR("strict-origin-when-cross-origin"));
    if (site->is_preview)
        add_preview(h);
}

static struct reply_headers *headers_of_missing(const struct site *site,
                                                const struct site_file *file, enum encoding e)
{
    struct reply_headers *h = reply_headers_create();
    add_content(h, site, file, e);
    reply_headers_add(h, "cache-control",
                      site->is_preview ? STR("private, no-store") : STR("no-store"));
    if (file->encodings != 1u << ENCODING_IDENTITY)
        reply_headers_add(h, "vary", STR("Accept-Encoding"));
    return h;
}

static bool is_404_page(str path)
{
    return str_eq(path, STR("404.html")) || str_ends(path, STR("/404.html"));
}

static void on_variant_free(struct shared *s)
{
    struct variant *v = (struct variant *)s;
    reply_headers_destroy(v->whole);
    reply_headers_destroy(v->unchanged);
    reply_headers_destroy(v->missing);
    shared_unref(&v->body->shared);
    shared_unref(&v->site->shared);
    free(v);
}

struct variant *variant_create(struct site *site, uint32_t number, struct body *body)
{
    uint32_t at;
    enum encoding e = site_encoding_of(site, number, &at);
    const struct site_file *file = &site->files[at];
    struct variant *v = calloc(1, sizeof *v);
    if (v == NULL)
        abort();
    shared_init(&v->shared, on_variant_free);
    shared_ref(&site->shared);
    shared_ref(&body->shared);
    atomic_init(&v->last_used, (uint32_t)(clock_monotonic_ms() / 1000));
    v->number = number;
    v->site = site;
    v->body = body;
    v->etag_length = (uint8_t)variant_etag_of(&site->variants[number], e, v->etag);
    v->whole = reply_headers_create();
    add_content(v->whole, site, file, e);
    add_validators(v->whole, v, file);
    reply_headers_add(v->whole, "accept-ranges", STR("bytes"));
    v->unchanged = reply_headers_create();
    add_validators(v->unchanged, v, file);
    if (is_404_page(file->path))
        v->missing = headers_of_missing(site, file, e);
    return v;
}
