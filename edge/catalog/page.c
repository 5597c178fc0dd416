// Cursors: base64url of a direction, a time and an id.
#include "edge/catalog/page.h"
#include <stdio.h>
#include "edge/base/digest.h"
#include "edge/base/jsonx.h"

enum { TEXT_ROOM = 1 + 20 + 1 + PAGE_ID_ROOM };

static bool read_key(str text, struct page *page)
{
    uint64_t at = 0;
    if (text.n < 2 || (text.p[0] != 'n' && text.p[0] != 'p'))
        return false;
    page->goes_back = text.p[0] == 'p';
    str id = str_skip(text, 1);
    if (!str_to_u64(str_cut(&id, ':'), INT64_MAX / 2, &at) || id.n == 0 ||
        id.n >= sizeof page->key.id || memchr(id.p, '\0', id.n) != NULL || !str_is_utf8(id))
        return false;
    page->has_key = true;
    page->key.at = (int64_t)at;
    snprintf(page->key.id, sizeof page->key.id, "%.*s", STR_FMT(id));
    return true;
}

enum fail page_init(struct page *page, str cursor, unsigned limit, struct fault *fault)
{
    // The last time a timestamptz of ours may have, in the year 9999: beyond it PostgreSQL would
    // fail.
    const int64_t latest = 253402300799999;
    uint8_t text[TEXT_ROOM];
    size_t n = 0;
    *page = (struct page){.limit = limit};
    if (cursor.n == 0)
        return FAIL_NONE;
    if (!base64url_decode(cursor, text, sizeof text, &n) || !read_key(str_of(text, n), page) ||
        page->key.at > latest)
        return fault_set(fault, FAIL_REFUSED, "invalid_cursor",
                         "This cursor is not one of ours. Start again without a cursor.");
    return FAIL_NONE;
}

size_t page_shown(const struct page *page, size_t fetched)
{
    return fetched < page->limit ? fetched : page->limit;
}

size_t page_row(const struct page *page, size_t fetched, size_t i)
{
    return page->goes_back ? page_shown(page, fetched) - 1 - i : i;
}

static json_t *cursor_of(bool wanted, char direction, const struct page_key *key)
{
    char text[TEXT_ROOM], cursor[(TEXT_ROOM * 4 + 2) / 3 + 1];
    if (!wanted)
        return json_null();
    int n = snprintf(text, sizeof text, "%c%lld:%s", direction, (long long)key->at, key->id);
    base64url_encode(str_of(text, (size_t)n), cursor, sizeof cursor);
    return json_string(cursor);
}

json_t *page_json(const struct page *page, json_t *data, size_t fetched,
                  const struct page_key *first, const struct page_key *last)
{
    bool any = fetched != 0, more = fetched > page->limit;
    // Behind a page that was reached by a cursor lies the one it was reached from.
    bool next = any && (page->goes_back || more);
    bool previous = any && (page->goes_back ? more : page->has_key);
    return json_pack("{so so so}", "data", data, "next", cursor_of(next, 'n', last), "previous",
                     cursor_of(previous, 'p', first));
}

json_t *page_rows_json(const struct page *page, const struct db_rows *rows,
                       json_t *(*object_of)(const struct db_rows *rows, size_t row),
                       struct page_key (*key_of)(const struct db_rows *rows, size_t row))
{
    json_t *data = json_array();
    struct page_key first = {0}, last = {0};
    size_t fetched = db_count(rows), shown = page_shown(page, fetched);
    for (size_t i = 0; i != shown; ++i)
        json_array_append_new(data, object_of(rows, page_row(page, fetched, i)));
    if (shown != 0) {
        first = key_of(rows, page_row(page, fetched, 0));
        last = key_of(rows, page_row(page, fetched, shown - 1));
    }
    return page_json(page, data, fetched, &first, &last);
}
