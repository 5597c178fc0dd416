// In one transaction under the table's lock, so that two nodes that start at once agree: look for the
// check value, judge our keys by it, or make what is missing. The file is written before the commit:
// a crash in between leaves a key without secrets, never secrets without a key.
#include "edge/master_key.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "edge/base/log.h"
#include "edge/base/seal.h"
#include "edge/base/token.h"
#include "edge/catalog/catalog.h"

enum { FILE_MAX = 64 << 10, PATH_ROOM = 4096 };
#define CHECK_TEXT STR("stoa")
static const struct seal_context check_place = {"master_key_checks", "", "sealed", ""};

static char *given_text, *key_file; // the first is wiped once it is in use
static bool is_given;

void master_key_init(const char *given, const char *file)
{
    free(given_text);
    free(key_file);
    given_text = str_dup(str_from(given));
    key_file = str_dup(str_from(file));
    is_given = given[0] != '\0';
}

struct keys {
    struct seal_key list[SEAL_KEYS_MAX];
    size_t count; // 0: none
};

// --- the file ---

static enum fail unreadable(struct fault *fault, const char *why)
{
    return fault_set(fault, FAIL_REFUSED, "master_key_unreadable",
                     "The master key's file %.200s cannot be used: %s", key_file, why);
}

static enum fail parse(str text, struct keys *ret, struct fault *fault)
{
    char why[160];
    return seal_keys_parse(text, ret->list, &ret->count, why, sizeof why) ? FAIL_NONE
                                                                          : unreadable(fault, why);
}

static enum fail read_fd(int fd, struct keys *ret, struct fault *fault)
{
    struct stat st;
    AUTOFREE char *text = malloc(FILE_MAX + 1);
    if (text == NULL)
        abort();
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (st.st_mode & 077) != 0)
        return unreadable(fault, "it must be a file that only its owner may read (chmod 600).");
    ssize_t n = read(fd, text, FILE_MAX + 1);
    if (n < 0)
        return unreadable(fault, strerrordesc_np(errno));
    if (n > FILE_MAX)
        return unreadable(fault, "it is too long.");
    enum fail fail = parse(str_of(text, (size_t)n), ret, fault);
    explicit_bzero(text, FILE_MAX + 1);
    return fail;
}

// None when there is no such file.
static enum fail read_file(struct keys *ret, struct fault *fault)
{
    int fd = open(key_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? FAIL_NONE : unreadable(fault, strerrordesc_np(errno));
    enum fail fail = read_fd(fd, ret, fault);
    close(fd);
    return fail;
}

static enum fail cannot_write(struct fault *fault, const char *what)
{
    return fault_set(fault, FAIL_INTERNAL, "master_key_file",
                     "The master key's file %.200s cannot be written (%s): %s.", key_file, what,
                     strerrordesc_np(errno));
}

static bool fill(int fd, const struct seal_key *key)
{
    char hex[65], text[400];
    seal_key_print(key, hex);
    int n = snprintf(text, sizeof text,
                     "# Stoa's master key: what is secret in the database can be read with it "
                     "only.\n# Keep a copy of this file apart from the database's backups.\n%s\n",
                     hex);
    bool is_done = fchmod(fd, 0600) == 0 && write(fd, text, (size_t)n) == n && fsync(fd) == 0;
    explicit_bzero(hex, sizeof hex);
    explicit_bzero(text, sizeof text);
    return is_done;
}

static bool sync_folder(void)
{
    const char *slash = strrchr(key_file, '/');
    AUTOFREE char *folder = str_dup(str_of(key_file, (size_t)(slash - key_file)));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_done = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return is_done;
}

// Whole or not at all: written beside, then renamed.
static enum fail write_file(const struct seal_key *key, struct fault *fault)
{
    char beside[PATH_ROOM], tail[9];
    token_hex(tail, 8);
    snprintf(beside, sizeof beside, "%s.%s", key_file, tail);
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return cannot_write(fault, "open");
    bool is_done = fill(fd, key);
    close(fd);
    if (is_done && rename(beside, key_file) == 0 && sync_folder())
        return FAIL_NONE;
    enum fail fail = cannot_write(fault, is_done ? "rename" : "write");
    unlink(beside);
    return fail;
}

// --- against the database ---

static const char *where_from(void)
{
    return is_given ? "STOA_MASTER_KEY or master_key_file" : key_file;
}

static enum fail missing(struct fault *fault)
{
    return fault_set(fault, FAIL_REFUSED, "master_key_missing",
                     "This database's secrets are sealed under a master key, and there is none at "
                     "%.150s. Put the file back, or give the key by STOA_MASTER_KEY or "
                     "master_key_file.",
                     key_file);
}

static enum fail wrong(struct fault *fault)
{
    return fault_set(fault, FAIL_REFUSED, "master_key_wrong",
                     "The master key given (%.150s) is not the one that this database's secrets "
                     "are sealed under. Give that one.",
                     where_from());
}

static enum fail make_key(struct keys *ret, struct fault *fault)
{
    seal_key_make(&ret->list[0]);
    ret->count = 1;
    enum fail fail = write_file(&ret->list[0], fault);
    if (fail == FAIL_NONE)
        log_info("a master key was made; keep a copy of it", "file=%s",
                 LOG_STR(str_from(key_file)));
    return fail;
}

// Our keys into use, when they are the ones that `check` (n == 0: none yet) wants.
static enum fail take_keys(str check, struct fault *fault)
{
    struct keys keys = {.count = 0};
    enum fail fail = is_given ? parse(str_from(given_text), &keys, fault) : read_file(&keys, fault);
    if (fail == FAIL_NONE && keys.count == 0)
        fail = check.n != 0 ? missing(fault) : make_key(&keys, fault);
    if (fail == FAIL_NONE && check.n != 0 &&
        !seal_opens(keys.list, keys.count, check, &check_place))
        fail = wrong(fault);
    if (fail == FAIL_NONE) {
        seal_init(keys.list, keys.count);
        explicit_bzero(given_text, strlen(given_text));
    }
    explicit_bzero(&keys, sizeof keys);
    return fail;
}

static enum fail check_again(str check, struct fault *fault)
{
    struct buf plain;
    buf_init(&plain, 64);
    enum fail fail = check.n == 0 ? FAIL_NONE : unseal(check, &check_place, &plain, NULL);
    seal_forget(&plain);
    return fail == FAIL_NONE ? FAIL_NONE : wrong(fault);
}

// The first time, and after another key was put in front of the one it was sealed under.
static enum fail leave_check(struct db *db, struct fault *fault)
{
    struct buf sealed;
    buf_init(&sealed, 256);
    enum fail fail = seal(CHECK_TEXT, &check_place, &sealed, fault);
    if (fail == FAIL_NONE)
        fail = catalog_key_check_put(db, buf_str(&sealed), fault);
    buf_fini(&sealed);
    return fail;
}

static enum fail prepare(struct db *db, struct fault *fault)
{
    uint8_t *bytes AUTOFREE = NULL;
    size_t n = 0;
    enum fail fail = catalog_key_check_lock(db, &bytes, &n, fault);
    if (fail != FAIL_NONE)
        return fail;
    str check = str_of(bytes, n);
    fail = seal_is_ready() ? check_again(check, fault) : take_keys(check, fault);
    if (fail == FAIL_NONE && !seal_is_current(check))
        fail = leave_check(db, fault);
    return fail;
}

enum fail master_key_prepare(struct db *db, struct fault *fault)
{
    enum fail fail = db_begin(db, fault);
    if (fail == FAIL_NONE)
        fail = prepare(db, fault);
    if (fail == FAIL_NONE)
        return db_commit(db, fault);
    db_rollback(db);
    return fail;
}
