// Values against the manifest's userFields: text, number, boolean, select, tags.
#include "edge/catalog/declared.h"
#include <stdio.h>
#include "edge/base/jsonx.h"

// Why a value does not fit; room for a sentence.
struct reason {
    char text[300];
};

static bool because(struct reason *why, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool because(struct reason *why, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(why->text, sizeof why->text, format, ap);
    va_end(ap);
    return false;
}

static str text_of(const json_t *v)
{
    return json_is_string(v) ? str_of(json_string_value(v), json_string_length(v)) : (str){0};
}

static bool fits_text(const json_t *field, const json_t *value, struct reason *why)
{
    if (!json_is_string(value))
        return because(why, "This must be text.");
    if (json_string_length(value) > DECLARED_TEXT_MAX)
        return because(why, "This must be at most %d bytes long.", DECLARED_TEXT_MAX);
    return true;
}

static bool fits_number(const json_t *field, const json_t *value, struct reason *why)
{
    const json_t *min = json_object_get(field, "min"), *max = json_object_get(field, "max");
    if (!json_is_number(value))
        return because(why, "This must be a number.");
    double v = json_number_value(value);
    if (json_is_number(min) && v < json_number_value(min))
        return because(why, "This must be %.15g or more.", json_number_value(min));
    if (json_is_number(max) && v > json_number_value(max))
        return because(why, "This must be %.15g or less.", json_number_value(max));
    return true;
}

static bool fits_boolean(const json_t *field, const json_t *value, struct reason *why)
{
    return json_is_boolean(value) || because(why, "This must be true or false.");
}

static bool fits_select(const json_t *field, const json_t *value, struct reason *why)
{
    const json_t *options = json_object_get(field, "options"), *option;
    struct buf known;
    size_t i;
    char text[200];
    buf_init(&known, sizeof text - 1);
    json_array_foreach((json_t *)options, i, option)
    {
        str one = jsonx_str(option, "value");
        if (json_is_string(value) && str_eq(one, text_of(value))) {
            buf_fini(&known);
            return true;
        }
        buf_addf(&known, "%s%.*s", i == 0 ? "" : ", ", STR_FMT(one));
    }
    str list = buf_str(&known);
    snprintf(text, sizeof text, "%.*s%s", STR_FMT(list), known.full ? ", …" : "");
    buf_fini(&known);
    return because(why, "This must be one of: %s.", text);
}

static bool fits_tags(const json_t *field, const json_t *value, struct reason *why)
{
    size_t i;
    const json_t *tag;
    if (!json_is_array(value))
        return because(why, "This must be a list of texts.");
    if (json_array_size(value) > DECLARED_TAGS_MAX)
        return because(why, "This must have at most %d items.", DECLARED_TAGS_MAX);
    json_array_foreach((json_t *)value, i, tag)
    {
        if (!json_is_string(tag) || json_string_length(tag) == 0 ||
            json_string_length(tag) > DECLARED_TAG_MAX)
            return because(why, "Each item must be a text of 1 to %d bytes.", DECLARED_TAG_MAX);
    }
    return true;
}

static bool fits(const json_t *field, const json_t *value, struct reason *why)
{
    static const struct {
        const char *type;
        bool (*fits)(const json_t *field, const json_t *value, struct reason *why);
    } types[] = {{"text", fits_text},
                 {"number", fits_number},
                 {"boolean", fits_boolean},
                 {"select", fits_select},
                 {"tags", fits_tags}};
    str type = jsonx_str(field, "type");
    for (size_t i = 0; i != sizeof types / sizeof types[0]; ++i)
        if (str_eq(type, str_from(types[i].type)))
            return types[i].fits(field, value, why);
    return because(why, "This field's type is not known.");
}

// What a person would call not filled in.
static bool is_empty(const json_t *value)
{
    return value == NULL || json_is_null(value) ||
           (json_is_string(value) && json_string_length(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0);
}

json_t *declared_effective(const json_t *fields, const json_t *set, const json_t *connected)
{
    json_t *all = json_object(), *field;
    const char *name;
    struct reason why;
    json_object_foreach((json_t *)fields, name, field)
    {
        json_t *own = json_object_get(set, name), *given = json_object_get(connected, name),
               *standard = json_object_get(field, "default");
        if (own != NULL && fits(field, own, &why))
            json_object_set(all, name, own);
        else if (given != NULL && fits(field, given, &why))
            json_object_set(all, name, given);
        else if (standard != NULL && !json_is_null(standard))
            json_object_set(all, name, standard);
    }
    return all;
}

void declared_check(const json_t *fields, const json_t *set, json_t *wrong)
{
    const char *name;
    json_t *value;
    char known[160];
    struct reason why;
    json_object_foreach((json_t *)set, name, value)
    {
        const json_t *field = json_object_get(fields, name);
        if (field == NULL)
            json_object_set_new(wrong, name,
                                json_sprintf("There is no such field. The manifest declares: %s.",
                                             declared_names(fields, known, sizeof known)));
        else if (json_is_true(json_object_get(field, "required")) && is_empty(value))
            json_object_set_new(wrong, name, json_string("This field is required."));
        else if (!fits(field, value, &why))
            json_object_set_new(wrong, name, jsonx_string(str_from(why.text))); // may be cut
    }
}

bool declared_is_missing(const char *name, const json_t *field, const json_t *effective)
{
    return json_is_true(json_object_get(field, "required")) &&
           is_empty(json_object_get(effective, name));
}
