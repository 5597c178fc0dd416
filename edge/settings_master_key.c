// The master key, when the operator keeps it himself: by the environment, or in a file that only the
// supervisor needs to be able to read.
#include "edge/settings_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "edge/base/seal.h"

enum { KEY_FILE_MAX = 64 << 10 };

static bool is_good(str text, char *why, size_t room)
{
    struct seal_key keys[SEAL_KEYS_MAX];
    size_t count;
    bool is_fine = seal_keys_parse(text, keys, &count, why, room);
    explicit_bzero(keys, sizeof keys);
    return is_fine;
}

// Where it came from stands in the problem by itself when it is a file.
static void take(struct settings_load *l, const char *section, const char *text)
{
    char why[160];
    if (is_good(str_from(text), why, sizeof why)) {
        free(l->s->master_key);
        l->s->master_key = str_dup(str_from(text));
    } else if (section != NULL) {
        problems_add(l->problems, 0, 0, section, "%s `openssl rand -hex 32` makes a key.", why);
    } else {
        settings_complain(l, "master_key_file", "%s: %s `openssl rand -hex 32` makes a key.",
                          l->s->master_key_file, why);
    }
}

static void check_file(struct settings_load *l)
{
    const char *file = l->s->master_key_file;
    struct stat st;
    AUTOFREE char *text = calloc(1, KEY_FILE_MAX + 1);
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 || text == NULL ? -1 : read(fd, text, KEY_FILE_MAX);
    int error = errno;
    bool is_open = fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 07) != 0;
    if (fd >= 0)
        close(fd);
    if (n < 0)
        settings_complain(l, "master_key_file", "%s: %s.", file, strerror(error));
    else if (is_open)
        settings_complain(l, "master_key_file", "Everybody may read %s: chmod o= %s", file, file);
    else
        take(l, NULL, text);
    if (text != NULL)
        explicit_bzero(text, KEY_FILE_MAX);
}

void settings_check_master_key(struct settings_load *l)
{
    const char *variable = settings_variable("STOA_MASTER_KEY");
    bool has_file = l->s->master_key_file[0] != '\0';
    if (variable != NULL && has_file)
        settings_complain(l, "master_key_file", "STOA_MASTER_KEY is set too; give the key once.");
    else if (variable != NULL)
        take(l, "STOA_MASTER_KEY", variable);
    else if (has_file)
        check_file(l);
}
