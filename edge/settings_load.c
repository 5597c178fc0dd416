// Where values come from: the defaults, the file, the environment, the flags; each overrides the
// one before it, and each says where it stood.
#include "edge/settings_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "edge/base/log.h"
#include "edge/base/yaml.h"
#include "edge/data_directory.h"

enum { FILE_MAX = 256 << 10 };
#define SYSTEM_FILE "/etc/stoa/stoa.yaml"

extern char **environ;
// STOA_* as it was at the first load: the environment itself is cleaned, and a reload needs them.
static char **saved_environment;

void settings_complain(struct settings_load *l, const char *name, const char *format, ...)
{
    char message[300];
    va_list ap;
    va_start(ap, format);
    vsnprintf(message, sizeof message, format, ap);
    va_end(ap);
    size_t at = setting_find(str_from(name));
    problems_add(l->problems, l->places[at].line, 0, l->places[at].section, "%s: %s", name,
                 message);
}

static void set(struct settings_load *l, size_t at, str value, const char *section, unsigned line)
{
    char why[160];
    snprintf(l->places[at].section, sizeof l->places[at].section, "%s", section);
    l->places[at].line = line;
    if (!setting_parse(&settings_table[at], value, l->s, why, sizeof why))
        settings_complain(l, settings_table[at].name, "%s", why);
}

static void load_defaults(struct settings_load *l)
{
    for (size_t i = 0; i != settings_count; ++i)
        set(l, i, str_from(settings_table[i].standard), "", 0);
}

// --- the file ---

// The bytes, or NULL with errno; EFBIG when there are too many.
static char *read_whole(const char *path, size_t *ret_n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    char *text = malloc(FILE_MAX + 1);
    if (text == NULL)
        abort();
    size_t n = 0;
    ssize_t got;
    while (n <= FILE_MAX && (got = read(fd, text + n, FILE_MAX + 1 - n)) > 0)
        n += (size_t)got;
    int error = n > FILE_MAX ? EFBIG : got < 0 ? errno : 0;
    close(fd);
    if (error != 0) {
        free(text);
        errno = error;
        return NULL;
    }
    *ret_n = n;
    return text;
}

// The value as text: a list becomes words with commas between. False when it is neither a word, a
// number nor such a list.
static bool value_text(const struct setting *t, const json_t *value, struct buf *to)
{
    buf_clear(to);
    if (json_is_string(value))
        buf_add(to, str_of(json_string_value(value), json_string_length(value)));
    else if (json_is_integer(value))
        buf_addf(to, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_array(value) && t->type == SETTING_LIST) {
        size_t i;
        json_t *item;
        json_array_foreach(value, i, item)
        {
            if (!json_is_string(item))
                return false;
            buf_addf(to, "%s%s", i != 0 ? "," : "", json_string_value(item));
        }
    } else {
        return json_is_null(value);
    }
    return !to->full;
}

static void load_member(struct settings_load *l, const char *file, const char *name,
                        const json_t *value, unsigned line)
{
    size_t at = setting_find(str_from(name));
    if (at == SIZE_MAX) {
        problems_add(l->problems, line, 0, file, "There is no setting %.60s.",
                     LOG_STR(str_from(name)));
        return;
    }
    struct buf text;
    buf_init(&text, FILE_MAX);
    if (json_is_null(value)) // a name with nothing behind it keeps its default
        buf_add(&text, str_from(settings_table[at].standard));
    else if (!value_text(&settings_table[at], value, &text)) {
        problems_add(l->problems, line, 0, file, "%s: Write a word or a number%s.", name,
                     settings_table[at].type == SETTING_LIST ? ", or a list of words" : "");
        buf_fini(&text);
        return;
    }
    set(l, at, buf_str(&text), file, line);
    buf_fini(&text);
}

static void load_file(struct settings_load *l, const char *file)
{
    size_t n;
    AUTOFREE char *text = read_whole(file, &n);
    if (text == NULL) {
        problems_add(l->problems, 0, 0, file, "The settings file cannot be read: %s.",
                     strerror(errno));
        return;
    }
    struct yaml_marks *marks;
    json_t *root = yaml_load(str_of(text, n), 1, file, l->problems, &marks);
    if (root == NULL)
        return;
    const char *name;
    json_t *value;
    if (!json_is_object(root) && !json_is_null(root))
        problems_add(l->problems, 1, 0, file, "Write settings as `name: value`, one a line.");
    json_object_foreach(root, name, value)
        load_member(l, file, name, value, yaml_member_line(marks, root, name));
    json_decref(root);
    yaml_marks_destroy(marks);
}

// --- the environment ---

static void save_environment(void)
{
    if (saved_environment != NULL)
        return;
    size_t n = 0, kept = 0;
    while (environ[n] != NULL)
        ++n;
    saved_environment = calloc(n + 1, sizeof *saved_environment);
    if (saved_environment == NULL)
        abort();
    for (size_t i = 0; i != n; ++i)
        if (strncmp(environ[i], "STOA_", 5) == 0)
            saved_environment[kept++] = str_dup(str_from(environ[i]));
}

// What is not ours to read, or not ours at all: Kubernetes makes STOA_SERVICE_HOST, STOA_PORT_… for
// a service of that name.
static bool is_other_variable(str name)
{
    static const char *const known[] = {"URL", "TOKEN", "CONFIG", "MASTER_KEY", "PORT"};
    for (size_t i = 0; i != sizeof known / sizeof known[0]; ++i)
        if (str_eq(name, str_from(known[i])))
            return true;
#ifdef STOA_FAULTS
    if (str_starts(name, STR("FAULT")))
        return true;
#endif
    return str_starts(name, STR("SERVICE_")) || str_starts(name, STR("PORT_"));
}

static void load_variable(struct settings_load *l, const char *variable)
{
    char section[96], name[64];
    str value = str_from(variable), full = str_cut(&value, '=');
    snprintf(section, sizeof section, "%.*s", STR_FMT(full));
    str tail = str_skip(full, 5);
    if (is_other_variable(tail))
        return;
    size_t n = tail.n < sizeof name ? tail.n : 0;
    for (size_t i = 0; i != n; ++i)
        name[i] = tail.p[i] >= 'A' && tail.p[i] <= 'Z'   ? (char)(tail.p[i] | 0x20)
                  : tail.p[i] >= 'a' && tail.p[i] <= 'z' ? '-' // there is one way to write it
                                                         : tail.p[i];
    size_t at = setting_find(str_of(name, n));
    if (at == SIZE_MAX)
        problems_add(l->problems, 0, 0, section, "There is no setting of this name.");
    else
        set(l, at, value, section, 0);
}

const char *settings_variable(const char *name)
{
    size_t n = strlen(name);
    for (char **e = saved_environment; *e != NULL; ++e)
        if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
            return *e + n + 1;
    return NULL;
}

static bool begins(const char *entry, const char *prefix)
{
    return strncmp(entry, prefix, strlen(prefix)) == 0;
}

static bool is_secret_variable(const char *entry)
{
    str rest = str_from(entry), name = str_cut(&rest, '=');
#ifdef STOA_FAULTS
    if (begins(entry, "STOA_FAULT")) // tests name the call that shall fail
        return false;
#endif
    return begins(entry, "STOA_") || begins(entry, "PG") || str_ends(name, STR("_proxy")) ||
           str_ends(name, STR("_PROXY"));
}

void settings_clean_environment(void)
{
    char **to = environ;
    for (char **from = environ; *from != NULL; ++from) {
        if (is_secret_variable(*from))
            explicit_bzero(*from, strlen(*from)); // /proc/PID/environ shows the memory itself
        else
            *to++ = *from;
    }
    *to = NULL;
}

// --- the flags ---

struct flags {
    int argc, i;
    char **argv;
    char name[64]; // "--data"
    char *value;   // what stands behind "=" or in the next argument; NULL: nothing
    bool is_attached;
};

// Splits the next argument; false at the end.
static bool next_flag(struct flags *f)
{
    if (f->i == f->argc)
        return false;
    char *arg = f->argv[f->i++], *equals = strchr(arg, '=');
    f->is_attached = equals != NULL && arg[0] == '-';
    size_t n = f->is_attached ? (size_t)(equals - arg) : strlen(arg);
    snprintf(f->name, sizeof f->name, "%.*s", (int)(n < 60 ? n : 60), arg);
    f->value = f->is_attached ? equals + 1 : f->i < f->argc ? f->argv[f->i] : NULL;
    return true;
}

static bool take_value(struct flags *f)
{
    if (f->value == NULL)
        return false;
    f->i += f->is_attached ? 0 : 1;
    return true;
}

// "--listen-apps" -> its row, when the table gives it a flag of its own.
static size_t flag_setting(const char *flag)
{
    char name[64];
    if (!begins(flag, "--"))
        return SIZE_MAX;
    snprintf(name, sizeof name, "%s", flag + 2);
    for (char *p = name; *p != '\0'; ++p)
        *p = *p == '-' ? '_' : *p;
    return setting_find(str_from(name));
}

static void load_set(struct settings_load *l, struct flags *f)
{
    str value = str_from(f->value), name = str_trim(str_cut(&value, '='));
    size_t at = setting_find(name);
    if (strchr(f->value, '=') == NULL)
        problems_add(l->problems, 0, 0, "--set", "Write --set name=value.");
    else if (at == SIZE_MAX)
        problems_add(l->problems, 0, 0, "--set", "There is no setting %.60s.", LOG_STR(name));
    else
        set(l, at, value, "--set", 0);
}

static void load_flag(struct settings_load *l, struct flags *f)
{
    size_t at = flag_setting(f->name);
    bool is_set = strcmp(f->name, "--set") == 0, is_config = strcmp(f->name, "--config") == 0;
    if (at != SIZE_MAX && !(settings_table[at].flags & HAS_FLAG)) {
        problems_add(l->problems, 0, 0, f->name, "There is no such flag; write --set %s=VALUE.",
                     settings_table[at].name);
        take_value(f);
    } else if (at == SIZE_MAX && !is_set && !is_config) {
        problems_add(l->problems, 0, 0, "",
                     "stoa serve does not know %s; `stoa serve --help` lists what it knows.",
                     LOG_STR(str_from(f->name)));
    } else if (!take_value(f)) {
        problems_add(l->problems, 0, 0, f->name, "A value is missing behind it.");
    } else if (is_set) {
        load_set(l, f);
    } else if (!is_config) {
        set(l, at, str_from(f->value), f->name, 0);
    }
}

static bool asks_help(const struct flags *f)
{
    return strcmp(f->name, "--help") == 0 || strcmp(f->name, "-h") == 0;
}

static void load_flags(struct settings_load *l, int argc, char **argv)
{
    struct flags f = {.argc = argc, .argv = argv};
    while (next_flag(&f))
        if (strcmp(f.name, "--check") != 0 && !asks_help(&f))
            load_flag(l, &f);
}

static const char *find_config(int argc, char **argv, bool *ret_check, bool *ret_help)
{
    const char *config = settings_variable("STOA_CONFIG");
    struct flags f = {.argc = argc, .argv = argv};
    while (next_flag(&f)) {
        *ret_check |= strcmp(f.name, "--check") == 0;
        *ret_help |= asks_help(&f);
        bool is_config = strcmp(f.name, "--config") == 0;
        if ((is_config || strcmp(f.name, "--set") == 0 || flag_setting(f.name) != SIZE_MAX) &&
            take_value(&f) && is_config)
            config = f.value;
    }
    if (config == NULL && geteuid() == 0 && access(SYSTEM_FILE, F_OK) == 0)
        config = SYSTEM_FILE;
    return config;
}

void settings_hide_flags(int argc, char **argv)
{
    struct flags f = {.argc = argc, .argv = argv};
    while (next_flag(&f)) {
        bool is_set = strcmp(f.name, "--set") == 0;
        size_t at = flag_setting(f.name);
        if ((!is_set && at == SIZE_MAX) || !take_value(&f))
            continue;
        char *secret = f.value;
        if (is_set) {
            str value = str_from(f.value);
            at = setting_find(str_trim(str_cut(&value, '=')));
            secret = (char *)value.p;
        }
        if (at != SIZE_MAX && settings_table[at].flags & IS_SECRET)
            memset(secret, '*', strlen(secret));
    }
}

// --- all of it ---

static void make_absolute(char **path)
{
    AUTOFREE char *here = NULL;
    if (**path == '\0' || **path == '/' || (here = getcwd(NULL, 0)) == NULL)
        return;
    struct buf b;
    buf_init(&b, 8192);
    buf_addf(&b, "%s/%s", here, str_starts(str_from(*path), STR("./")) ? *path + 2 : *path);
    free(*path);
    *path = buf_take(&b);
}

static void standard_data(struct settings *s)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    struct buf b;
    buf_init(&b, 8192);
    if (geteuid() == 0)
        buf_add(&b, STR("/var/lib/stoa"));
    else if (state != NULL && state[0] == '/')
        buf_addf(&b, "%s/stoa", state);
    else if (home != NULL && home[0] == '/')
        buf_addf(&b, "%s/.local/state/stoa", home);
    free(s->data);
    s->data = buf_take(&b);
}

static void below_data(const struct settings *s, char **path, const char *name)
{
    if (**path != '\0')
        return;
    struct buf b;
    buf_init(&b, 16384);
    buf_addf(&b, "%s/%s", s->data, name);
    free(*path);
    *path = buf_take(&b);
}

static void complete_paths(struct settings *s)
{
    if (s->data[0] == '\0')
        standard_data(s);
    make_absolute(&s->data);
    for (size_t n = strlen(s->data); n > 1 && s->data[n - 1] == '/'; --n)
        s->data[n - 1] = '\0';
    below_data(s, &s->ready_file, DATA_READY);
    make_absolute(&s->ready_file);
    make_absolute(&s->master_key_file);
    below_data(s, &s->access_log, "logs/access.log");
    if (strcmp(s->access_log, "-") != 0 && strcmp(s->access_log, "off") != 0)
        make_absolute(&s->access_log);
}

bool settings_load(struct settings *ret, int argc, char **argv, struct problems *problems,
                   bool *ret_check, bool *ret_help)
{
    *ret = (struct settings){0};
    *ret_check = *ret_help = false;
    for (size_t i = 0; i != settings_count; ++i)
        if (setting_is_text(&settings_table[i]))
            *setting_text(ret, &settings_table[i]) = str_dup((str){0});
    ret->listeners = str_dup((str){0});
    ret->master_key = str_dup((str){0});
    save_environment();
    struct settings_load *l = calloc(1, sizeof *l);
    if (l == NULL)
        abort();
    *l = (struct settings_load){.s = ret, .problems = problems};
    size_t before = problems->count;
    const char *config = find_config(argc, argv, ret_check, ret_help);
    load_defaults(l);
    if (config != NULL)
        load_file(l, config);
    for (char **e = saved_environment; *e != NULL; ++e)
        load_variable(l, *e);
    load_flags(l, argc, argv);
    complete_paths(ret);
    if (!*ret_help)
        settings_check(l);
    free(l);
    return problems->count == before;
}

void settings_print_problems(const struct problems *problems, FILE *to)
{
    for (size_t i = 0; i != problems->count; ++i) {
        const struct problem *p = &problems->list[i];
        fprintf(to, "%s:", p->section[0] != '\0' ? p->section : "settings");
        if (p->line != 0)
            fprintf(to, "%u:", p->line);
        fprintf(to, " %s\n", p->message);
    }
    if (problems->left_out != 0)
        fprintf(to, "settings: %zu more problems are not listed.\n", problems->left_out);
}
