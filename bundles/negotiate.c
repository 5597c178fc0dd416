#include "bundles/negotiate.h"

// Weights in thousandths; identity is acceptable unless it is excluded, but after all that is
// named.
enum { WEIGHT_ABSENT = -1, WEIGHT_UNNAMED_IDENTITY = 0, WEIGHT_MAX = 1000 };

struct weights {
    int of[ENCODINGS]; // 1–1000; 0: refused, or WEIGHT_ABSENT
    int any;           // of "*"
};

str encoding_name(enum encoding e)
{
    static const str names[ENCODINGS] = {
        [ENCODING_IDENTITY] = {"identity", 8},
        [ENCODING_BR] = {"br", 2},
        [ENCODING_ZSTD] = {"zstd", 4},
        [ENCODING_GZIP] = {"gzip", 4},
    };
    return names[e];
}

// qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ), RFC 9110 §12.4.2.
static bool weight_parse(str s, int *ret)
{
    if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.'))
        return false;
    int weight = (s.p[0] - '0') * 1000;
    for (size_t i = 2, unit = 100; i < s.n; i++, unit /= 10) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        weight += (s.p[i] - '0') * (int)unit;
    }
    if (weight > WEIGHT_MAX)
        return false;
    *ret = weight;
    return true;
}

static bool is_token(str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
            return false;
    }
    return s.n > 0;
}

static void weights_set(struct weights *w, str name, int weight)
{
    if (str_eq(name, STR("*"))) {
        w->any = weight;
        return;
    }
    if (str_caseeq(name, STR("x-gzip"))) // RFC 9110 §8.4.1.3
        name = encoding_name(ENCODING_GZIP);
    for (enum encoding e = 0; e < ENCODINGS; e++)
        if (str_caseeq(name, encoding_name(e)))
            w->of[e] = weight;
}

static bool item_parse(str item, struct weights *w)
{
    str name = str_trim(str_cut(&item, ';'));
    str parameter = str_trim(item);
    int weight = WEIGHT_MAX;
    if (parameter.n > 0 || item.n > 0) {
        if (!str_caseeq(str_of(parameter.p, parameter.n < 2 ? parameter.n : 2), STR("q=")) ||
            !weight_parse(str_skip(parameter, 2), &weight))
            return false;
    }
    if (!is_token(name))
        return false;
    weights_set(w, name, weight);
    return true;
}

static bool weights_parse(str header, struct weights *w)
{
    *w = (struct weights){.any = WEIGHT_ABSENT};
    for (enum encoding e = 0; e < ENCODINGS; e++)
        w->of[e] = WEIGHT_ABSENT;
    while (header.n > 0) {
        str item = str_trim(str_cut(&header, ','));
        if (item.n > 0 && !item_parse(item, w))
            return false;
    }
    return true;
}

// The weight of an encoding; WEIGHT_ABSENT when the client does not take it.
static int weight_of(const struct weights *w, enum encoding e)
{
    int weight = w->of[e] != WEIGHT_ABSENT ? w->of[e] : w->any;
    if (weight == 0)
        return WEIGHT_ABSENT;
    if (weight == WEIGHT_ABSENT && e == ENCODING_IDENTITY)
        return WEIGHT_UNNAMED_IDENTITY;
    return weight;
}

enum encoding negotiate_encoding(str accept_encoding, unsigned available)
{
    static const enum encoding by_preference[] = {ENCODING_BR, ENCODING_ZSTD, ENCODING_GZIP,
                                                  ENCODING_IDENTITY};
    struct weights w;
    enum encoding best = ENCODING_IDENTITY;
    int best_weight = WEIGHT_ABSENT;
    if (accept_encoding.n == 0 || !weights_parse(accept_encoding, &w))
        return ENCODING_IDENTITY;
    for (size_t i = 0; i < ENCODINGS; i++) {
        enum encoding e = by_preference[i];
        int weight = weight_of(&w, e);
        if ((available & 1u << e) != 0 && weight > best_weight) {
            best = e;
            best_weight = weight;
        }
    }
    return best;
}

bool negotiate_accepts(str accept_encoding, enum encoding e)
{
    struct weights w;
    if (accept_encoding.n == 0 || !weights_parse(accept_encoding, &w))
        return e == ENCODING_IDENTITY;
    return weight_of(&w, e) != WEIGHT_ABSENT;
}
