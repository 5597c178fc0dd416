// Checks a value read from YAML against tables of rules: one row a key, one walker for all of them,
// and a small function where keys of one object depend on each other. A null counts as absent,
// since that is what an empty YAML value is. Pure; any thread.
#ifndef STOA_BUNDLES_RULES_H
#define STOA_BUNDLES_RULES_H
#include "edge/base/yaml.h"

enum rule_kind {
    RULE_TEXT,
    RULE_BOOLEAN,
    RULE_NUMBER,
    RULE_WHOLE,
    RULE_ANY,
    RULE_OBJECT,
    RULE_LIST,
    RULE_MAP
};

// Where the walker is.
struct rule_place {
    const struct yaml_marks *marks;
    const char *section;
    struct problems *problems, *warnings;
    const char *path; // "manifest.runtime", "" at the top
    unsigned line;    // of the key that led here
};

// Tables end with a row without a kind-bearing key (key == NULL).
struct rule {
    const char *key; // for an item of a list or map: any word
    enum rule_kind kind;
    bool required;
    double min,
        max; // TEXT: characters; NUMBER, WHOLE: the value; LIST, MAP: members; max 0 = no limit
    const char *const *words; // TEXT: one of these, NULL at the end
    bool (*is_valid)(str s);  // TEXT: the value; MAP: its keys
    const char *wanted;       // what is_valid wants: follows "must be"
    const struct rule *rules; // OBJECT: its members; LIST, MAP: one row, the item; NULL: anything
    void (*extra)(const struct rule_place *at,
                  const json_t *value); // OBJECT, and items of that kind
};

// Checks the members of `object`: wrong ones are problems, unknown ones warnings.
void rules_check(const struct rule_place *at, const struct rule *rules, const json_t *object);

// For `extra` functions: "<path>.<key> <words>" at the key's line; `key` NULL is the place itself.
void rule_problem(const struct rule_place *at, const json_t *object, const char *key,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));
void rule_warning(const struct rule_place *at, const json_t *object, const char *key,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));
// The member, or NULL when it is absent or null.
const json_t *rule_member(const json_t *object, const char *key);
#endif
