// The front matter's and manifest's keys as tables of rules, deepest first.
#include "bundles/manifest.h"
#include "bundles/rules.h"
#include "edge/base/jsonx.h"

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// Every byte is alphanumeric or among `others`.
static bool has_only(str s, const char *others)
{
    for (size_t i = 0; i != s.n; ++i)
        if (!is_alnum(s.p[i]) && (s.p[i] == '\0' || strchr(others, s.p[i]) == NULL))
            return false;
    return true;
}

bool manifest_is_name(str s)
{
    if (s.n == 0 || s.n > MANIFEST_NAME_MAX)
        return false;
    for (size_t i = 0; i != s.n; ++i)
        if (!is_lower_or_digit(s.p[i]) && s.p[i] != '-')
            return false;
    return s.p[0] != '-' && s.p[s.n - 1] != '-';
}

static bool is_version_number(str s)
{
    for (size_t i = 0; i != s.n; ++i)
        if (!is_digit(s.p[i]))
            return false;
    return s.n == 1 || (s.n > 1 && s.p[0] != '0');
}

// Dot-separated identifiers (SemVer 2.0.0 §9, §10); those of a pre-release that are numbers have no
// leading zero.
static bool are_identifiers(str list, bool is_prerelease)
{
    for (bool more = true; more;) {
        more = str_find(list, '.') != SIZE_MAX;
        str one = str_cut(&list, '.');
        bool is_number = one.n != 0;
        for (size_t i = 0; i != one.n; ++i)
            is_number = is_number && is_digit(one.p[i]);
        if (one.n == 0 || !has_only(one, "-") ||
            (is_prerelease && is_number && !is_version_number(one)))
            return false;
    }
    return true;
}

bool manifest_is_version(str s)
{
    if (s.n > MANIFEST_VERSION_MAX)
        return false;
    bool has_build = str_find(s, '+') != SIZE_MAX;
    str rest = s, core = str_cut(&rest, '+'), build = rest;
    bool has_pre = str_find(core, '-') != SIZE_MAX;
    rest = core;
    core = str_cut(&rest, '-');
    str pre = rest, major = str_cut(&core, '.'), minor = str_cut(&core, '.');
    return is_version_number(major) && is_version_number(minor) && is_version_number(core) &&
           (!has_pre || are_identifiers(pre, true)) &&
           (!has_build || are_identifiers(build, false));
}

static bool is_secret_name(str s)
{
    return s.n != 0 && s.n <= 64 && !is_digit(s.p[0]) && has_only(s, "_");
}

static bool is_tool_name(str s)
{
    return s.n != 0 && s.n <= 64 && has_only(s, "_-");
}

static bool is_event_id(str s)
{
    if (s.n == 0 || s.n > 64 || !is_lower_or_digit(s.p[0]) || !is_lower_or_digit(s.p[s.n - 1]))
        return false;
    for (size_t i = 0; i != s.n; ++i)
        if (!is_lower_or_digit(s.p[i]) && s.p[i] != '_' && s.p[i] != '-')
            return false;
    return true;
}

// contract §4: 1–64 of [A-Za-z0-9_.-]
static bool is_action_id(str s)
{
    return s.n != 0 && s.n <= 64 && has_only(s, "_.-");
}

// PostgreSQL cuts longer names silently.
static bool is_sql_name(str s)
{
    return s.n != 0 && s.n <= 63;
}

#define SECRET_WANTED "1 to 64 letters, digits and underscores, not beginning with a digit"
#define SQL_WANTED "1 to 63 bytes long"
#define ACTION_WANTED "1 to 64 letters, digits, '_', '.' and '-'"

static const struct rule text_item[] = {{"item", RULE_TEXT, .min = 1, .max = 200}};

// oauth
static void check_oauth(const struct rule_place *at, const json_t *oauth)
{
    static const char *const needed[] = {"providerName", "authorizationUrl", "tokenUrl"};
    if (!str_eq(jsonx_str(oauth, "provider"), STR("custom")))
        return;
    for (size_t i = 0; i != sizeof needed / sizeof *needed; ++i)
        if (rule_member(oauth, needed[i]) == NULL)
            rule_problem(at, oauth, needed[i], "is missing: a custom provider needs it.");
}

static const char *const providers[] = {"google", "github", "slack", "notion", "custom", NULL};
static const struct rule oauth_rules[] = {
    {"provider", RULE_TEXT, .required = true, .words = providers},
    {"providerName", RULE_TEXT, .min = 1, .max = 100},
    {"authorizationUrl", RULE_TEXT, .min = 1, .max = 2000},
    {"tokenUrl", RULE_TEXT, .min = 1, .max = 2000},
    {"userInfoUrl", RULE_TEXT, .min = 1, .max = 2000},
    {"revokeUrl", RULE_TEXT, .min = 1, .max = 2000},
    {"scopes", RULE_LIST, .max = 100, .rules = text_item},
    {"clientIdSecret", RULE_TEXT, .is_valid = is_secret_name, .wanted = SECRET_WANTED},
    {"clientSecretSecret", RULE_TEXT, .is_valid = is_secret_name, .wanted = SECRET_WANTED},
    {0}};

// developerSecrets, userSecrets
static const struct rule secret_rules[] = {
    {"description", RULE_TEXT, .max = 1000}, {.key = "required", .kind = RULE_BOOLEAN}, {0}};
static const struct rule secret_item[] = {{"secret", RULE_OBJECT, .rules = secret_rules}};

// userFields
static bool has_option(const json_t *field, str value)
{
    size_t i;
    json_t *option;
    json_array_foreach(json_object_get(field, "options"), i, option)
    {
        if (str_eq(jsonx_str(option, "value"), value))
            return true;
    }
    return false;
}

static bool is_tags(const json_t *value)
{
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)value, i, item)
    {
        if (!json_is_string(item))
            return false;
    }
    return json_is_array(value);
}

static void check_field_default(const struct rule_place *at, const json_t *field, str type)
{
    const json_t *value = rule_member(field, "default"), *min = rule_member(field, "min"),
                 *max = rule_member(field, "max");
    if (value == NULL)
        return;
    if (str_eq(type, STR("text")) && !json_is_string(value))
        rule_problem(at, field, "default", "must be text, as the field is.");
    else if (str_eq(type, STR("boolean")) && !json_is_boolean(value))
        rule_problem(at, field, "default", "must be true or false, as the field is.");
    else if (str_eq(type, STR("tags")) && !is_tags(value))
        rule_problem(at, field, "default", "must be a list of texts, as the field is.");
    else if (str_eq(type, STR("select")) && !has_option(field, jsonx_str(field, "default")))
        rule_problem(at, field, "default", "must be the value of one of the options.");
    else if (str_eq(type, STR("number")) && !json_is_number(value))
        rule_problem(at, field, "default", "must be a number, as the field is.");
    else if (str_eq(type, STR("number")) &&
             ((json_is_number(min) && json_number_value(value) < json_number_value(min)) ||
              (json_is_number(max) && json_number_value(value) > json_number_value(max))))
        rule_problem(at, field, "default", "must lie between min and max.");
}

static void check_field(const struct rule_place *at, const json_t *field)
{
    str type = jsonx_str(field, "type");
    const json_t *min = rule_member(field, "min"), *max = rule_member(field, "max");
    if (json_is_number(min) && json_is_number(max) &&
        json_number_value(min) > json_number_value(max))
        rule_problem(at, field, "min", "must not be above max.");
    if (str_eq(type, STR("select")) && rule_member(field, "options") == NULL)
        rule_problem(at, field, "options", "is missing: a select field needs it.");
    check_field_default(at, field, type);
}

static const char *const field_types[] = {"text", "number", "boolean", "select", "tags", NULL};
static const struct rule option_rules[] = {
    {"value", RULE_TEXT, .required = true, .max = 200},
    {"label", RULE_TEXT, .required = true, .min = 1, .max = 200},
    {0}};
static const struct rule option_item[] = {{"option", RULE_OBJECT, .rules = option_rules}};
static const struct rule field_rules[] = {
    {"type", RULE_TEXT, .required = true, .words = field_types},
    {"label", RULE_TEXT, .required = true, .min = 1, .max = 200},
    {"description", RULE_TEXT, .max = 1000},
    {.key = "default", .kind = RULE_ANY},
    {.key = "required", .kind = RULE_BOOLEAN},
    {"placeholder", RULE_TEXT, .max = 200},
    {"min", RULE_NUMBER, .min = -1e15, .max = 1e15},
    {"max", RULE_NUMBER, .min = -1e15, .max = 1e15},
    {"options", RULE_LIST, .min = 1, .max = 200, .rules = option_item},
    {0}};
static const struct rule field_item[] = {
    {"field", RULE_OBJECT, .rules = field_rules, .extra = check_field}};

// database
static void check_table(const struct rule_place *at, const json_t *table)
{
    const json_t *columns = rule_member(table, "columns"), *rls = rule_member(table, "rls");
    if (json_is_string(rls) && json_is_object(columns) &&
        json_object_get(columns, json_string_value(rls)) == NULL)
        rule_problem(at, table, "rls", "names %s, which is not one of the columns.",
                     QUOTED(jsonx_str(table, "rls")));
}

static const struct rule column_item[] = {{"column", RULE_TEXT, .min = 1, .max = 1000}};
static const struct rule table_rules[] = {
    {"columns", RULE_MAP, .required = true, .min = 1, .max = 500, .is_valid = is_sql_name,
     .wanted = SQL_WANTED, .rules = column_item},
    {"rls", RULE_TEXT, .is_valid = is_sql_name, .wanted = SQL_WANTED},
    {0}};
static const struct rule table_item[] = {
    {"table", RULE_OBJECT, .rules = table_rules, .extra = check_table}};
static const struct rule database_rules[] = {{"tables", RULE_MAP, .max = 200,
                                              .is_valid = is_sql_name, .wanted = SQL_WANTED,
                                              .rules = table_item},
                                             {0}};

// runtime
static const char *const isolations[] = {"request", NULL};
static const struct rule runtime_rules[] = {
    {.key = "persistent", .kind = RULE_BOOLEAN},
    {"timeoutMs", RULE_WHOLE, .min = MANIFEST_TIMEOUT_MS_MIN, .max = MANIFEST_TIMEOUT_MS_MAX},
    {"maxSessionAge", RULE_WHOLE, .min = 1, .max = 31536000000.0}, // a year
    {"isolation", RULE_TEXT, .words = isolations},
    {0}};

// tool
static void check_parameters(const struct rule_place *at, const json_t *parameters)
{
    const json_t *type = rule_member(parameters, "type"),
                 *properties = rule_member(parameters, "properties"),
                 *required = rule_member(parameters, "required");
    if (type != NULL && !str_eq(jsonx_str(parameters, "type"), STR("object")))
        rule_problem(at, parameters, "type", "must be object.");
    if (properties != NULL && !json_is_object(properties))
        rule_problem(at, parameters, "properties", "must be a mapping.");
    if (required != NULL && !is_tags(required))
        rule_problem(at, parameters, "required", "must be a list of parameters' names.");
}

static const struct rule tool_rules[] = {
    {"name", RULE_TEXT, .required = true, .is_valid = is_tool_name,
     .wanted = "1 to 64 letters, digits, '_' and '-'"},
    {"description", RULE_TEXT, .max = 10000},
    {"parameters", RULE_OBJECT, .extra = check_parameters}, // JSON Schema, kept as it is
    {0}};

// automation
static void check_trigger(const struct rule_place *at, const json_t *trigger)
{
    str type = jsonx_str(trigger, "type");
    if (str_eq(type, STR("cron")) && rule_member(trigger, "default") == NULL)
        rule_problem(at, trigger, "default", "is missing: a cron trigger needs its expression.");
    if (str_eq(type, STR("interval")) && rule_member(trigger, "everyMs") == NULL)
        rule_problem(at, trigger, "everyMs", "is missing: an interval trigger needs it.");
}

static const char *const trigger_types[] = {"cron", "webhook", "interval", NULL};
static const struct rule webhook_event_rules[] = {
    {"name", RULE_TEXT, .required = true, .min = 1, .max = 200},
    {"description", RULE_TEXT, .max = 1000},
    {0}};
static const struct rule webhook_event_item[] = {
    {"event", RULE_OBJECT, .rules = webhook_event_rules}};
static const struct rule trigger_rules[] = {
    {"type", RULE_TEXT, .required = true, .words = trigger_types},
    {"default", RULE_TEXT, .min = 1, .max = 200},
    {"everyMs", RULE_WHOLE, .min = 1, .max = 31536000000.0},
    {"description", RULE_TEXT, .max = 1000},
    {"eventTypeField", RULE_TEXT, .min = 1, .max = 200},
    {"events", RULE_LIST, .max = 200, .rules = webhook_event_item},
    {0}};
static const struct rule trigger_item[] = {
    {"trigger", RULE_OBJECT, .rules = trigger_rules, .extra = check_trigger}};
static const struct rule automation_rules[] = {
    {"triggers", RULE_LIST, .max = 50, .rules = trigger_item},
    {"timeout", RULE_NUMBER, .min = 1, .max = 300},
    {.key = "onWebhook", .kind = RULE_BOOLEAN},
    {.key = "allowManualRun", .kind = RULE_BOOLEAN},
    {0}};

// heartbeatEvents
static void check_matcher(const struct rule_place *at, const json_t *matcher)
{
    str source = jsonx_str(matcher, "source");
    const char *key = str_eq(source, STR("tool"))                                      ? "action"
                      : str_eq(source, STR("webhook"))                                 ? "eventName"
                      : str_eq(source, STR("widget")) || str_eq(source, STR("public")) ? "actionId"
                                                                                       : NULL;
    if (key == NULL)
        return;
    if (rule_member(matcher, key) == NULL)
        rule_problem(at, matcher, key, "is missing: a matcher of this source needs it.");
    if (str_eq(source, STR("public")) && rule_member(matcher, key) != NULL &&
        !is_action_id(jsonx_str(matcher, key)))
        rule_problem(at, matcher, key, "must be " ACTION_WANTED ".");
}

static void check_event_ids(const struct rule_place *at, const json_t *heartbeat)
{
    const json_t *events = json_object_get(heartbeat, "events");
    json_t *seen = json_object(), *event;
    size_t i;
    json_array_foreach((json_t *)events, i, event)
    {
        const char *id = json_string_value(json_object_get(event, "id"));
        if (id != NULL && json_object_get(seen, id) != NULL)
            rule_problem(at, heartbeat, "events", "has the id %s twice.", QUOTED(str_from(id)));
        else if (id != NULL)
            json_object_set_new(seen, id, json_true());
    }
    json_decref(seen);
}

static const char *const sources[] = {"tool", "widget", "public", "webhook", NULL};
static const struct rule matcher_rules[] = {
    {"source", RULE_TEXT, .required = true, .words = sources},
    {"action", RULE_TEXT, .min = 1, .max = 200},
    {"actionId", RULE_TEXT, .min = 1, .max = 200},
    {"eventName", RULE_TEXT, .min = 1, .max = 200},
    {0}};
static const struct rule matcher_item[] = {
    {"matcher", RULE_OBJECT, .rules = matcher_rules, .extra = check_matcher}};
static const struct rule event_rules[] = {
    {"id", RULE_TEXT, .required = true, .is_valid = is_event_id,
     .wanted = "lowercase snake_case or kebab-case of at most 64 characters"},
    {"displayName", RULE_TEXT, .required = true, .min = 1, .max = 200},
    {"description", RULE_TEXT, .max = 1000},
    {.key = "enabled", .kind = RULE_BOOLEAN},
    {"matchers", RULE_LIST, .required = true, .min = 1, .max = 50, .rules = matcher_item},
    {0}};
static const struct rule event_item[] = {{"event", RULE_OBJECT, .rules = event_rules}};
static const struct rule heartbeat_rules[] = {
    {"events", RULE_LIST, .required = true, .max = 100, .rules = event_item}, {0}};

// widget
static void check_widget(const struct rule_place *at, const json_t *widget)
{
    const json_t *height = rule_member(widget, "defaultHeight"),
                 *max = rule_member(widget, "maxHeight");
    if (json_is_integer(height) && json_is_integer(max) &&
        json_integer_value(height) > json_integer_value(max))
        rule_problem(at, widget, "defaultHeight", "must not be above maxHeight.");
}

static const struct rule widget_rules[] = {{.key = "launchable", .kind = RULE_BOOLEAN},
                                           {"defaultHeight", RULE_WHOLE, .min = 1, .max = 10000},
                                           {"maxHeight", RULE_WHOLE, .min = 1, .max = 10000},
                                           {0}};

static const char *const capabilities[] = {"machine.info",  "clipboard.read", "notifications.send",
                                           "messages.read", "shell.run",      NULL};
static const struct rule capability_item[] = {{"item", RULE_TEXT, .words = capabilities}};
static const struct rule tag_item[] = {{"item", RULE_TEXT, .min = 1, .max = 64}};

static const char *const triggers[] = {"always", "auto", "manual", NULL};
static const struct rule manifest_rules[] = {
    {"trigger", RULE_TEXT, .words = triggers},
    {"oauth", RULE_OBJECT, .rules = oauth_rules, .extra = check_oauth},
    {"developerSecrets", RULE_MAP, .max = 100, .is_valid = is_secret_name, .wanted = SECRET_WANTED,
     .rules = secret_item},
    {"userSecrets", RULE_MAP, .max = 100, .is_valid = is_secret_name, .wanted = SECRET_WANTED,
     .rules = secret_item},
    {"userFields", RULE_MAP, .max = 100, .is_valid = is_secret_name, .wanted = SECRET_WANTED,
     .rules = field_item},
    {"database", RULE_OBJECT, .rules = database_rules},
    {"runtime", RULE_OBJECT, .rules = runtime_rules},
    {"tool", RULE_OBJECT, .rules = tool_rules},
    {"automation", RULE_OBJECT, .rules = automation_rules},
    {"heartbeatEvents", RULE_OBJECT, .rules = heartbeat_rules, .extra = check_event_ids},
    {"widget", RULE_OBJECT, .rules = widget_rules, .extra = check_widget},
    {"machineCapabilities", RULE_LIST, .max = 50, .rules = capability_item},
    {"pieceNames", RULE_LIST, .max = 100, .rules = text_item},
    {"tags", RULE_LIST, .max = 50, .rules = tag_item},
    {0}};

static const char *const tiers[] = {"skill", "tool", "connector", "automation", NULL};
static const struct rule front_rules[] = {
    {"name", RULE_TEXT, .required = true, .is_valid = manifest_is_name,
     .wanted =
         "1 to 54 lowercase letters, digits and hyphens, with a letter or digit at both ends"},
    {"displayName", RULE_TEXT, .required = true, .min = 1, .max = MANIFEST_DISPLAY_NAME_MAX},
    {"description", RULE_TEXT, .max = MANIFEST_DESCRIPTION_MAX},
    {"version", RULE_TEXT, .required = true, .is_valid = manifest_is_version,
     .wanted = "a semantic version such as 1.0.0"},
    {"tier", RULE_TEXT, .required = true, .words = tiers},
    {"tags", RULE_LIST, .max = 50, .rules = tag_item},
    {"manifest", RULE_OBJECT, .rules = manifest_rules},
    {0}};

void manifest_check(const json_t *front, const struct yaml_marks *marks, unsigned line,
                    struct problems *problems, struct problems *warnings)
{
    struct rule_place at = {marks, "front-matter", problems, warnings, "", line};
    if (!json_is_object(front)) {
        problems_add(problems, line, 0, at.section,
                     "The front matter must be a mapping: name, displayName, version, tier and "
                     "manifest.");
        return;
    }
    rules_check(&at, front_rules, front);
}
