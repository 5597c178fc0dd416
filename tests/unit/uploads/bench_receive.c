// How many uploads a second the part behind the body keeps, the cage played: bench_uploads_receive
// [SECONDS [SENDERS [BYTES [THREADS]]]]. For figures that mean something, STOA_TEST_PG names a
// server with fsync on.
#include "ground.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "edge/base/clock.h"
#include "edge/base/digest.h"

static struct files_owner owner;
static size_t bytes = 10 * 1024;
static uint64_t until;
static _Atomic unsigned long kept;
static _Atomic unsigned long long waited_us;

static void *send_on(void *arg)
{
    struct buf b;
    buf_init(&b, 16 << 20);
    while (clock_monotonic_ms() < until) {
        struct files_upload u = {0};
        buf_clear(&b);
        buf_add(&b, STR("--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.png\""
                        "\r\n\r\n\x89PNG"));
        random_bytes(buf_reserve(&b, bytes), bytes);
        b.n += bytes;
        buf_add(&b, STR("\r\n--XX--\r\n"));
        uint64_t began = clock_monotonic_us();
        ground_receive(&u, &owner, "multipart/form-data; boundary=XX", buf_str(&b));
        atomic_fetch_add(&waited_us, clock_monotonic_us() - began);
        if (u.fail != FAIL_NONE) {
            fprintf(stderr, "%s: %s\n", u.fault.code, u.fault.log_text);
            abort();
        }
        atomic_fetch_add(&kept, 1);
        files_upload_fini(&u);
    }
    buf_fini(&b);
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 5,
             senders = argc > 2 ? (unsigned)atoi(argv[2]) : 16;
    pthread_t threads[64];
    bytes = argc > 3 ? (size_t)atoi(argv[3]) : bytes;
    senders = senders < 64 ? senders : 64;
    ground_quota_bytes = ground_quota_files = 1ull << 50;
    ground_threads = argc > 4 ? (unsigned)atoi(argv[4]) : 4;
    ground_begin(NULL);
    owner = ground_owner("Bench");
    until = clock_monotonic_ms() + seconds * 1000;
    for (unsigned i = 0; i != senders; ++i)
        pthread_create(&threads[i], NULL, send_on, NULL);
    for (unsigned i = 0; i != senders; ++i)
        pthread_join(threads[i], NULL);
    printf("%lu uploads of %zu bytes in %u s by %u: %lu/s, %.1f ms each\n", kept, bytes, seconds,
           senders, kept / seconds, (double)waited_us / (double)kept / 1000);
    return ground_end(NULL);
}
