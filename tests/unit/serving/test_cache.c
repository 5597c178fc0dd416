// The cache and the shelves of two loops, with loops, pool, database and blob store played.
#include <stdio.h>
#include <stdlib.h>
#include "bundles/shelf.h"
#include "made_site.h"
#include "played.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h> // last: it defines fail()

// A hundred bodies fit, and more sites than that.
enum { FILE_BYTES = 10000, BUDGET = 100 * FILE_BYTES, SITES = 100 };

// --- what the cache is filled from ---

static struct {
    enum fail site, bytes, current; // what they fail with
    unsigned current_lost;          // so many questions fail first
    unsigned site_loads, byte_loads;
    uint64_t file_bytes;                 // 0: FILE_BYTES
    char deployment[DEPLOYMENT_ID_ROOM]; // what every instance points at now …
    int64_t later;                       // … so many seconds longer than made_row says
} source;
static uint8_t test_number; // bodies outlive a test in the cache: each test has bytes of its own

static enum fail load_site(str key, struct site **ret, struct fault *fault)
{
    struct deployment_row row;
    source.site_loads++;
    if (source.site != FAIL_NONE)
        return fault_set(fault, source.site, "code", "words");
    made_row(&row, "{\"entry\":\"index.html\",\"routes\":[]}",
             (const char *[]){"*index.html", "a.txt", "b.txt", NULL});
    row.shown_since += source.later;
    snprintf(row.id, sizeof row.id, "%s", source.deployment);
    snprintf(row.plugin_id, sizeof row.plugin_id, "plg_%.*s", (int)(key.n < 8 ? key.n : 8), key.p);
    struct digest own = digest_sha256(key);
    for (size_t i = 0; i < row.file_count; i++)
        for (enum encoding e = 0; e < ENCODINGS; e++) {
            row.files[i].size[e] = source.file_bytes != 0 ? source.file_bytes : FILE_BYTES;
            row.files[i].sha256[e].b[0] ^= test_number;
            for (size_t b = 1; b < 8 && i != 1; b++) // a.txt is the same in all sites
                row.files[i].sha256[e].b[b] ^= own.b[b];
        }
    enum fail f = site_create(key, str_find(key, '@') != SIZE_MAX, &row, ret, fault);
    made_row_fini(&row);
    return f;
}

static enum fail load_bytes(const struct digest *d, uint64_t size, char **ret, struct fault *fault)
{
    source.byte_loads++;
    if (source.bytes != FAIL_NONE)
        return fault_set(fault, source.bytes, "code", "words");
    *ret = calloc(1, size);
    return FAIL_NONE;
}

static enum fail load_current(const char (*ids)[CATALOG_ID_ROOM], size_t count,
                              struct deployment_pointer *ret, struct fault *fault)
{
    if (source.current_lost != 0) {
        --source.current_lost;
        return fault_set(fault, FAIL_BUSY, "code", "words");
    }
    if (source.current != FAIL_NONE)
        return fault_set(fault, source.current, "code", "words");
    for (size_t i = 0; i < count; i++) {
        memcpy(ret[i].id, source.deployment, sizeof ret[i].id);
        ret[i].shown_since = 1790000000 + source.later;
    }
    return FAIL_NONE;
}

static const struct cache_source played_source = {load_site, load_bytes, load_current};

// --- a visitor ---

struct visitor {
    struct shelf_wait wait;
    struct loop *loop;
    unsigned mounts, variants, failures;
    bool is_slow;        // takes a reference to the variant
    struct mount *mount; // a reference
    struct variant *variant;
    enum fail failed;
};

static void on_mount(struct shelf_wait *w, struct mount *m)
{
    struct visitor *v = (struct visitor *)w;
    v->mounts++;
    mount_ref(m);
    v->mount = m;
}
static void on_variant(struct shelf_wait *w, struct variant *variant)
{
    struct visitor *v = (struct visitor *)w;
    v->variants++;
    v->variant = variant;
    if (v->is_slow)
        shared_ref(&variant->shared);
}
static void on_failure(struct shelf_wait *w, enum fail failed, const char *code)
{
    struct visitor *v = (struct visitor *)w;
    v->failures++;
    v->failed = failed;
}

static struct visitor visitor(unsigned loop)
{
    return (struct visitor){
        .wait = {.on_mount = on_mount, .on_variant = on_variant, .on_failure = on_failure},
        .loop = played_loop(loop)};
}

static void ask_site(struct visitor *v, const char *key)
{
    play_as(v->loop);
    shelf_wait_mount(shelf_of(v->loop), str_from(key), &v->wait);
}

static void ask_variant(struct visitor *v, uint32_t number)
{
    play_as(v->loop);
    shelf_wait_variant(shelf_of(v->loop), v->mount, number, &v->wait);
}

static void leave(struct visitor *v)
{
    play_as(v->loop);
    shelf_cancel(&v->wait);
    mount_unref(v->mount);
    v->mount = NULL;
}

static struct mount *find(unsigned loop, const char *key)
{
    play_as(played_loop(loop));
    return shelf_find(shelf_of(played_loop(loop)), str_from(key));
}

// Visits a site and loads one variant of it.
static void visit(unsigned loop, const char *key, uint32_t number)
{
    struct visitor v = visitor(loop);
    ask_site(&v, key);
    play_all();
    assert_int_equal(v.mounts, 1);
    ask_variant(&v, number);
    play_all();
    assert_int_equal(v.variants, 1);
    leave(&v);
}

static int start(void **state)
{
    cache_init(&played_source, BUDGET);
    for (unsigned i = 0; i < PLAYED_LOOPS; i++)
        shelf_create(played_loop(i));
    return 0;
}

static void forget_all(void)
{
    source.current = FAIL_NONE;
    memset(source.deployment, 0, sizeof source.deployment);
    play_as(NULL);
    cache_check_all();
    play_all();
    assert_int_equal(cache_counts().sites, 0);
}

static int begin(void **state)
{
    memset(&source, 0, sizeof source);
    test_number++;
    strcpy(source.deployment, "one");
    return 0;
}

static int end(void **state)
{
    play_all();
    forget_all();
    return 0;
}

// --- tests ---

static void test_one_load_for_all_who_wait(void **state)
{
    struct visitor v[4] = {visitor(0), visitor(0), visitor(1), visitor(1)};
    for (int i = 0; i < 4; i++)
        ask_site(&v[i], "demo/x");
    assert_int_equal(v[0].mounts, 0); // never from inside the call
    play_all();
    assert_int_equal(source.site_loads, 1);
    for (int i = 0; i < 4; i++)
        assert_int_equal(v[i].mounts, 1);
    assert_ptr_equal(v[0].mount, v[1].mount);
    assert_ptr_equal(v[0].mount->site, v[2].mount->site);
    for (int i = 0; i < 4; i++)
        ask_variant(&v[i], 4); // a.txt
    play_all();
    assert_int_equal(source.byte_loads, 1);
    for (int i = 0; i < 4; i++)
        assert_ptr_equal(v[i].variant, v[0].variant);
    assert_ptr_equal(find(0, "demo/x")->slots[4], v[0].variant);
    assert_ptr_equal(find(1, "demo/x")->slots[4], v[0].variant);
    for (int i = 0; i < 4; i++)
        leave(&v[i]);
}

static void test_a_second_loop_asks_no_database(void **state)
{
    visit(0, "demo/x", 0);
    visit(1, "demo/x", 0);
    assert_int_equal(source.site_loads, 1);
    assert_int_equal(source.byte_loads, 1);
}

static void test_the_same_bytes_are_held_once(void **state)
{
    visit(0, "demo/x", 4);
    visit(0, "other/y", 4);
    assert_int_equal(source.site_loads, 2);
    assert_int_equal(source.byte_loads, 1);
    assert_ptr_equal(find(0, "demo/x")->slots[4]->body, find(0, "other/y")->slots[4]->body);
    assert_ptr_not_equal(find(0, "demo/x")->slots[4], find(0, "other/y")->slots[4]);
}

// One who got the body, and reads it slowly: a reference that is his.
static struct variant *read_slowly(const char *key, uint32_t number, enum fail *ret_failed)
{
    struct visitor v = visitor(0);
    v.is_slow = true;
    ask_site(&v, key);
    play_all();
    ask_variant(&v, number);
    play_all();
    *ret_failed = v.failures != 0 ? v.failed : FAIL_NONE;
    leave(&v);
    return v.variant;
}

static void test_what_is_still_being_read_is_not_loaded_again(void **state)
{
    enum fail failed;
    char key[32];
    struct variant *slow = read_slowly("demo/x", 0, &failed);
    for (int i = 0;
         i != 100 * SITES && find(0, "demo/x") != NULL && find(0, "demo/x")->slots[0] != NULL;
         i++) {
        snprintf(key, sizeof key, "full/%d", i);
        visit(0, key, 0);
    }
    assert_true(find(0, "demo/x") == NULL || find(0, "demo/x")->slots[0] == NULL); // it had to go
    unsigned loads = source.byte_loads;
    struct variant *again = read_slowly("demo/x", 0, &failed);
    assert_int_equal(source.byte_loads, loads);
    assert_ptr_equal(again->body, slow->body);
    shared_unref(&again->shared);
    shared_unref(&slow->shared);
}

static void test_what_readers_keep_alive_is_bounded(void **state)
{
    static const char *const keys[] = {"demo/1", "demo/2", "demo/3", "demo/4"};
    struct variant *slow[4];
    enum fail failed;
    source.file_bytes = 20 << 20; // more than is held
    for (int i = 0; i < 3; i++) {
        slow[i] = read_slowly(keys[i], 0, &failed);
        assert_int_equal(failed, FAIL_NONE);
    }
    assert_null(read_slowly(keys[3], 0, &failed));
    assert_int_equal(failed, FAIL_BUSY);
    struct variant *same = read_slowly(keys[0], 0, &failed); // one more reader of what is there
    assert_int_equal(failed, FAIL_NONE);
    assert_ptr_equal(same->body, slow[0]->body);
    shared_unref(&same->shared);
    shared_unref(&slow[2]->shared);
    slow[3] = read_slowly(keys[3], 0, &failed);
    assert_int_equal(failed, FAIL_NONE);
    for (int i = 0; i < 4; i++)
        if (i != 2)
            shared_unref(&slow[i]->shared);
}

static void test_absent_sites_are_remembered_briefly(void **state)
{
    struct visitor v = visitor(0);
    source.site = FAIL_NOT_FOUND;
    ask_site(&v, "demo/none");
    play_all();
    assert_int_equal(v.mounts, 1);
    assert_null(v.mount->site);
    leave(&v);
    assert_non_null(find(0, "demo/none"));
    assert_null(find(1, "demo/none"));
    play_time(SHELF_ABSENT_MS - 1);
    assert_non_null(find(0, "demo/none"));
    play_time(1);
    assert_null(find(0, "demo/none"));
}

static void test_absent_sites_are_few(void **state)
{
    source.site = FAIL_NOT_FOUND;
    for (int i = 0; i < SHELF_ABSENT_MAX + 10; i++) {
        struct visitor v = visitor(0);
        char key[32];
        snprintf(key, sizeof key, "demo/%d", i);
        ask_site(&v, key);
        play_all();
        leave(&v);
    }
    assert_null(find(0, "demo/9"));
    assert_non_null(find(0, "demo/10"));
    play_as(NULL);
    cache_forget_plugin(STR("plg_other"));
    play_all();
    assert_null(find(0, "demo/10")); // it may just have been made
}

static void test_a_notice_drops_it_on_every_loop(void **state)
{
    struct visitor v = visitor(0);
    visit(0, "demo/x", 0);
    visit(1, "demo/x", 0);
    visit(1, "other/y", 0);
    ask_site(&v, "demo/x");
    play_all();
    struct site *old = v.mount->site;
    play_as(NULL);
    cache_forget_plugin(STR("plg_demo/x"));
    play_all();
    assert_null(find(0, "demo/x"));
    assert_null(find(1, "demo/x"));
    assert_non_null(find(1, "other/y"));
    assert_ptr_equal(v.mount->site, old); // who is served from it goes on
    ask_variant(&v, 4);
    play_all();
    assert_int_equal(v.variants, 1);
    shared_ref(&old->shared);
    leave(&v);
    play_all();
    assert_int_equal(old->shared.refs, 1); // ours: nothing of the old deployment is kept
    shared_unref(&old->shared);
    strcpy(source.deployment, "two");
    visit(0, "demo/x", 0);
    assert_string_equal(find(0, "demo/x")->site->deployment_id, "two");
    assert_int_equal(source.byte_loads, 3); // demo's page, other's, a.txt: the bytes stayed
}

static void test_what_was_read_before_a_notice_is_not_kept(void **state)
{
    struct visitor early = visitor(0), late = visitor(0), other = visitor(1);
    ask_site(&early, "demo/x");
    play_as(NULL);
    cache_forget_plugin(STR("plg_demo/x")); // the load has begun and may have read the old pointer
    play_messages(played_loop(0));
    strcpy(source.deployment, "old");
    ask_site(&late, "demo/x");
    ask_site(&other, "demo/x");
    assert_int_equal(played_jobs(), 2);
    play_job();
    strcpy(source.deployment, "new");
    play_all();
    assert_string_equal(early.mount->site->deployment_id, "old");
    assert_string_equal(late.mount->site->deployment_id, "new");
    assert_string_equal(other.mount->site->deployment_id, "new");
    assert_string_equal(find(0, "demo/x")->site->deployment_id, "new");
    assert_int_equal(cache_counts().sites, 1);
    ask_variant(&early, 0); // served from what is not in the index
    play_all();
    assert_int_equal(early.variants, 1);
    assert_null(find(0, "demo/x")->slots[0]);
    leave(&early);
    leave(&late);
    leave(&other);
}

static void test_a_notice_of_another_plugin_costs_nothing(void **state)
{
    struct visitor early = visitor(0), late = visitor(1);
    ask_site(&early, "demo/x");
    play_as(NULL);
    cache_forget_plugin(STR("plg_other"));
    play_messages(played_loop(1));
    ask_site(&late, "demo/x"); // cannot know which plugin is being loaded: asks anew
    play_all();
    assert_int_equal(early.mounts + late.mounts, 2);
    assert_ptr_equal(early.mount->site, late.mount->site);
    assert_non_null(find(0, "demo/x"));
    assert_non_null(find(1, "demo/x"));
    assert_int_equal(cache_counts().sites, 1);
    leave(&early);
    leave(&late);
}

static void test_too_many_notices_are_as_good_as_its_own(void **state)
{
    struct visitor v = visitor(0);
    ask_site(&v, "demo/x");
    play_as(NULL);
    for (int i = 0; i < 9; i++)
        cache_forget_plugin(STR("plg_other"));
    play_all();
    assert_int_equal(v.mounts, 1);
    assert_null(find(0, "demo/x"));
    leave(&v);
}

static void test_visitors_who_left_are_not_called(void **state)
{
    struct visitor stays = visitor(0), leaves = visitor(0), also = visitor(0);
    ask_site(&also, "demo/x");
    ask_site(&leaves, "demo/x");
    ask_site(&stays, "demo/x");
    leave(&leaves);
    leave(&also);
    play_all();
    assert_int_equal(leaves.mounts + also.mounts, 0);
    assert_int_equal(stays.mounts, 1);
    ask_variant(&stays, 0);
    leave(&stays); // all of them gone: the answer finds nobody
    play_all();
    assert_int_equal(stays.variants, 0);
    assert_non_null(find(0, "demo/x")->slots[0]);
}

static void test_failures_are_told_and_forgotten(void **state)
{
    struct visitor v = visitor(0);
    source.site = FAIL_BUSY;
    ask_site(&v, "demo/x");
    play_all();
    assert_int_equal(v.failed, FAIL_BUSY);
    assert_null(find(0, "demo/x"));
    source.site = FAIL_NONE;
    ask_site(&v, "demo/x");
    play_all();
    source.bytes = FAIL_NOT_FOUND; // a blob that should be there
    ask_variant(&v, 0);
    play_all();
    assert_int_equal(v.failed, FAIL_INTERNAL);
    source.bytes = FAIL_NONE;
    ask_variant(&v, 0);
    play_all();
    assert_int_equal(v.variants, 1);
    leave(&v);
}

static void test_a_full_lane_refuses_at_once(void **state)
{
    struct visitor v = visitor(0);
    play_pool_is_full(true);
    ask_site(&v, "demo/x");
    assert_int_equal(v.failures, 0); // never from inside the call
    play_all();
    assert_int_equal(v.failed, FAIL_BUSY);
    play_pool_is_full(false);
    ask_site(&v, "demo/x");
    play_all();
    assert_int_equal(v.mounts, 1);
    leave(&v);
}

static void test_bytes_stay_in_their_budget(void **state)
{
    char key[32];
    for (int i = 0; i < 600; i++) {
        snprintf(key, sizeof key, "%c/%d", 'a' + i % 26, i);
        visit(0, key, 0);
        play_time(1000);
        assert_true(cache_counts().body_bytes <= BUDGET);
        assert_true(cache_counts().site_bytes <= BUDGET / 4);
    }
    assert_true(cache_counts().evictions > 0);
}

static void test_a_body_that_went_is_read_again_without_the_database(void **state)
{
    char key[32];
    visit(0, "demo/x", 0);
    struct mount *m = find(0, "demo/x");
    for (int i = 0; m->slots[0] != NULL; i++) { // others' bodies push it out; its site is in use
        struct visitor v = visitor(1);
        snprintf(key, sizeof key, "other/%d", i % SITES);
        ask_site(&v, key);
        play_all();
        for (uint32_t number = 0; number < 6; number++) {
            play_time(1000);
            atomic_store(&m->site->last_used, UINT32_MAX);
            ask_variant(&v, number);
            play_all();
        }
        leave(&v);
        assert_ptr_equal(find(0, "demo/x"), m);
        assert_true(i < 1000);
    }
    unsigned site_loads = source.site_loads, byte_loads = source.byte_loads;
    visit(0, "demo/x", 0);
    assert_int_equal(source.site_loads, site_loads);
    assert_int_equal(source.byte_loads, byte_loads + 1);
}

static void test_a_body_too_large_is_served_and_not_kept(void **state)
{
    struct visitor one = visitor(0), two = visitor(1);
    uint64_t held = cache_counts().bodies;
    ask_site(&one, "demo/x");
    ask_site(&two, "demo/x");
    play_all();
    ((struct site_variant *)one.mount->site->variants)[0].size = BUDGET + 1;
    ask_variant(&one, 0);
    ask_variant(&two, 0);
    play_job();
    play_messages(played_loop(0));
    assert_int_equal(one.variants, 1);
    play_all();
    assert_int_equal(two.variants, 1);
    assert_int_equal(source.byte_loads, 1);
    assert_int_equal(cache_counts().bodies, held);
    assert_null(find(0, "demo/x")->slots[0]);
    leave(&one);
    leave(&two);
}

static void test_all_are_checked_after_the_listener_was_away(void **state)
{
    visit(0, "demo/x", 0);
    visit(1, "demo/x@0123456789abcdefghjkmnpqrs", 0);
    source.current = FAIL_BUSY;
    play_as(NULL);
    cache_check_all();
    play_all();
    assert_non_null(find(0, "demo/x")); // nobody knows better: served as before
    source.current = FAIL_NONE;
    play_as(NULL);
    cache_check_all();
    play_all();
    assert_non_null(find(0, "demo/x"));
    assert_null(find(1, "demo/x@0123456789abcdefghjkmnpqrs"));
    strcpy(source.deployment, "two");
    play_as(NULL);
    cache_check_all();
    play_all();
    assert_null(find(0, "demo/x"));
}

// Away and back again while nobody listened: its Last-Modified is another by now.
static void test_a_check_lets_go_what_was_activated_anew(void **state)
{
    visit(0, "demo/x", 0);
    source.later = 60;
    play_as(NULL);
    cache_check_all();
    play_all();
    assert_null(find(0, "demo/x"));
}

// A database that restarts: the listener was quicker than the thread that asks.
static void test_a_check_that_fails_once_is_made_again(void **state)
{
    visit(0, "demo/x", 0);
    strcpy(source.deployment, "two");
    source.current_lost = 2;
    play_as(NULL);
    cache_check_all();
    play_all();
    assert_null(find(0, "demo/x"));
}

// Everything at once in an order nobody thought of; ASan watches.
static void test_any_order(void **state)
{
    enum { VISITORS = 24 };
    struct visitor v[VISITORS];
    unsigned random = 7;
    for (unsigned i = 0; i < VISITORS; i++)
        v[i] = visitor(i % PLAYED_LOOPS);
    for (unsigned step = 0; step < 60000; step++) {
        random = random * 1103515245 + 12345;
        unsigned dice = random >> 16 & 1023;
        struct visitor *one = &v[(random >> 8) % VISITORS];
        char key[16];
        snprintf(key, sizeof key, "%c/k%u", 'a' + dice % 9, dice % 3);
        play_as(one->loop);
        if (dice < 300 && one->mount == NULL && one->wait._pending == NULL)
            ask_site(one, key);
        else if (dice < 600 && one->mount != NULL && one->mount->site != NULL &&
                 one->wait._pending == NULL && one->mount->slots[dice % 6] == NULL)
            ask_variant(one, dice % 6);
        else if (dice < 700)
            leave(one);
        else if (dice < 850)
            play_job();
        else if (dice < 1000)
            play_messages(one->loop);
        else if (dice < 1010)
            cache_forget_plugin(STR("plg_a/k0"));
        else if (dice < 1015)
            cache_check_all();
        source.site = dice % 50 == 0 ? FAIL_NOT_FOUND : dice % 51 == 0 ? FAIL_BUSY : FAIL_NONE;
        source.bytes = dice % 53 == 0 ? FAIL_INTERNAL : FAIL_NONE;
        assert_true(cache_counts().body_bytes <= BUDGET);
    }
    for (unsigned i = 0; i < VISITORS; i++)
        leave(&v[i]);
    source.site = source.bytes = FAIL_NONE;
    play_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_load_for_all_who_wait, begin, end),
        cmocka_unit_test_setup_teardown(test_a_second_loop_asks_no_database, begin, end),
        cmocka_unit_test_setup_teardown(test_the_same_bytes_are_held_once, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_still_being_read_is_not_loaded_again, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_what_readers_keep_alive_is_bounded, begin, end),
        cmocka_unit_test_setup_teardown(test_absent_sites_are_remembered_briefly, begin, end),
        cmocka_unit_test_setup_teardown(test_absent_sites_are_few, begin, end),
        cmocka_unit_test_setup_teardown(test_a_notice_drops_it_on_every_loop, begin, end),
        cmocka_unit_test_setup_teardown(test_what_was_read_before_a_notice_is_not_kept, begin, end),
        cmocka_unit_test_setup_teardown(test_a_notice_of_another_plugin_costs_nothing, begin, end),
        cmocka_unit_test_setup_teardown(test_too_many_notices_are_as_good_as_its_own, begin, end),
        cmocka_unit_test_setup_teardown(test_visitors_who_left_are_not_called, begin, end),
        cmocka_unit_test_setup_teardown(test_failures_are_told_and_forgotten, begin, end),
        cmocka_unit_test_setup_teardown(test_a_full_lane_refuses_at_once, begin, end),
        cmocka_unit_test_setup_teardown(test_bytes_stay_in_their_budget, begin, end),
        cmocka_unit_test_setup_teardown(test_a_body_that_went_is_read_again_without_the_database,
                                        begin, end),
        cmocka_unit_test_setup_teardown(test_a_body_too_large_is_served_and_not_kept, begin, end),
        cmocka_unit_test_setup_teardown(test_all_are_checked_after_the_listener_was_away, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_a_check_lets_go_what_was_activated_anew, begin, end),
        cmocka_unit_test_setup_teardown(test_a_check_that_fails_once_is_made_again, begin, end),
        cmocka_unit_test_setup_teardown(test_any_order, begin, end),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
