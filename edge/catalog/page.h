// Lists by contract §1: {"data":[…],"next","previous"}, newest first, walked by opaque cursors that
// say after which row (time and id) a page begins, so that rows made or deleted meanwhile move
// nothing. Any thread.
//
//     struct page page;
//     f = page_init(&page, cursor, limit, fault);
//     f = x_rows(db, &page, …);     // where (created_at, id) < cursor order by … desc, or > … asc
//     when it
//                                   // goes back; page_fetch(&page) rows at most
//     for (size_t i = 0; i != page_shown(&page, fetched); ++i)
//         add the object of row page_row(&page, fetched, i)
//     *ret = page_json(&page, data, fetched, &first_key, &last_key);
#ifndef STOA_CATALOG_PAGE_H
#define STOA_CATALOG_PAGE_H
#include <jansson.h>
#include "edge/base/fail.h"
#include "edge/store/db.h"

enum { PAGE_ID_ROOM = 56 };
struct page_key {
    int64_t at; // real ms
    char id[PAGE_ID_ROOM];
};
struct page {
    unsigned limit;
    bool goes_back; // towards newer rows: the query's order is turned round
    bool has_key;   // false: from the newest row on
    struct page_key key;
};

// `cursor` may be empty: the first page. FAIL_REFUSED "invalid_cursor".
enum fail page_init(struct page *page, str cursor, unsigned limit, struct fault *fault) MUST_CHECK;
// How many rows to ask for: one more than are shown tells whether there are more.
static inline unsigned page_fetch(const struct page *page)
{
    return page->limit + 1;
}
size_t page_shown(const struct page *page, size_t fetched);
// Which fetched row is shown in place i.
size_t page_row(const struct page *page, size_t fetched, size_t i);
// Takes `data`. The keys are those of the first and the last row shown; not looked at when none is.
json_t *page_json(const struct page *page, json_t *data, size_t fetched,
                  const struct page_key *first, const struct page_key *last);
// All of that at once, where a row by itself makes an object: the answer of the rows fetched.
json_t *page_rows_json(const struct page *page, const struct db_rows *rows,
                       json_t *(*object_of)(const struct db_rows *rows, size_t row),
                       struct page_key (*key_of)(const struct db_rows *rows, size_t row));
#endif
