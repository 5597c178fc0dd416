// What the settings' .c files share: the table, and values on their way from text into the struct.
#ifndef STOA_SETTINGS_INTERNAL_H
#define STOA_SETTINGS_INTERNAL_H
#include "edge/settings.h"

enum setting_type {
    SETTING_TEXT,
    SETTING_LIST,     // text; in the file also a YAML list, joined by commas
    SETTING_COUNT,    // digits
    SETTING_SIZE,     // 65536, 64KiB, 256MiB, 1GiB
    SETTING_TIME,     // 500ms, 30s, 2m, 1h
    SETTING_ACCEPTED, // the word "accepted": for what is off for a reason
    SETTING_CHOICE,   // one of the words in `choices`
};

struct setting {
    const char *name;
    enum setting_type type;
    size_t at;            // offset of its member in struct settings
    const char *standard; // the default, as a person would write it
    uint64_t min, max;    // of numbers
    const char *choices;  // "a|b"
    unsigned flags;
    const char *doc; // one line
};
enum setting_flag {
    RELOADABLE = 1, // SIGHUP
    HAS_FLAG = 2,   // --name-of-it, beside --set name=value
    IS_SECRET = 4,
};

extern const struct setting settings_table[];
extern const size_t settings_count;
enum { SETTINGS_MAX = 128 };

// Its index, or SIZE_MAX.
size_t setting_find(str name);
static inline char **setting_text(const struct settings *s, const struct setting *t)
{
    return (char **)((char *)s + t->at);
}
static inline uint64_t *setting_number(const struct settings *s, const struct setting *t)
{
    return (uint64_t *)((char *)s + t->at);
}
static inline bool *setting_bool(const struct settings *s, const struct setting *t)
{
    return (bool *)((char *)s + t->at);
}
static inline bool setting_is_text(const struct setting *t)
{
    return t->type == SETTING_TEXT || t->type == SETTING_LIST || t->type == SETTING_CHOICE;
}
// Reads `text` into the member. False with a sentence in `why` when it does not fit.
bool setting_parse(const struct setting *t, str text, struct settings *s, char *why, size_t room);
bool setting_is_equal(const struct setting *t, const struct settings *a, const struct settings *b);

// A load on its way: where each value came from, so that a problem can name the place.
struct settings_load {
    struct settings *s;
    struct problems *problems;
    struct {
        char section[96]; // "stoa.yaml", "STOA_DATA", "--data"; "" = the default
        unsigned line;
    } places[SETTINGS_MAX];
};
// A problem with the value of the setting `name`, at the place it came from.
void settings_complain(struct settings_load *l, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// A variable of the environment as it was at the first load, or NULL.
const char *settings_variable(const char *name);

// What the values mean, one by one and together; reads the certificates.
void settings_check(struct settings_load *l);
void settings_check_tls(struct settings_load *l);
void settings_check_master_key(struct settings_load *l);
void settings_check_origins(struct settings_load *l);
#endif
