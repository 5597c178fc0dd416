// Lines are made on the loop into a buffer of its own; a full or 200 ms old buffer is handed to the
// writer thread, which alone touches the disk. When the disk is slower than the load, whole buffers
// are dropped and counted: a request never waits for its log line. So are lines that cannot be written
// at all, on a full disk or with a file that may not be opened; the file is tried again each second.
#include "edge/http/access.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "edge/base/clock.h"
#include "edge/base/log.h"
#include "edge/http/internal.h"

enum {
    BUFFER_SIZE = 128 * 1024,
    LINE_MAX_BYTES = 4096,
    FLUSH_MS = 200,
    OPEN_AGAIN_MS = 1000,
    QUEUE_MAX = 64,
    SPARES_MAX = 4,
};

struct log_buffer {
    struct log_buffer *next;
    size_t n;
    char bytes[BUFFER_SIZE];
};

struct loop_log {
    struct log_buffer *filling;
    struct loop_timer timer;
    char time[CLOCK_RFC3339_ROOM]; // of second `time_at`
    int64_t time_at;
    _Atomic uint64_t requests[6], body_bytes, dropped;
};

static struct loop_log logs[LOOPS_MAX];
static bool is_off = true;
static char *file_name; // NULL: standard output
static int log_fd = -1;
static _Atomic bool must_reopen;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // guards the queue
static pthread_cond_t has_work = PTHREAD_COND_INITIALIZER;
static struct log_buffer *queue_first, **queue_last = &queue_first;
static size_t queue_count;
// Written out: to be filled again, since memory fresh from the kernel costs more than the lines.
static struct log_buffer *spares;
static size_t spare_count;
static bool is_ending;
static pthread_t writer;

// Of the writer thread, once it runs.
static uint64_t open_again_at; // 0: the file that should be open is
static uint64_t lost_since;    // lines since it was last said that it can be written; 0: none
static bool is_torn;           // the last line in the file has no end
static _Atomic uint64_t lost;

// The file of before, when there is one, is written to meanwhile. Said once, not each time.
static void open_file(bool is_asked)
{
    int fd = open(file_name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    int error = errno;
    bool is_news = (fd >= 0) == (open_again_at != 0);
    open_again_at = fd < 0 ? clock_monotonic_ms() + OPEN_AGAIN_MS : 0;
    if (fd < 0 && (is_news || is_asked))
        log_error("the access log cannot be opened; it is tried again each second",
                  "file=%s reason=\"%s\" meanwhile=\"%s\"", LOG_STR(str_from(file_name)),
                  strerror(error),
                  log_fd < 0 ? "requests are not logged" : "the file of before is written to");
    if (fd < 0)
        return;
    if (is_news)
        log_info("the access log is open", "file=%s", LOG_STR(str_from(file_name)));
    if (log_fd >= 0)
        close(log_fd);
    log_fd = fd;
    is_torn = false;
}

static uint64_t count_lines(str s)
{
    uint64_t lines = 0;
    for (size_t i = 0; i != s.n; ++i)
        lines += s.p[i] == '\n';
    return lines;
}

// A full disk, or no file: the lines are lost, the server goes on.
static void lose(str rest, int error)
{
    uint64_t lines = count_lines(rest);
    atomic_fetch_add_explicit(&lost, lines, memory_order_relaxed);
    if (lost_since == 0 && log_fd >= 0)
        log_error("the access log cannot be written; lines are lost", "reason=\"%s\"",
                  strerror(error));
    lost_since += lines;
}

static bool write_all(str s)
{
    for (size_t done = 0; done != s.n;) {
        ssize_t n = write(log_fd, s.p + done, s.n - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            is_torn |= done != 0 && s.p[done - 1] != '\n';
            lose(str_skip(s, done), n < 0 ? errno : ENOSPC);
            return false;
        }
        done += (size_t)n;
    }
    return true;
}

static void write_out(const struct log_buffer *b)
{
    bool is_asked = atomic_exchange(&must_reopen, false);
    bool is_due = open_again_at != 0 && clock_monotonic_ms() >= open_again_at;
    if (file_name != NULL && (is_asked || is_due))
        open_file(is_asked);
    str text = str_of(b->bytes, b->n);
    if (log_fd < 0) {
        lose(text, EBADF);
        return;
    }
    if (is_torn && write(log_fd, "\n", 1) == 1)
        is_torn = false;
    if (!write_all(text) || lost_since == 0)
        return;
    log_info("the access log is written again", "lost=%llu", (unsigned long long)lost_since);
    lost_since = 0;
}

// Under the lock, as take_spare.
static void put_spare(struct log_buffer *b)
{
    if (spare_count == SPARES_MAX) {
        free(b);
        return;
    }
    b->next = spares;
    spares = b;
    ++spare_count;
}

static struct log_buffer *take_spare(void)
{
    struct log_buffer *b = spares;
    if (b != NULL) {
        spares = b->next;
        --spare_count;
    }
    return b;
}

static void *writer_main(void *arg)
{
    pthread_setname_np(pthread_self(), "access-log");
    pthread_mutex_lock(&lock);
    for (;;) {
        while (queue_first == NULL && !is_ending)
            pthread_cond_wait(&has_work, &lock);
        struct log_buffer *b = queue_first;
        if (b == NULL)
            break;
        if ((queue_first = b->next) == NULL)
            queue_last = &queue_first;
        --queue_count;
        pthread_mutex_unlock(&lock);
        write_out(b);
        pthread_mutex_lock(&lock);
        put_spare(b);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

void access_log_open(const char *where)
{
    if (strcmp(where, "off") == 0)
        return;
    if (strcmp(where, "-") == 0) {
        log_fd = STDOUT_FILENO;
    } else {
        file_name = str_dup(str_from(where));
        open_file(true);
    }
    is_off = false;
    if (pthread_create(&writer, NULL, writer_main, NULL) != 0)
        abort();
}

void access_log_reopen(void)
{
    atomic_store(&must_reopen, true);
}

static void hand_over(struct loop_log *l)
{
    struct log_buffer *b = l->filling;
    if (b == NULL || b->n == 0)
        return;
    l->filling = NULL;
    b->next = NULL;
    pthread_mutex_lock(&lock);
    bool is_full = queue_count >= QUEUE_MAX;
    if (!is_full) {
        *queue_last = b;
        queue_last = &b->next;
        ++queue_count;
        pthread_cond_signal(&has_work);
    }
    pthread_mutex_unlock(&lock);
    if (is_full) {
        atomic_fetch_add_explicit(&l->dropped, count_lines(str_of(b->bytes, b->n)),
                                  memory_order_relaxed);
        free(b);
    }
}

static void on_flush(struct loop_timer *t)
{
    struct loop_log *l = (struct loop_log *)((char *)t - offsetof(struct loop_log, timer));
    hand_over(l);
    loop_timer_start(t, FLUSH_MS);
}

void access_log_start(struct loop *loop)
{
    if (is_off)
        return;
    struct loop_log *l = &logs[loop_index(loop)];
    l->timer.run = on_flush;
    loop_timer_start(&l->timer, FLUSH_MS);
}

void access_log_stop(void)
{
    if (is_off)
        return;
    for (unsigned i = 0; i != loop_count(); ++i)
        hand_over(&logs[i]);
    pthread_mutex_lock(&lock);
    is_ending = true;
    pthread_cond_signal(&has_work);
    pthread_mutex_unlock(&lock);
    pthread_join(writer, NULL);
}

struct http_counters http_counters(void)
{
    struct http_counters sum = {.log_lines_dropped =
                                    atomic_load_explicit(&lost, memory_order_relaxed)};
    for (unsigned i = 0; i != loop_count(); ++i) {
        for (size_t k = 0; k != 6; ++k)
            sum.requests[k] += atomic_load_explicit(&logs[i].requests[k], memory_order_relaxed);
        sum.body_bytes += atomic_load_explicit(&logs[i].body_bytes, memory_order_relaxed);
        sum.log_lines_dropped += atomic_load_explicit(&logs[i].dropped, memory_order_relaxed);
    }
    return sum;
}

static struct log_buffer *new_buffer(void)
{
    pthread_mutex_lock(&lock);
    struct log_buffer *b = take_spare();
    pthread_mutex_unlock(&lock);
    if (b == NULL && (b = malloc(sizeof *b)) == NULL)
        abort();
    b->n = 0;
    return b;
}

// --- one line ---

static char *put(char *to, str s)
{
    memcpy(to, s.p, s.n);
    return to + s.n;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static uint64_t has_zero(uint64_t v) // a top bit where a byte is 0, and perhaps above one
{
    return (v - UINT64_C(0x0101010101010101)) & ~v & UINT64_C(0x8080808080808080);
}

// How many bytes at the front are plain; eight at a time, since paths are most of a line.
static size_t plain_front(const char *p, size_t n)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    size_t i = 0;
    for (uint64_t word; i + sizeof word <= n; i += sizeof word) {
        memcpy(&word, p + i, sizeof word);
        uint64_t odd = ((word - each * 0x20) & ~word) | word; // below a space, or above 0x7f
        odd = (odd & each * 0x80) | has_zero(word ^ each * '"') | has_zero(word ^ each * '\\') |
              has_zero(word ^ each * 0x7f);
        if (odd != 0)
            break;
    }
    while (i != n && is_plain((unsigned char)p[i]))
        ++i;
    return i;
}

// JSON string content, cut at `max` bytes of output; what is not printable ASCII is escaped, so
// that a terminal shows text and nothing else.
static char *put_escaped(char *to, str s, size_t max)
{
    static const char hex[] = "0123456789abcdef";
    size_t plain = plain_front(s.p, s.n < max ? s.n : max);
    if (plain != 0)
        memcpy(to, s.p, plain);
    const char *end = to + max;
    to += plain;
    for (s = str_skip(s, plain); s.n != 0 && to + 6 <= end; s = str_skip(s, 1)) {
        unsigned char c = (unsigned char)s.p[0];
        if (is_plain(c)) {
            *to++ = (char)c;
        } else if (c == '"' || c == '\\') {
            *to++ = '\\';
            *to++ = (char)c;
        } else {
            to = put(to, STR("\\u00"));
            *to++ = hex[c >> 4];
            *to++ = hex[c & 15];
        }
    }
    return to;
}

static char *put_number(char *to, uint64_t v)
{
    char digits[20];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    while (n != 0)
        *to++ = digits[--n];
    return to;
}

static void put_time(struct loop_log *l)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME_COARSE, &ts); // right within a tick, at a quarter of the cost
    int64_t now = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
    if (now / 1000 != l->time_at / 1000)
        clock_rfc3339(now, l->time);
    int ms = (int)(now % 1000);
    l->time[20] = (char)('0' + ms / 100);
    l->time[21] = (char)('0' + ms / 10 % 10);
    l->time[22] = (char)('0' + ms % 10);
    l->time_at = now;
}

static const char *const site_names[] = {
    [SITE_UNKNOWN] = "unknown",   [SITE_CONSOLE] = "console", [SITE_APPS] = "apps",
    [SITE_INSTANCE] = "instance", [SITE_PREVIEW] = "preview", [SITE_FILES] = "files",
    [SITE_ADMIN] = "admin",
};

static char *write_line(char *to, struct loop_log *l, const struct http_request *own, int status,
                        uint64_t bytes)
{
    const struct request *r = &own->super;
    uint64_t us = clock_monotonic_us() - own->began_us;
    put_time(l);
    to = put(put(to, STR("{\"time\":\"")), str_of(l->time, CLOCK_RFC3339_ROOM - 1));
    to = put(put(to, STR("\",\"requestId\":\"")), str_of(r->id, sizeof r->id - 1));
    to = put(put(to, STR("\",\"peer\":\"")), str_from(r->peer));
    to = put(put(to, STR("\",\"site\":\"")), str_from(site_names[r->site]));
    to = put_escaped(put(to, STR("\",\"host\":\"")), r->host, 300);
    to = put_escaped(put(to, STR("\",\"method\":\"")), r->method_name, 40);
    to = put_escaped(put(to, STR("\",\"path\":\"")), r->path, 1200);
    to = put(put(to, STR("\",\"route\":\"")), str_from(r->route));
    to = put_number(put(to, STR("\",\"status\":")), (uint64_t)status);
    to = put_number(put(to, STR(",\"bytes\":")), bytes);
    to = put_number(put(to, STR(",\"ms\":")), us / 1000);
    *to++ = '.';
    *to++ = (char)('0' + us % 1000 / 100);
    *to++ = (char)('0' + us % 100 / 10);
    *to++ = (char)('0' + us % 10);
    to = put(put(to, STR(",\"encoding\":\"")), str_from(r->encoding));
    to = put(put(to, STR("\",\"cache\":\"")), str_from(r->cache));
    to = put(put(to, STR("\",\"http\":\"")), r->version >= 0x200   ? STR("2")
                                             : r->version == 0x101 ? STR("1.1")
                                                                   : STR("1.0"));
    return put(to, r->is_tls ? STR("\",\"tls\":true}\n") : STR("\",\"tls\":false}\n"));
}

// A counter of one thread's own: a plain add, which readers see whole.
static void add_to(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

void access_log_answer(struct loop *loop, const struct http_request *own, int status,
                       uint64_t bytes)
{
    struct loop_log *l = &logs[loop_index(loop)];
    add_to(&l->requests[status >= 100 && status < 600 ? status / 100 : 0], 1);
    add_to(&l->body_bytes, bytes);
    if (is_off || own == NULL)
        return;
    if (l->filling != NULL && l->filling->n > BUFFER_SIZE - LINE_MAX_BYTES)
        hand_over(l);
    if (l->filling == NULL) {
        l->filling = new_buffer();
    }
    char *start = l->filling->bytes + l->filling->n;
    l->filling->n += (size_t)(write_line(start, l, own, status, bytes) - start);
}

void access_log_request(const struct http_request *own)
{
    const h2o_req_t *req = h2o_of(&own->super);
    access_log_answer(own->super.loop, own, own->super._started ? req->res.status : 0,
                      req->bytes_sent);
}
