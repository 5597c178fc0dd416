// Large bodies in files: pages that the kernel may write out, instead of memory that doubles.
//
// A libh2o buffer is a struct with its bytes behind it, and whoever holds one looks at its members
// only. So a buffer can stand at the front of a file's mapping, and all of libh2o goes on as before,
// but for the two functions that make room in a buffer and that free it: those are hooked here and
// know a buffer of ours by its descriptor. (The library has such buffers too, and they are switched
// off: it makes them of any buffer, doubles them, and tells a full disk as a lost connection.)
//
// The file is unlinked at birth and has its blocks before its pages are touched, so a full disk is
// an answer and never a SIGBUS. Room grows with what has come, by doubling, and no further than the
// length that was announced: an announcement alone occupies nothing.
//
// A mapping is counted, since a body may outlive its request (guard_keep_body). From then on what
// has come into it is never moved or written again: the next request's bytes go behind, or into
// another buffer.
//
// A page's first touch costs more than filling it (measured: 15 ms for 10 MiB, of which 2 ms are the
// bytes), so a few files that are done with are kept for the next bodies, for a second or two.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "edge/base/clock.h"
#include "edge/base/log.h"
#include "edge/guard/internal.h"

enum {
    FILES_SHARE = 4, // of the descriptors a process may have: one of this many
    LOG_AGAIN_MS = 10000,
    SPARES_MAX = 64,
    SPARE_BYTES_MAX = 128 * 1024 * 1024,
    SPARE_MS = 1500,
};

struct guard_file {
    _Atomic unsigned refs;      // libh2o's buffer, and each body that is kept
    size_t room;                // of file and mapping, whole pages
    size_t most;                // bytes the buffer will ever hold, as far as is known
    uint64_t done_at;           // of a spare
    struct share_holder sender; // whose share the room counts against; not of a spare
    h2o_buffer_t buffer;        // what libh2o sees
};

#define FILE_PREFIX "body-"

static __thread const struct guard_refusal *last_refusal;

static struct guard_file *file_of(h2o_buffer_t *b)
{
    return H2O_STRUCT_FROM_MEMBER(struct guard_file, buffer, b);
}

bool guard_is_file(const h2o_buffer_t *b)
{
    return b->bytes != NULL && b->_fd != -1;
}

// ---- spares

static pthread_mutex_t spares_lock = PTHREAD_MUTEX_INITIALIZER; // guards these three
static struct guard_file *spares[SPARES_MAX];
static size_t spare_count, spare_bytes;

static void file_destroy(struct guard_file *f)
{
    int fd = f->buffer._fd;
    munmap(f, f->room);
    close(fd);
    atomic_fetch_sub_explicit(&guard_totals.files, 1, memory_order_relaxed);
}

static struct guard_file *spare_remove(size_t at)
{
    struct guard_file *f = spares[at];
    spares[at] = spares[--spare_count];
    spare_bytes -= f->room;
    return f;
}

static bool spare_put(struct guard_file *f)
{
    f->done_at = clock_monotonic_ms();
    pthread_mutex_lock(&spares_lock);
    bool fits = spare_count != SPARES_MAX && f->room <= SPARE_BYTES_MAX - spare_bytes;
    if (fits) {
        spares[spare_count++] = f;
        spare_bytes += f->room;
    }
    pthread_mutex_unlock(&spares_lock);
    return fits;
}

// The smallest with room for all, else the largest that will do for now.
static struct guard_file *spare_take(size_t needed, size_t wanted)
{
    size_t best = SPARES_MAX;
    pthread_mutex_lock(&spares_lock);
    for (size_t i = 0; i != spare_count; ++i) {
        size_t room = spares[i]->room, so_far = best != SPARES_MAX ? spares[best]->room : 0;
        bool is_better = so_far >= wanted ? room >= wanted && room < so_far : room > so_far;
        if (room >= needed && is_better)
            best = i;
    }
    struct guard_file *f = best != SPARES_MAX ? spare_remove(best) : NULL;
    pthread_mutex_unlock(&spares_lock);
    return f;
}

void guard_drop_spares(uint64_t done_before)
{
    struct guard_file *old[SPARES_MAX];
    size_t count = 0;
    pthread_mutex_lock(&spares_lock);
    for (size_t i = spare_count; i-- != 0;)
        if (spares[i]->done_at < done_before)
            old[count++] = spare_remove(i);
    pthread_mutex_unlock(&spares_lock);
    while (count != 0)
        file_destroy(old[--count]);
}

void guard_age_spares(uint64_t now)
{
    if (now > SPARE_MS)
        guard_drop_spares(now - SPARE_MS);
}

// ---- what may be taken

static size_t page_size(void)
{
    static size_t size;
    if (size == 0)
        size = (size_t)getpagesize();
    return size;
}

static size_t room_for(size_t bytes)
{
    size_t n = offsetof(struct guard_file, buffer._buf) + bytes + page_size() - 1;
    return n - n % page_size();
}

static uint64_t most_files(void)
{
    struct rlimit files = {.rlim_cur = 1024};
    getrlimit(RLIMIT_NOFILE, &files);
    return files.rlim_cur / FILES_SHARE;
}

// No more than the disk can spare: others, the state's database among them, write there too.
static bool disk_has(size_t bytes)
{
    struct statvfs fs;
    return statvfs(guard_policy.body_directory, &fs) != 0 ||
           (uint64_t)fs.f_bavail * fs.f_frsize >= bytes + guard_policy.body_disk_spare;
}

// The spares go first.
static bool has_disk(size_t bytes)
{
    if (disk_has(bytes))
        return true;
    guard_drop_spares(UINT64_MAX);
    return disk_has(bytes);
}

const struct guard_refusal *guard_judge_file(size_t bytes)
{
    uint64_t total = atomic_load_explicit(&guard_totals.stored, memory_order_relaxed);
    if (total + bytes > guard_policy.body_disk_total)
        return &guard_busy;
    return has_disk(bytes) ? NULL : &guard_disk_full;
}

static struct shares on_disk = SHARES_INITIALIZER;

static void give_back(const struct share_holder *sender, size_t from, size_t to)
{
    shares_set(&on_disk, sender, from, to);
    atomic_fetch_sub_explicit(&guard_totals.stored, from - to, memory_order_relaxed);
}

static const struct guard_refusal *claim(const struct share_holder *sender, size_t from, size_t to)
{
    enum share_answer answer =
        shares_change(&on_disk, sender, from, to, guard_policy.body_disk_total,
                      guard_policy.body_memory_per_connection);
    if (answer == SHARE_FITS)
        atomic_fetch_add_explicit(&guard_totals.stored, to - from, memory_order_relaxed);
    return guard_refusal_of(answer);
}

// ---- making

// What a process left that ended between making a file and taking its name away.
void guard_empty_directory(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    if (dir == NULL)
        return; // the first large body will say why
    while ((entry = readdir(dir)) != NULL)
        if (str_starts(str_from(entry->d_name), STR(FILE_PREFIX)))
            unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
}

static const struct guard_refusal *failed(const char *what, int error)
{
    static _Atomic uint64_t quiet_until;
    uint64_t now = clock_monotonic_ms(), until = quiet_until;
    if (now >= until && atomic_compare_exchange_strong(&quiet_until, &until, now + LOG_AGAIN_MS))
        log_warn("large request bodies are refused", "failed=%s reason=%s", what,
                 LOG_STR(str_from(strerror(error))));
    bool is_full = error == ENOSPC || error == EDQUOT || error == EFBIG;
    return is_full ? &guard_disk_full : &guard_busy;
}

static int allocate(int fd, size_t from, size_t to)
{
    int error;
    do
        error = posix_fallocate(fd, (off_t)from, (off_t)(to - from));
    while (error == EINTR);
    return error;
}

// A file that has no name any more, and all its blocks.
static const struct guard_refusal *file_open(size_t room, int *ret_fd)
{
    struct buf name;
    buf_init(&name, 64 * 1024);
    buf_addf(&name, "%s/" FILE_PREFIX "XXXXXX", guard_policy.body_directory);
    AUTOFREE char *path = buf_take(&name);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd == -1)
        return failed("open", errno);
    int error = unlink(path) == 0 ? allocate(fd, 0, room) : errno;
    if (error == 0) {
        *ret_fd = fd;
        return NULL;
    }
    close(fd);
    return failed("allocate", error);
}

static const struct guard_refusal *file_map(size_t room, struct guard_file **ret)
{
    int fd = -1; // for gcc, which cannot see that failed() never gives NULL
    const struct guard_refusal *why = file_open(room, &fd);
    if (why != NULL)
        return why;
    void *map = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        why = failed("mmap", errno);
        close(fd);
        return why;
    }
    *ret = map;
    (*ret)->buffer._fd = fd;
    return NULL;
}

static void file_set_room(struct guard_file *f, size_t room)
{
    f->room = room;
    f->buffer.capacity = room - offsetof(struct guard_file, buffer._buf);
}

static const struct guard_refusal *file_make(const struct share_holder *sender, size_t room,
                                             struct guard_file **ret)
{
    if (atomic_load_explicit(&guard_totals.files, memory_order_relaxed) >= most_files())
        return &guard_busy;
    if (!has_disk(room))
        return &guard_disk_full;
    const struct guard_refusal *why = claim(sender, 0, room);
    if (why != NULL)
        return why;
    why = file_map(room, ret);
    if (why != NULL) {
        give_back(sender, room, 0);
        return why;
    }
    guard_count(&guard_totals.files);
    file_set_room(*ret, room);
    return NULL;
}

// Bytes of an earlier body may lie in its room, never within what it says it holds.
static const struct guard_refusal *file_create(const struct share_holder *sender, size_t bytes,
                                               size_t most, struct guard_file **ret)
{
    size_t room = room_for(bytes);
    struct guard_file *f = spare_take(room, most != SIZE_MAX ? room_for(most) : room);
    if (f != NULL && claim(sender, 0, f->room) != NULL) {
        file_destroy(f);
        f = NULL;
    }
    const struct guard_refusal *why = f != NULL ? NULL : file_make(sender, room, &f);
    if (why != NULL)
        return why;
    f->refs = 1;
    f->most = most;
    f->sender = *sender;
    f->buffer.size = 0;
    f->buffer.bytes = f->buffer._buf;
    *ret = f;
    return NULL;
}

static void file_unref(struct guard_file *f)
{
    if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
        return;
    give_back(&f->sender, f->room, 0);
    if (!spare_put(f))
        file_destroy(f);
}

// ---- room

static size_t spare(const h2o_buffer_t *b)
{
    return b->capacity - b->size - (size_t)(b->bytes - b->_buf);
}

// Twice what there is, no more than will be needed, and no less than is.
static size_t next_size(size_t held, size_t more, size_t most)
{
    size_t wanted = 2 * (held + more);
    if (wanted > most)
        wanted = most;
    return wanted > held + more ? wanted : held + more;
}

static void replace(h2o_buffer_t **buf, h2o_buffer_t *by)
{
    h2o_buffer_t *old = *buf;
    if (old->size != 0)
        memcpy(by->_buf, old->bytes, old->size);
    by->size = old->size;
    *buf = by;
    if (old->bytes != NULL)
        h2o_buffer__do_free(old);
}

static const struct guard_refusal *move_to_file(const struct share_holder *sender,
                                                h2o_buffer_t **buf, size_t more, size_t most)
{
    h2o_buffer_t *old = *buf;
    struct guard_file *f;
    const struct guard_refusal *why =
        file_create(sender, next_size(old->size, more, most), most, &f);
    if (why != NULL)
        return why;
    f->buffer._prototype = old->bytes != NULL
                               ? old->_prototype
                               : H2O_STRUCT_FROM_MEMBER(h2o_buffer_prototype_t, _initial_buf, old);
    replace(buf, &f->buffer);
    return NULL;
}

static void move_to_memory(h2o_buffer_t **buf, size_t more)
{
    h2o_buffer_t *fresh = &(*buf)->_prototype->_initial_buf;
    guard_real.h2o_buffer_reserve(&fresh, (*buf)->size + more);
    replace(buf, fresh);
}

static const struct guard_refusal *grow(h2o_buffer_t **buf, size_t more)
{
    struct guard_file *f = file_of(*buf);
    size_t before = f->room, room = room_for(next_size((*buf)->size, more, f->most));
    if (room <= before)
        return NULL;
    if (!has_disk(room - before))
        return &guard_disk_full;
    const struct guard_refusal *why = claim(&f->sender, before, room);
    if (why != NULL)
        return why;
    int error = allocate((*buf)->_fd, before, room);
    void *moved = error == 0 ? mremap(f, before, room, MREMAP_MAYMOVE) : MAP_FAILED;
    if (moved == MAP_FAILED) {
        give_back(&f->sender, room, before);
        return failed("grow", error != 0 ? error : errno);
    }
    f = moved;
    f->buffer.bytes = f->buffer._buf;
    file_set_room(f, room);
    *buf = &f->buffer;
    return NULL;
}

static bool is_kept(h2o_buffer_t *b)
{
    return atomic_load_explicit(&file_of(b)->refs, memory_order_acquire) != 1;
}

static const struct guard_refusal *file_reserve(h2o_buffer_t **buf, size_t more)
{
    h2o_buffer_t *b = *buf;
    if (spare(b) >= more)
        return NULL;
    if (is_kept(b)) {
        if (b->size + more >= guard_policy.body_file_from)
            return move_to_file(&file_of(b)->sender, buf, more, SIZE_MAX);
        move_to_memory(buf, more);
        return NULL;
    }
    memmove(b->_buf, b->bytes, b->size);
    b->bytes = b->_buf;
    return spare(b) >= more ? NULL : grow(buf, more);
}

bool guard_wants_file(size_t bytes)
{
    return guard_policy.body_directory != NULL && bytes >= guard_policy.body_file_from;
}

const struct guard_refusal *guard_reserve(h2o_req_t *req, h2o_buffer_t **buf, size_t more,
                                          size_t most)
{
    if (guard_is_file(*buf))
        return file_reserve(buf, more);
    if (!guard_wants_file((*buf)->size + more))
        return NULL;
    const struct share_holder sender = guard_sender_of(req);
    return move_to_file(&sender, buf, more, most);
}

// ---- what libh2o calls

h2o_iovec_t h2o_buffer_reserve(h2o_buffer_t **buf, size_t more)
{
    GUARD_SEES(h2o_buffer_reserve);
    if (!guard_is_file(*buf))
        return guard_real.h2o_buffer_reserve(buf, more);
    last_refusal = file_reserve(buf, more);
    if (last_refusal != NULL)
        return h2o_iovec_init(NULL, 0);
    return h2o_iovec_init((*buf)->bytes + (*buf)->size, spare(*buf));
}

const struct guard_refusal *guard_last_refusal(void)
{
    return last_refusal != NULL ? last_refusal : &guard_busy;
}

void h2o_buffer__do_free(h2o_buffer_t *b)
{
    GUARD_SEES(h2o_buffer__do_free);
    if (b->_fd == -1) {
        guard_real.h2o_buffer__do_free(b);
        return;
    }
    file_unref(file_of(b));
}

// ---- bodies that outlive their request

static h2o_buffer_t *buffer_of(h2o_req_t *req)
{
    const struct guard_conn *c = guard_conn_of_request(req);
    if (c == NULL)
        return NULL;
    if (c->kind == GUARD_H1)
        return c->sock->input;
    return H2O_STRUCT_FROM_MEMBER(h2o_http2_stream_t, req, req)->_req_body;
}

static bool holds(const h2o_buffer_t *b, h2o_iovec_t bytes)
{
    return b != NULL && guard_is_file(b) && bytes.base >= b->bytes &&
           bytes.base + bytes.len <= b->bytes + b->size;
}

void *guard_keep_body(h2o_req_t *req, const char **ret_bytes)
{
    h2o_buffer_t *b = buffer_of(req);
    struct guard_file *f;
    if (holds(b, req->entity)) {
        f = file_of(b);
        atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
        *ret_bytes = req->entity.base;
        return f;
    }
    // it came within one turn of the loop
    if (!guard_wants_file(req->entity.len))
        return NULL;
    const struct share_holder sender = guard_sender_of(req);
    if (file_create(&sender, req->entity.len, req->entity.len, &f) != NULL)
        return NULL;
    memcpy(f->buffer._buf, req->entity.base, req->entity.len);
    *ret_bytes = f->buffer._buf;
    return f;
}

void guard_release_body(void *kept)
{
    file_unref(kept);
}
