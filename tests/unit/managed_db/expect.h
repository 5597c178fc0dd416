// What tests say about answers. Behind cmocka.h.
#ifndef STOA_TESTS_MANAGED_DB_EXPECT_H
#define STOA_TESTS_MANAGED_DB_EXPECT_H

// The answer up to its rowCount.
static inline const char *rows_of(const char *json)
{
    static char copy[8192];
    snprintf(copy, sizeof copy, "%s", json);
    char *end = strstr(copy, ",\"rowCount\"");
    if (end != NULL)
        *end = '\0';
    return copy;
}

#define assert_rows(json, expected) assert_string_equal(rows_of(json), expected)
#define assert_has(json, part)                                                                     \
    do {                                                                                           \
        const char *_json = (json);                                                                \
        if (strstr(_json, part) == NULL)                                                           \
            fail_msg("%.500s has no %s", _json, part);                                             \
    } while (0)
// 30 s for a condition.
#define WAIT_UNTIL(condition)                                                                      \
    do {                                                                                           \
        for (unsigned _i = 0; _i != 3000 && !(condition); ++_i)                                    \
            usleep(10000);                                                                         \
        assert_true(condition);                                                                    \
    } while (0)
#endif
