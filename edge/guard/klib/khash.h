// <h2o/http2_internal.h> includes a "khash.h" that no Debian package ships at that path. This is
// our own, for reading the library's tables only: the same struct layout (64-bit keys, open
// addressing, two flag bits a bucket: 2 = never used, 1 = deleted), and just the five operations
// that header and the guard use. The self-test sees that the layout is right.
#ifndef STOA_GUARD_KHASH_H
#define STOA_GUARD_KHASH_H
#include <stdint.h>

typedef uint32_t khint_t;
typedef khint_t khiter_t;

#define khash_t(name) kh_##name##_t
#define KHASH_MAP_INIT_INT64(name, value_type)                                                     \
    typedef struct kh_##name##_s {                                                                 \
        khint_t n_buckets, size, n_occupied, upper_bound;                                          \
        uint32_t *flags;                                                                           \
        uint64_t *keys;                                                                            \
        value_type *vals;                                                                          \
    } kh_##name##_t;                                                                               \
    static inline khint_t kh_get_##name(const kh_##name##_t *h, uint64_t key)                      \
    {                                                                                              \
        khint_t mask = h->n_buckets - 1, step = 0;                                                 \
        khint_t at = (khint_t)(key >> 33 ^ key ^ key << 11) & mask;                                \
        for (khint_t seen = 0; seen < h->n_buckets; ++seen) {                                      \
            if (khash_flags(h->flags, at) & 2)                                                     \
                break;                                                                             \
            if (khash_flags(h->flags, at) == 0 && h->keys[at] == key)                              \
                return at;                                                                         \
            at = (at + ++step) & mask;                                                             \
        }                                                                                          \
        return h->n_buckets;                                                                       \
    }

static inline unsigned khash_flags(const uint32_t *flags, khint_t bucket)
{
    return flags[bucket >> 4] >> ((bucket & 15) << 1) & 3;
}

#define kh_get(name, h, key) kh_get_##name(h, key)
#define kh_end(h) ((h)->n_buckets)
#define kh_size(h) ((h)->size)
#define kh_val(h, at) ((h)->vals[at])
#define kh_foreach_value(h, var, code)                                                             \
    for (khint_t kh_at_ = 0; kh_at_ != (h)->n_buckets; ++kh_at_) {                                 \
        if (khash_flags((h)->flags, kh_at_) != 0)                                                  \
            continue;                                                                              \
        (var) = (h)->vals[kh_at_];                                                                 \
        code;                                                                                      \
    }
#endif
