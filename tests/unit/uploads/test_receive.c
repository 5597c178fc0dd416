// A visitor's upload behind its body: the form, the type, the store, the row, the answer; and every
// way it may be refused.
#include "ground.h"
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "edge/base/clock.h"
#include "edge/base/seal.h"
#include "edge/store/blob.h"
#include "edge/store/faults.h"
#include "tests/harness/postgres.h"

#define TYPE "multipart/form-data; boundary=XX"
#define PART(head, content)                                                                        \
    "--XX\r\nContent-Disposition: form-data; " head "\r\n\r\n" content "\r\n"
#define FILE_PART(name, content) PART("name=\"file\"; filename=\"" name "\"", content)
#define END "--XX--\r\n"
#define PNG "\x89PNG\r\n\x1a\n----"

static struct files_owner mine, theirs;
static struct files_upload u;

static int begin(void **state)
{
    mine = ground_owner("Mine");
    theirs = ground_owner("Theirs");
    u = (struct files_upload){0};
    return 0;
}

static int end(void **state)
{
    files_upload_fini(&u);
    return 0;
}

static void sent(const char *body)
{
    files_upload_fini(&u);
    ground_receive(&u, &mine, TYPE, str_from(body));
}

static void stored(const char *body)
{
    sent(body);
    if (u.fail != FAIL_NONE)
        fail_msg("%s: %s | %s", u.fault.code, u.fault.public_text, u.fault.log_text);
}

static void refused(const char *body, enum fail fail, const char *code)
{
    sent(body);
    assert_int_equal(u.fail, fail);
    assert_string_equal(u.fault.code, code);
    assert_true(u.fault.public_text[0] != '\0');
    assert_null(u.file);
    assert_string_equal(u.file_id, "");
}

static const char *member(const char *name)
{
    return json_string_value(json_object_get(u.file, name));
}

// --- what is kept ---

static void a_file_is_kept_and_named(void **state)
{
    stored(PART("name=\"note\"", "hello") FILE_PART("Räk smörgås.PNG", PNG) END);
    assert_string_equal(member("filename"), "Räk smörgås.PNG");
    assert_string_equal(member("mimeType"), "image/png");
    assert_int_equal(json_integer_value(json_object_get(u.file, "size")), sizeof PNG - 1);
    assert_string_equal(member("fileId"), u.file_id);
    assert_non_null(strstr(member("url"), u.file_id));
    assert_non_null(strstr(member("url"), "&d=attachment"));
    assert_string_equal(json_string_value(json_object_get(u.fields, "note")), "hello");
    struct digest d = digest_sha256(STR(PNG));
    char hex[DIGEST_HEX_ROOM], *bytes;
    size_t n;
    struct fault fault;
    digest_hex(&d, hex);
    assert_string_equal(member("sha256"), hex);
    assert_int_equal(blob_get(&d, 1000, &bytes, &n, &fault), FAIL_NONE);
    assert_int_equal(n, sizeof PNG - 1);
    free(bytes);
    struct file f;
    assert_int_equal(file_find(ground_db, mine.project_id, str_from(u.file_id), &f, &fault),
                     FAIL_NONE);
    assert_int_equal(f.source, FILE_OF_VISITOR);
    assert_string_equal(f.owner.instance_id, mine.instance_id);
}

static void fields_are_handed_on(void **state)
{
    stored(PART("name=\"a\"", "1") PART("name=\"box\"", "x") FILE_PART("a.txt", "hello")
               PART("name=\"box\"", "y") PART("name=\"box\"", "z") PART("name=\"leer\"", "") END);
    char *text = json_dumps(u.fields, JSON_COMPACT);
    assert_string_equal(text, "{\"a\":\"1\",\"box\":[\"x\",\"y\",\"z\"],\"leer\":\"\"}");
    free(text);
}

static void a_boundarys_first_bytes_are_the_files(void **state)
{
#define CONTENT "a\r\n--X\r\n-\r\r\n--X-\r\n"
    stored(FILE_PART("a.txt", CONTENT) END);
    struct digest d = digest_sha256(STR(CONTENT));
    char hex[DIGEST_HEX_ROOM];
    digest_hex(&d, hex);
    assert_string_equal(member("sha256"), hex);
}

static size_t blobs(void)
{
    char command[128];
    unsigned n = 0;
    snprintf(command, sizeof command, "find %s -type f | wc -l", ground_blobs);
    FILE *p = popen(command, "r");
    assert_int_equal(fscanf(p, "%u", &n), 1);
    pclose(p);
    return n;
}

static void the_same_bytes_are_kept_once(void **state)
{
    stored(FILE_PART("one.txt", "the same bytes") END);
    size_t before = blobs();
    char first[FILES_ID_ROOM];
    memcpy(first, u.file_id, sizeof first);
    stored(FILE_PART("two.txt", "the same bytes") END);
    assert_string_not_equal(u.file_id, first);
    assert_int_equal(blobs(), before);
    assert_int_equal(ground_count(&mine, ""), 2);
    struct file_usage usage;
    struct fault fault;
    assert_int_equal(file_usage(ground_db, mine.plugin_id, &usage, &fault), FAIL_NONE);
    assert_int_equal(usage.bytes, 2 * 14); // both count
}

static void an_image_is_cleaned_where_the_instance_says_so(void **state)
{
    u.strips_images = true;
    ground_receive(&u, &mine, TYPE, STR(FILE_PART("a.jpg", "\xff\xd8\xff--") END));
    assert_int_equal(u.fail, FAIL_NONE);
    assert_int_equal(json_integer_value(json_object_get(u.file, "size")), 5 + 6);
    files_upload_fini(&u);
    ground_receive(&u, &mine, TYPE, STR(FILE_PART("a.jpg", "\xff\xd8\xff damaged") END));
    assert_int_equal(u.fail, FAIL_REFUSED);
    assert_string_equal(u.fault.code, "damaged_image");
    u.strips_images = false;
    stored(FILE_PART("a.jpg", "\xff\xd8\xff damaged") END);
}

// --- what is not ---

static void forms_without_exactly_one_file(void **state)
{
    refused(PART("name=\"a\"", "1") END, FAIL_REFUSED, "no_file");
    refused(FILE_PART("a.txt", "1") FILE_PART("b.txt", "2") END, FAIL_REFUSED, "too_many_files");
    refused(FILE_PART("a.txt", "") END, FAIL_REFUSED, "empty_file");
    refused(FILE_PART("", "") END, FAIL_REFUSED, "empty_file");
    assert_int_equal(ground_count(&mine, ""), 0);
}

static void malformed_bodies(void **state)
{
    refused("", FAIL_BAD_INPUT, "invalid_multipart");
    refused("hello", FAIL_BAD_INPUT, "invalid_multipart");
    refused(FILE_PART("a.txt", "1"), FAIL_BAD_INPUT, "invalid_multipart"); // no last boundary
    refused(PART("name=\"a\"", "\xff") FILE_PART("a.txt", "1") END, FAIL_BAD_INPUT,
            "invalid_multipart");
    files_upload_fini(&u);
    ground_receive(&u, &mine, "application/json", STR("{}"));
    assert_int_equal(u.fail, FAIL_BAD_TYPE);
    assert_string_equal(u.fault.code, "unsupported_media_type");
    files_upload_fini(&u);
    ground_receive(&u, &mine, "multipart/form-data", STR(END));
    assert_string_equal(u.fault.code, "invalid_multipart");
}

static char *form_of(size_t fields, size_t field_bytes, size_t file_bytes)
{
    struct buf b;
    buf_init(&b, 32 << 20);
    for (size_t i = 0; i != fields; ++i) {
        buf_addf(&b, "--XX\r\nContent-Disposition: form-data; name=\"f%zu\"\r\n\r\n", i);
        memset(buf_reserve(&b, field_bytes), 'x', field_bytes);
        b.n += field_bytes;
        buf_add(&b, STR("\r\n"));
    }
    buf_add(&b,
            STR("--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\n"));
    memset(buf_reserve(&b, file_bytes), 'x', file_bytes);
    b.n += file_bytes;
    buf_add(&b, STR("\r\n" END));
    return buf_take(&b);
}

static void limits_are_where_they_are_said_to_be(void **state)
{
    AUTOFREE char *most = form_of(20, 8192, FILES_FILE_MAX), *fields = form_of(21, 1, 1),
                  *field = form_of(1, 8193, 1), *file = form_of(0, 0, FILES_FILE_MAX + 1);
    stored(most);
    assert_int_equal(json_object_size(u.fields), 20);
    refused(fields, FAIL_REFUSED, "too_many_fields");
    refused(field, FAIL_TOO_LARGE, "field_too_large");
    refused(file, FAIL_TOO_LARGE, "file_too_large");
    assert_int_equal(ground_count(&mine, ""), 1);
}

static void types_are_judged(void **state)
{
    refused(FILE_PART("a.pdf", PNG) END, FAIL_BAD_TYPE, "type_mismatch");
    assert_string_equal(u.fault.public_text, "This is a PNG image, but its name ends in .pdf.");
    assert_string_equal(json_string_value(json_object_get(u.details, "expected")),
                        "application/pdf");
    refused(FILE_PART("a.txt", "<html>") END, FAIL_BAD_TYPE, "type_not_allowed");
    refused(PART("name=\"f\"; filename=\"a.png\"\r\nContent-Type: text/html", PNG) END,
            FAIL_BAD_TYPE, "type_mismatch");
    assert_int_equal(ground_count(&mine, ""), 0);
}

static void a_dead_cage_accepts_nothing(void **state)
{
    refused(FILE_PART("a.txt", "CRASH") END, FAIL_BUSY, "inspection_failed");
    assert_true(u.retry_after != 0);
    assert_int_equal(ground_count(&mine, ""), 0);
}

static void a_full_quota_says_so(void **state)
{
    AUTOFREE char *large = form_of(0, 0, FILES_FILE_MAX);
    for (int i = 0; i != 4; ++i)
        stored(large);
    refused(FILE_PART("a.txt", "1") END, FAIL_QUOTA, "quota_exceeded");
    assert_non_null(strstr(u.fault.public_text, "quota"));
    assert_non_null(strstr(u.fault.public_text, "40.0 of 40.0 MiB"));
}

// What is refused must not stay on the disk either: anybody could fill that.
static void over_a_full_quota_nothing_is_written(void **state)
{
    AUTOFREE char *large = form_of(0, 0, FILES_FILE_MAX);
    for (int i = 0; i != 4; ++i)
        stored(large);
    char one[FILES_ID_ROOM];
    memcpy(one, u.file_id, sizeof one);
    refused(FILE_PART("a.txt", "the first may be") END, FAIL_QUOTA, "quota_exceeded");
    size_t before = blobs();
    refused(FILE_PART("a.txt", "the second may not") END, FAIL_QUOTA, "quota_exceeded");
    assert_non_null(strstr(u.fault.public_text, "40.0 of 40.0 MiB"));
    refused(FILE_PART("a.txt", "nor the third") END, FAIL_QUOTA, "quota_exceeded");
    assert_int_equal(blobs(), before);
    files_upload_fini(&u);
    ground_receive(&u, &theirs, TYPE, STR(FILE_PART("a.txt", "others have room") END));
    assert_int_equal(u.fail, FAIL_NONE);
    struct fault fault;
    assert_int_equal(file_delete(ground_db, mine.project_id, str_from(one), &fault), FAIL_NONE);
    stored(FILE_PART("a.txt", "room again, at once") END);
}

// Files that go as fast as they come fill no quota, and the disk all the same.
static void no_plugin_writes_without_end(void **state)
{
    int written = 0;
    while (written != 1000 && file_may_write(&mine, FILES_FILE_MAX))
        ++written;
    assert_in_range(written, 102, 103); // 1 GiB, and what has drained meanwhile
    while (file_may_write(&mine, 100000))
        ;
    size_t before = blobs();
    AUTOFREE char *body = form_of(0, 0, 500000);
    refused(body, FAIL_QUOTA, "quota_exceeded");
    assert_non_null(strstr(u.fault.public_text, "quota"));
    assert_int_equal(blobs(), before);
    files_upload_fini(&u);
    ground_receive(&u, &theirs, TYPE, str_from(body));
    assert_int_equal(u.fail, FAIL_NONE);
}

// As after a start without the database: a link made now would be good for nothing.
static void without_the_master_key_nothing_is_kept(void **state)
{
    struct seal_key key;
    bool is_error;
    seal_fini();
    refused(FILE_PART("a.txt", "1") END, FAIL_BUSY, "seal_not_ready");
    assert_true(u.retry_after != 0);
    AUTOFREE char *list = ground_ask(&mine, "list", "[]", &is_error);
    assert_true(is_error);
    assert_non_null(strstr(list, "\"busy\""));
    seal_key_make(&key);
    seal_init(&key, 1);
    assert_int_equal(ground_count(&mine, ""), 0);
    stored(FILE_PART("a.txt", "1") END);
}

static void without_a_database_nothing_is_kept(void **state)
{
    if (!postgres_is_ours())
        skip();
    postgres_halt();
    refused(FILE_PART("a.txt", "1") END, FAIL_BUSY, "database_unavailable");
    assert_true(u.retry_after != 0);
    postgres_resume();
    sent(FILE_PART("a.txt", "1") END); // threads that were refused a moment ago do not try at once
    for (int i = 0; u.fail == FAIL_BUSY && i != 100; ++i) {
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        sent(FILE_PART("a.txt", "1") END);
    }
    assert_int_equal(u.fail, FAIL_NONE);
}

// The n-th call of the store or the database fails: a sane answer each time, and a row only for
// what was said to be kept.
static void each_call_may_fail(void **state)
{
#ifdef STOA_FAULTS
    uint64_t kept = 0;
    for (unsigned long n = 1;; ++n) {
        faults_at(n);
        sent(FILE_PART("a.txt", "faulty") END);
        bool has_fired = faults_have_fired();
        faults_at(0);
        kept += u.fail == FAIL_NONE;
        assert_true(u.fail == FAIL_NONE || u.fail == FAIL_BUSY || u.fail == FAIL_INTERNAL);
        assert_int_equal(ground_count(&mine, ""), kept);
        if (!has_fired)
            break;
        assert_true(n < 50);
    }
    assert_true(kept != 0);
#endif
}

// A crash between the blob and its row: the blob goes, files that rows name stay.
static bool is_named(void *arg, const struct digest *d)
{
    return file_names_blob(arg, d);
}

static void what_no_row_names_is_collected(void **state)
{
    struct digest orphan;
    struct fault fault;
    stored(FILE_PART("a.txt", "named by a row") END);
    struct digest named = digest_sha256(STR("named by a row"));
    assert_int_equal(blob_put(STR("left by a crash"), &orphan, &fault), FAIL_NONE);
    assert_int_equal(blob_sync(&fault), FAIL_NONE);
    blob_collect(clock_real_ms() + 1000, is_named, ground_db);
    assert_true(blob_exists(&named));
    assert_false(blob_exists(&orphan));
}

// --- many at once ---

enum { THREADS = 12, EACH = 8 };

static void *send_some(void *arg)
{
    uintptr_t kept = 0;
    for (int i = 0; i != EACH; ++i) {
        char body[256];
        struct files_upload own = {0};
        int n = snprintf(body, sizeof body, FILE_PART("a.txt", "%p %d") END, arg, i);
        ground_receive(&own, (i & 1) != 0 ? &mine : &theirs, TYPE, str_of(body, (size_t)n));
        if (own.fail != FAIL_NONE && own.fail != FAIL_QUOTA)
            abort();
        kept += own.fail == FAIL_NONE;
        files_upload_fini(&own);
    }
    return (void *)kept;
}

// Half of them to the plugin whose quota is held, half to another.
static void *send_to_held(void *arg)
{
    bool is_held = ((uintptr_t)arg & 1) != 0;
    for (int i = 0; i != EACH; ++i) {
        char body[256];
        struct files_upload own = {0};
        int n = snprintf(body, sizeof body, FILE_PART("a.txt", "held %p %d") END, arg, i);
        ground_receive(&own, is_held ? &mine : &theirs, TYPE, str_of(body, (size_t)n));
        if (own.fail != (is_held ? FAIL_BUSY : FAIL_NONE))
            abort();
        files_upload_fini(&own);
    }
    return NULL;
}

static void many_at_once_are_all_kept(void **state)
{
    pthread_t threads[THREADS];
    uintptr_t kept = 0;
    for (uintptr_t i = 0; i != THREADS; ++i)
        assert_int_equal(pthread_create(&threads[i], NULL, send_some, (void *)(i + 1)), 0);
    for (uintptr_t i = 0; i != THREADS; ++i) {
        void *n;
        pthread_join(threads[i], &n);
        kept += (uintptr_t)n;
    }
    assert_int_equal(kept, THREADS * EACH);
    assert_int_equal(ground_count(&mine, "") + ground_count(&theirs, ""), kept);
}

// As whoever deletes a plugin does, for as long as there is something to delete.
static void a_held_quota_holds_up_nobody_else(void **state)
{
    struct fault fault;
    pthread_t threads[THREADS];
    stored(FILE_PART("a.txt", "its quota has a row") END);
    assert_int_equal(db_begin(ground_db, &fault), FAIL_NONE);
    assert_int_equal(db_query(ground_db, &fault, NULL,
                              "select 1 from file_quotas where plugin_id = $1 for update",
                              db_text(mine.plugin_id)),
                     FAIL_NONE);
    uint64_t begun = clock_monotonic_ms();
    for (uintptr_t i = 0; i != THREADS; ++i)
        assert_int_equal(pthread_create(&threads[i], NULL, send_to_held, (void *)(i + 1)), 0);
    for (uintptr_t i = 0; i != THREADS; ++i)
        pthread_join(threads[i], NULL);
    assert_in_range(clock_monotonic_ms() - begun, 1900, 2 * 2000 + 4000);
    refused(FILE_PART("a.txt", "at once") END, FAIL_BUSY, "busy");
    assert_true(u.retry_after != 0);
    db_rollback(ground_db);
    assert_int_equal(ground_count(&mine, ""), 1);
    assert_int_equal(ground_count(&theirs, ""), THREADS / 2 * EACH);
}

static void *send_image(void *arg)
{
    struct files_upload *own = arg;
    *own = (struct files_upload){.strips_images = true};
    ground_receive(own, &mine, TYPE, STR(FILE_PART("a.jpg", "\xff\xd8\xff--") END));
    return NULL;
}

// More images than the lane has threads, none of which has been cleaned yet. Others' files, and their
// images, go through; so do the first of the flood, once it can be cleaned.
static void a_flood_of_images_holds_up_nobody_else(void **state)
{
    enum { IMAGES = 12 };
    static struct files_upload images[IMAGES];
    pthread_t threads[IMAGES];
    size_t kept = 0, refused = 0;
    ground_gate(true);
    for (size_t i = 0; i != IMAGES; ++i)
        assert_int_equal(pthread_create(&threads[i], NULL, send_image, &images[i]), 0);
    while (ground_at_gate() == 0)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    for (int i = 0; i != 10; ++i)
        stored(FILE_PART("a.txt", "not an image") END);
    u.strips_images = true;
    sent(FILE_PART("a.png", PNG) END);
    assert_int_equal(u.fail, FAIL_NONE);
    assert_int_equal(ground_at_gate(), 1);
    ground_gate(false);
    for (size_t i = 0; i != IMAGES; ++i) {
        pthread_join(threads[i], NULL);
        kept += images[i].fail == FAIL_NONE;
        refused += images[i].fail == FAIL_BUSY && images[i].retry_after != 0;
        files_upload_fini(&images[i]);
    }
    assert_true(kept >= 3); // what an honest visitor sends at once
    assert_int_equal(kept + refused, IMAGES);
}

static void who_waits_too_long_for_his_turn_is_told(void **state)
{
    static struct files_upload images[2];
    pthread_t threads[2];
    size_t kept = 0;
    ground_gate(true);
    for (size_t i = 0; i != 2; ++i)
        assert_int_equal(pthread_create(&threads[i], NULL, send_image, &images[i]), 0);
    while (ground_at_gate() == 0)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    nanosleep(&(struct timespec){.tv_sec = 11}, NULL);
    ground_gate(false);
    for (size_t i = 0; i != 2; ++i) {
        pthread_join(threads[i], NULL);
        kept += images[i].fail == FAIL_NONE;
        files_upload_fini(&images[i]);
    }
    assert_int_equal(kept, 1);
}

static void what_the_plugin_did_not_want_goes(void **state)
{
    stored(FILE_PART("a.txt", "unwanted") END);
    files_discard(&mine, u.file_id);
    for (int i = 0; ground_count(&mine, "") != 0; ++i) {
        assert_true(i < 500);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {TEST(a_file_is_kept_and_named),
                                       TEST(fields_are_handed_on),
                                       TEST(a_boundarys_first_bytes_are_the_files),
                                       TEST(the_same_bytes_are_kept_once),
                                       TEST(an_image_is_cleaned_where_the_instance_says_so),
                                       TEST(forms_without_exactly_one_file),
                                       TEST(malformed_bodies),
                                       TEST(limits_are_where_they_are_said_to_be),
                                       TEST(types_are_judged),
                                       TEST(a_dead_cage_accepts_nothing),
                                       TEST(a_full_quota_says_so),
                                       TEST(over_a_full_quota_nothing_is_written),
                                       TEST(no_plugin_writes_without_end),
                                       TEST(each_call_may_fail),
                                       TEST(what_no_row_names_is_collected),
                                       TEST(many_at_once_are_all_kept),
                                       TEST(a_held_quota_holds_up_nobody_else),
                                       TEST(a_flood_of_images_holds_up_nobody_else),
                                       TEST(who_waits_too_long_for_his_turn_is_told),
                                       TEST(what_the_plugin_did_not_want_goes),
                                       TEST(without_the_master_key_nothing_is_kept),
                                       TEST(without_a_database_nothing_is_kept)};
    return cmocka_run_group_tests(tests, ground_begin, ground_end);
}
