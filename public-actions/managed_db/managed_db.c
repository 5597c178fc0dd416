// The settings, and the way to the cluster as a plugin's role.
#include "public-actions/managed_db/managed_db.h"
#include <libpq-fe.h>
#include <stdlib.h>
#include "public-actions/managed_db/provision.h"

static struct managed_db_options options = {.url = "", .provision_url = ""};

void managed_db_init(const struct managed_db_options *o)
{
    static char *url, *provision_url;
    free(url);
    free(provision_url);
    url = str_dup(str_from(o->url));
    provision_url = str_dup(str_from(o->provision_url[0] != '\0' ? o->provision_url : o->url));
    options = *o;
    options.url = url;
    options.provision_url = provision_url;
    options.sync_ms = o->sync_ms != 0 ? o->sync_ms : 30000;
}

const struct managed_db_options *managed_db_options(void)
{
    return &options;
}

// keyword='value', with quotes and backslashes escaped.
static void add_word(struct buf *to, const char *key, const char *value)
{
    buf_addf(to, "%s%s='", to->n != 0 ? " " : "", key);
    for (; *value != '\0'; ++value) {
        if (*value == '\'' || *value == '\\')
            buf_addc(to, '\\');
        buf_addc(to, *value);
    }
    buf_addc(to, '\'');
}

static bool is_replaced(const char *key)
{
    return strcmp(key, "user") == 0 || strcmp(key, "password") == 0 || strcmp(key, "dbname") == 0 ||
           strcmp(key, "passfile") == 0 || strcmp(key, "options") == 0;
}

char *managed_db_conninfo(const struct managed_db_access *access)
{
    struct buf b;
    buf_init(&b, 8192);
    PQconninfoOption *words = PQconninfoParse(options.url, NULL);
    for (PQconninfoOption *w = words; w != NULL && w->keyword != NULL; ++w)
        if (w->val != NULL && !is_replaced(w->keyword))
            add_word(&b, w->keyword, w->val);
    PQconninfoFree(words);
    add_word(&b, "user", access->role);
    add_word(&b, "password", access->password);
    add_word(&b, "dbname", access->database);
    return buf_take(&b);
}
