// GET /api/public-apps/self: which instance a host is.
#include "public-actions/action.h"
#include <stdlib.h>
#include "public-actions/broker.h"
#include "public-actions/policy.h"

struct self {
    struct target_want want; // first
    struct request *request;
    struct self **holder;
};

static void reply_self(struct request *r, struct target *t, enum fail fail)
{
    if (t == NULL) {
        bool is_missing = fail == FAIL_NOT_FOUND;
        reply_error(r, is_missing ? 404 : 503, is_missing ? "instance_not_found" : "busy",
                    is_missing
                        ? "There is no such app."
                        : "The app cannot be reached right now. Please try again in a moment.",
                    NULL, is_missing ? 0 : 2);
        return;
    }
    json_t *self = json_pack("{s:s, s:s, s:s}", "instanceId", t->instance.id, "instanceSlug",
                             t->instance.slug, "pluginSlug", t->plugin_slug);
    shared_unref(&t->shared);
    reply_json(r, 200, self);
}

static void on_self(struct loop_message *m)
{
    struct self *s = (struct self *)m;
    struct request *r = s->request;
    if (r != NULL) {
        *s->holder = NULL;
        reply_self(r, s->want.ret, s->want.fail);
    } else if (s->want.ret != NULL) {
        shared_unref(&s->want.ret->shared);
    }
    free(s);
}

static void on_self_gone(void *p)
{
    struct self **holder = p;
    if (*holder != NULL)
        (*holder)->request = NULL;
}

static void self_on_request(struct request *r)
{
    r->route = "self";
    if (!str_eq(r->path, STR("/api/public-apps/self"))) {
        reply_error(r, 404, "not_found", "There is nothing at this address.", NULL, 0);
        return;
    }
    if (r->method == METHOD_OPTIONS) {
        reply_options(r, "GET, HEAD, OPTIONS");
        return;
    }
    if (r->method != METHOD_GET && r->method != METHOD_HEAD) {
        reply_method_not_allowed(r, "GET, HEAD, OPTIONS");
        return;
    }
    str ref = r->site == SITE_PREVIEW ? STR("") : r->site_name,
        deployment_id = r->site == SITE_PREVIEW ? r->site_name : STR("");
    struct target *t = NULL;
    enum fail fail = FAIL_NOT_FOUND;
    unsigned retry_after;
    if (broker_is_nobodys_host(r) || target_get(ref, deployment_id, &t, &fail)) {
        reply_self(r, t, fail);
        return;
    }
    if (!policy_may_load(r, &retry_after)) {
        broker_reply_too_often(r, retry_after);
        return;
    }
    struct self *s = calloc(1, sizeof *s);
    if (s == NULL)
        abort();
    s->want.message.run = on_self;
    s->want.loop = r->loop;
    memcpy(s->want.ref, ref.p, ref.n);
    memcpy(s->want.deployment_id, deployment_id.p, deployment_id.n);
    s->request = r;
    s->holder = request_holder(r, sizeof *s->holder, on_self_gone);
    *s->holder = s;
    target_want(&s->want);
}

struct service *actions_self_service(void)
{
    static struct service service = {.name = "self",
                                     .sites = 1 << SITE_INSTANCE | 1 << SITE_PREVIEW,
                                     .prefix = "/api/public-apps/",
                                     .on_request = self_on_request};
    return &service;
}
