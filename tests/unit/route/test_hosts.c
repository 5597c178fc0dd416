// Custom domains' table: what is found, what a change changes, what it costs.
#include "edge/route/hosts.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>
#include <cmocka.h>

static struct host *host(const char *name, const char *slug)
{
    return host_create(&(struct host){.name = str_from(name), .slug = str_from(slug)});
}

static void assert_slug(const struct hosts *t, const char *name, const char *slug)
{
    const struct host *h = hosts_look(t, str_from(name));
    assert_true((h != NULL) == (slug != NULL));
    if (h != NULL)
        assert_true(str_eq(h->slug, str_from(slug)));
}

static void names_are_found_whole(void **state)
{
    struct host *list[] = {host("forms.customer-one.com", "forms-1"), host("a.b", "two"),
                           host("a.b", "three")};
    struct hosts *t = hosts_create(list, 3);
    assert_int_equal(hosts_count(t), 2);
    assert_slug(t, "forms.customer-one.com", "forms-1");
    assert_slug(t, "a.b", "three");
    static const char *const nobodys[] = {"", "forms.customer-one.co", "customer-one.com",
                                          "x.forms.customer-one.com", "forms.customer-one.com."};
    for (size_t i = 0; i != 5; ++i)
        assert_slug(t, nobodys[i], NULL);
    hosts_unref(t);
}

static void a_change_leaves_the_old_table_as_it_was(void **state)
{
    struct host *first = host("a.b", "one");
    struct hosts *old = hosts_create(&first, 1);
    struct hosts *more = hosts_change(old, STR("c.d"), host("c.d", "two"));
    struct hosts *other = hosts_change(more, STR("a.b"), host("a.b", "three"));
    struct hosts *less = hosts_change(other, STR("a.b"), NULL);
    hosts_unref(more);
    assert_slug(old, "a.b", "one");
    assert_slug(old, "c.d", NULL);
    assert_slug(other, "a.b", "three");
    assert_slug(less, "a.b", NULL);
    assert_slug(less, "c.d", "two");
    hosts_unref(old);
    hosts_unref(other);
    assert_slug(less, "c.d", "two");
    hosts_unref(less);
}

static void what_was_published_is_had_again(void **state)
{
    struct host *first = host("a.b", "one");
    assert_null(hosts_published());
    hosts_publish(hosts_create(&first, 1));
    struct hosts *t = hosts_published();
    assert_slug(t, "a.b", "one");
    hosts_publish(hosts_change(t, STR("a.b"), NULL));
    hosts_unref(t);
    t = hosts_published();
    assert_int_equal(hosts_count(t), 0);
    hosts_unref(t);
    assert_null(hosts_find(STR("a.b"))); // on no loop
}

// Of processor time: others may be at work here.
static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

enum { MANY = 100000, LOOKS = 1000000 };

static void a_hundred_thousand_are_little(void **state)
{
    static struct host *list[MANY];
    static char names[MANY][40];
    for (size_t i = 0; i != MANY; ++i) {
        snprintf(names[i], sizeof names[i], "forms-%zu.customer-%zu.com", i, i * 7919 % MANY);
        list[i] = host(names[i], "customers-form-0123abcd");
    }
    struct hosts *t = hosts_create(list, MANY);
    assert_int_equal(hosts_count(t), MANY);
    assert_true(hosts_bytes(t) < 40 * 1000 * 1000);
    double began = seconds();
    for (size_t i = 0; i != LOOKS; ++i)
        assert_non_null(hosts_look(t, str_from(names[i * 7919 % MANY])));
    double look = (seconds() - began) / LOOKS;
    began = seconds();
    struct hosts *changed = hosts_change(t, str_from(names[5]), NULL);
    print_message("100,000 names: %zu bytes, a look %.0f ns, a change %.1f ms\n", hosts_bytes(t),
                  look * 1e9, (seconds() - began) * 1e3);
    assert_int_equal(hosts_count(changed), MANY - 1);
    hosts_unref(t);
    hosts_unref(changed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_whole),
        cmocka_unit_test(a_change_leaves_the_old_table_as_it_was),
        cmocka_unit_test(what_was_published_is_had_again),
        cmocka_unit_test(a_hundred_thousand_are_little),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    return failed;
}
