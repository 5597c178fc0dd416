// What a visit is answered with when its file is at hand: the encoding the client takes, its
// conditions and its ranges (RFC 9110 §12.5.3, §13, §14).
#include "bundles/visit.h"
#include <stdatomic.h>
#include "edge/base/clock.h"
#include "edge/http/conditional.h"
#include "edge/http/range.h"

// --- choosing the encoding ---

// The encoding that a condition names, if the client takes it. False: none.
static bool find_encoding(const struct site *site, const struct site_file *file, str list,
                          bool weak_is_enough, str accept, enum encoding *ret)
{
    for (enum encoding e = 0; list.p != NULL && e < ENCODINGS; e++) {
        char etag[VARIANT_ETAG_ROOM];
        if ((file->encodings & 1u << e) == 0 || !negotiate_accepts(accept, e))
            continue;
        size_t n = variant_etag_of(&site->variants[site_variant_of(file, e)], e, etag);
        *ret = e;
        if (conditional_has_tag(list, str_of(etag, n), weak_is_enough))
            return true;
    }
    return false;
}

// Parts of a compressed file are of use only to a client that has the rest of that very one, as
// If-Range tells; to all others bytes of the file itself are given. A date does not say which one
// it was: then what was chosen then is chosen now. If-Match and If-None-Match tell which one the
// client has as If-Range does.
static enum encoding encoding_for_range(struct request *r, const struct site *site,
                                        const struct site_file *file, str accept,
                                        enum encoding chosen)
{
    struct ranges ranges;
    enum encoding named;
    str if_range = request_header(r, HEADER_IF_RANGE);
    if (if_range.p != NULL)
        return find_encoding(site, file, if_range, false, accept, &named) ? named : chosen;
    if (find_encoding(site, file, request_header(r, HEADER_IF_MATCH), false, accept, &named) ||
        find_encoding(site, file, request_header(r, HEADER_IF_NONE_MATCH), true, accept, &named))
        return named;
    uint64_t size = site->variants[file->first_variant].size;
    bool usable = range_parse(request_header(r, HEADER_RANGE), size, &ranges) != RANGE_WHOLE;
    return usable && negotiate_accepts(accept, ENCODING_IDENTITY) ? ENCODING_IDENTITY : chosen;
}

enum encoding visit_encoding(struct visit *v, const struct site *site, const struct site_file *file)
{
    struct request *r = v->r;
    if (file->encodings == 1u << ENCODING_IDENTITY)
        return ENCODING_IDENTITY;
    str accept = request_header(r, HEADER_ACCEPT_ENCODING);
    enum encoding e = negotiate_encoding(accept, file->encodings);
    if (e != ENCODING_IDENTITY && v->mode == MODE_FILE && r->method == METHOD_GET &&
        request_header(r, HEADER_RANGE).p != NULL)
        e = encoding_for_range(r, site, file, accept, e);
    return e;
}

// --- ranges ---

static void reply_unsatisfiable(struct visit *v, const struct variant *variant)
{
    char text[RANGE_TEXT_ROOM];
    size_t n = range_unsatisfied(variant->body->size, text);
    visit_add_common(v);
    reply_add(v->r, "content-range", str_of(text, n));
    reply_add(v->r, "accept-ranges", STR("bytes"));
    reply_error(v->r, 416, "range_not_satisfiable", "The file is shorter than that.", NULL, 0);
}

static void reply_one_range(struct visit *v, struct variant *variant, const struct range *range)
{
    char text[RANGE_TEXT_ROOM];
    size_t n = range_content_range(range, variant->body->size, text);
    reply_add(v->r, "content-range", str_of(text, n));
    str part = str_of(variant->body->bytes + range->first, range->last - range->first + 1);
    reply_bytes_of(v->r, 206, variant->whole, part, variant_file(variant, range->first),
                   &variant->shared);
}

// The parts say their own type; the whole has a type of its own, so it cannot use the prebuilt
// headers but for the validators.
static void reply_ranges(struct visit *v, struct variant *variant, const struct ranges *ranges)
{
    static const char type_prefix[] = "multipart/byteranges; boundary=";
    struct request *r = v->r;
    str part_type = variant->site->files[v->file].content_type;
    char type[sizeof type_prefix + RANGE_BOUNDARY_ROOM];
    char *boundary = type + sizeof type_prefix - 1;
    memcpy(type, type_prefix, sizeof type_prefix);
    range_boundary(boundary);
    str *pieces = request_alloc(r, (2 * ranges->count + 1) * sizeof *pieces);
    char *room = request_alloc(r, range_multipart_room(ranges, part_type));
    size_t n = range_multipart(ranges, variant_bytes(variant), part_type, boundary, room, pieces);
    reply_add(r, "content-type", str_from(type));
    if (v->encoding != ENCODING_IDENTITY)
        reply_add(r, "content-encoding", encoding_name(v->encoding));
    reply_add(r, "accept-ranges", STR("bytes"));
    reply_add(r, "x-content-type-options", STR("nosniff"));
    if (visit_is_preview(v)) {
        visit_add_preview(v);
        reply_add(r, "content-security-policy", str_from(variant_preview_policy()->sandbox));
    }
    reply_pieces(r, 206, variant->unchanged, pieces, n, &variant->shared);
}

// --- a file that is at hand ---

static struct validators validators_of(const struct variant *variant)
{
    return (struct validators){variant_etag(variant), variant->site->last_modified};
}

static enum verdict judge(struct request *r, const struct variant *variant)
{
    struct conditions c = {
        request_header(r, HEADER_IF_MATCH), request_header(r, HEADER_IF_UNMODIFIED_SINCE),
        request_header(r, HEADER_IF_NONE_MATCH), request_header(r, HEADER_IF_MODIFIED_SINCE)};
    if (c.if_match.p == NULL && c.if_unmodified_since.p == NULL && c.if_none_match.p == NULL &&
        c.if_modified_since.p == NULL)
        return VERDICT_GO_ON;
    struct validators validators = validators_of(variant);
    return conditional_evaluate(&c, &validators, clock_real_ms() / 1000);
}

static enum range_kind ranges_of(struct request *r, const struct variant *variant,
                                 struct ranges *ret)
{
    str range = r->method == METHOD_GET ? request_header(r, HEADER_RANGE) : (str){0};
    if (range.p == NULL)
        return RANGE_WHOLE;
    str if_range = request_header(r, HEADER_IF_RANGE);
    struct validators validators = validators_of(variant);
    if (if_range.p != NULL && !conditional_if_range(if_range, &validators, clock_real_ms() / 1000))
        return RANGE_WHOLE;
    return range_parse(range, variant->body->size, ret);
}

static void reply_file(struct visit *v, struct variant *variant)
{
    struct request *r = v->r;
    struct ranges ranges;
    switch (judge(r, variant)) {
    case VERDICT_NOT_MODIFIED:
        if (v->depends_on_dest)
            visit_add_common(v);
        reply_bytes(r, 304, variant->unchanged, STR(""), &variant->shared);
        return;
    case VERDICT_FAILED:
        visit_add_common(v);
        reply_error(r, 412, "precondition_failed", "The file is another one by now.", NULL, 0);
        return;
    case VERDICT_GO_ON:
        break;
    }
    if (v->depends_on_dest)
        reply_add(r, "vary", STR("Sec-Fetch-Dest"));
    switch (ranges_of(r, variant, &ranges)) {
    case RANGE_UNSATISFIABLE:
        reply_unsatisfiable(v, variant);
        return;
    case RANGE_PART:
        if (ranges.count == 1)
            reply_one_range(v, variant, &ranges.at[0]);
        else
            reply_ranges(v, variant, &ranges);
        return;
    case RANGE_WHOLE:
        break;
    }
    reply_bytes_of(r, 200, variant->whole, variant_bytes(variant), variant_file(variant, 0),
                   &variant->shared);
}

void visit_reply_variant(struct visit *v, struct variant *variant)
{
    struct request *r = v->r;
    uint32_t now = (uint32_t)(loop_now(r->loop) / 1000);
    if (atomic_load_explicit(&variant->last_used, memory_order_relaxed) != now)
        atomic_store_explicit(&variant->last_used, now, memory_order_relaxed);
    r->encoding = encoding_name(v->encoding).p;
    if (v->mode == MODE_FILE) {
        reply_file(v, variant);
        return;
    }
    if (v->depends_on_dest)
        reply_add(r, "vary", STR("Sec-Fetch-Dest"));
    reply_bytes(r, 404, variant->missing, variant_bytes(variant), &variant->shared);
}
