// An upload in the order it happens: action_upload_start (the body is taken) → on_stored (the file is
// kept, or was refused) → a run, which calls onUpload when there is one and is recorded in any case →
// on_finished (the project's loop) → on_back (here) → the answer.
//
// The visitor's word and the file go together: whoever was told anything but success will send it
// again, so that what was kept for nothing is deleted.
#include "public-actions/upload.h"
#include <stdatomic.h>
#include <stdlib.h>
#include "edge/base/jsonx.h"
#include "edge/catalog/files.h"
#include "edge/http/body.h"
#include "public-actions/envelope.h"
#include "public-actions/run.h"

#define ACTION ACTION_UPLOAD

enum { FIELDS_BYTES_MAX = 20 * 8 * 1024, BUSY_RETRY_S = 2 };

struct upload {
    struct files_upload files; // first
    struct request *request;   // NULL once the visitor has left; this loop only
    struct upload **holder;
    struct loop *loop;
    struct target *target; // a reference
    struct action_run *run;
    struct loop_message back;
    size_t bytes; // of the body
};

static _Atomic size_t running; // for the end of the process

size_t action_uploads_running(void)
{
    return atomic_load(&running);
}

static void upload_destroy(struct upload *u)
{
    if (u->holder != NULL)
        *u->holder = NULL;
    files_upload_fini(&u->files);
    action_run_destroy(u->run);
    shared_unref(&u->target->shared);
    free(u);
    atomic_fetch_sub(&running, 1);
}

static void on_gone(void *p)
{
    struct upload **holder = p;
    if (*holder != NULL) {
        (*holder)->request = NULL;
        (*holder)->holder = NULL;
    }
}

// --- the answer ---

// The holder lets go first: an answer may end the request at once.
static struct request *let_go(struct upload *u)
{
    struct request *r = u->request;
    if (u->holder != NULL)
        *u->holder = NULL;
    u->holder = NULL;
    u->request = NULL;
    return r;
}

static bool is_success(const struct action_run *run)
{
    return run->outcome == PLUGIN_RETURNED && !run->reported_error && run->is_kept;
}

static void on_back(struct loop_message *m)
{
    struct upload *u = (struct upload *)((char *)m - offsetof(struct upload, back));
    struct request *r = let_go(u);
    if (u->files.fail == FAIL_NONE && !is_success(u->run))
        files_discard(&u->files.owner, u->files.file_id);
    if (r != NULL && u->files.fail != FAIL_NONE)
        reply_fault(r, &u->files.fault, json_incref(u->files.details), u->files.retry_after);
    else if (r != NULL)
        envelope_reply_upload(r, u->run, u->files.file);
    upload_destroy(u);
}

static void on_finished(struct action_run *run)
{
    struct upload *u = run->arg;
    u->back.run = on_back;
    loop_post(u->loop, &u->back);
}

// --- the run ---

// The word must stand in the code as it is: an app that never says it has no such export, and needs
// no worker to be asked.
static bool may_have_handler(const struct target *t)
{
    return t->handler != NULL && str_find_str(t->handler->code, STR("onUpload")) != SIZE_MAX;
}

static void add_member(struct buf *to, const char *name, const json_t *value)
{
    char *text = value != NULL ? jsonx_dump(value, NULL) : NULL;
    buf_addf(to, "\"%s\":", name);
    buf_add(to, text != NULL ? str_from(text) : STR("null"));
    free(text);
}

static void add_input(struct buf *to, const struct upload *u)
{
    buf_add(to, STR("{\"_publicAction\":true,\"actionId\":\"" ACTION "\",\"payload\":{"));
    add_member(to, "file", u->files.file);
    buf_addc(to, ',');
    add_member(to, "fields", u->files.fields);
    buf_addf(to, "},\"instanceId\":\"%s\",\"visitorIp\":\"%s\"}", u->target->instance.id,
             u->files.visitor);
}

// The fields wait with the run. What was stored and cannot be is as good as refused.
static void check_room(struct upload *u)
{
    struct files_upload *f = &u->files;
    if (f->fail != FAIL_NONE || action_run_may_hold(u->run, FIELDS_BYTES_MAX))
        return;
    files_discard(&f->owner, f->file_id);
    f->retry_after = BUSY_RETRY_S;
    f->fail = fault_set(&f->fault, FAIL_BUSY, "busy",
                        "There is too much going on right now. Please try again in a moment.");
}

static void on_stored(struct files_upload *files)
{
    struct upload *u = (struct upload *)files;
    shared_ref(&u->target->shared);
    struct action_run *run = u->run = action_run_create(u->target, RUN_PUBLIC, STR(ACTION));
    check_room(u);
    bool is_stored = files->fail == FAIL_NONE;
    run->entry = is_stored && may_have_handler(u->target) ? "onUpload" : NULL;
    run->arg = u;
    run->on_finished = on_finished;
    run->timeout_ms = u->target->timeout_ms;
    run->input_bytes = (uint32_t)u->bytes;
    memcpy(run->request_id, files->request_id, sizeof run->request_id);
    memcpy(run->visitor, files->visitor, sizeof run->visitor);
    if (is_stored)
        add_input(&run->input, u);
    else
        run->refusal =
            json_pack("{s:s, s:s}", "name", files->fault.code, "message", files->fault.public_text);
    action_run_start(run);
}

// --- the body ---

bool action_upload_bound(str path, struct body_bound *ret)
{
    str name = str_cut(&path, '?');
    str_cut(&name, '/'); // the instance
    if (!str_eq(name, STR(ACTION)))
        return false;
    *ret = (struct body_bound){.max = FILES_BODY_MAX,
                               .code = "file_too_large",
                               .message = "A file may have 10 MiB at most."};
    return true;
}

bool action_upload_is_type(str content_type)
{
    return str_caseeq(str_trim(str_cut(&content_type, ';')), STR("multipart/form-data"));
}

void action_upload_start(struct request *r, struct target *target)
{
    struct upload *u = calloc(1, sizeof *u);
    if (u == NULL)
        abort();
    atomic_fetch_add(&running, 1);
    u->loop = r->loop;
    u->target = target;
    u->bytes = r->body.n;
    u->request = r;
    u->holder = request_holder(r, sizeof *u->holder, on_gone);
    *u->holder = u;
    target_files_owner(target, &u->files.owner);
    u->files.body = body_take(r);
    u->files.content_type = str_dup(request_header(r, HEADER_CONTENT_TYPE));
    memcpy(u->files.visitor, r->peer, sizeof u->files.visitor);
    memcpy(u->files.request_id, r->id, sizeof u->files.request_id);
    u->files.strips_images = target->settings.strips_images;
    u->files.on_stored = on_stored;
    files_receive(&u->files);
}
