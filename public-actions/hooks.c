// A deploy is refused for code that cannot be loaded; secrets that are missing to run well are said
// afterwards.
#include "public-actions/hooks.h"
#include "edge/catalog/hooks.h"
#include "public-actions/owner_settings/owner_settings.h"
#include "public-actions/target.h"

bool action_is_name(str s)
{
    for (size_t i = 0; i != s.n; ++i) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '.' || c == '-'))
            return false;
    }
    return s.n != 0 && s.n <= 64;
}

static enum fail on_deploy_check(struct db *db, const struct deploy_facts *f,
                                 struct problems *problems, struct problems *warnings,
                                 struct fault *fault)
{
    if (f->code.p == NULL || !f->is_code_new)
        return FAIL_NONE;
    enum fail fail = plugin_check(f->code, f->code_line, problems, fault);
    return fail == FAIL_REFUSED && problems->count != 0 ? FAIL_NONE : fail;
}

static void on_deployed(struct db *db, const struct deploy_facts *f, struct problems *warnings)
{
    owner_settings_warn(db, f->plugin->id, f->instance, f->front, warnings);
}

static void on_changed(const char *plugin_id)
{
    target_forget_plugin(str_from(plugin_id));
}

void actions_hooks_init(void)
{
    static const struct catalog_hooks hooks = {
        .on_deploy_check = on_deploy_check, .on_deployed = on_deployed, .on_changed = on_changed};
    catalog_hooks_add(&hooks);
}
