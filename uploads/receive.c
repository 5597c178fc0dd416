// A visitor's upload from the body to the kept file: read the form → look at the file → decide its
// type → clean it → put its bytes, on a thread of the lane; then keep it, which is one thread's for
// all (keep.c), and answer. An image whose turn to be cleaned has not come leaves the lane meanwhile.
// The file is a view of the body throughout, and only a cleaned image is a second copy of it.
#include "uploads/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/base/log.h"
#include "edge/base/problem.h"
#include "edge/http/body.h"
#include "edge/http/multipart/multipart.h"
#include "edge/inspect/turns.h"
#include "edge/loop/pool.h"

enum { FIELDS_MAX = 20, FIELD_BYTES_MAX = 8 * 1024, RETRY_AFTER_S = 3, URL_MAX = 8192 };
enum { PATIENCE_MS = 10000 }; // of whoever waits for his turn, since his body was there

// --- the form ---

struct form {
    struct files_upload *upload;
    bool has_file, is_in_file;
    char filename[FILE_NAME_ROOM], declared[MULTIPART_NAME_MAX + 1], field[MULTIPART_NAME_MAX + 1];
    str file;         // of the body
    struct buf value; // of the field
    size_t fields;
};

static enum fail on_part(void *ctx, const struct multipart_part *part, struct fault *fault)
{
    struct form *form = ctx;
    form->is_in_file = part->is_file;
    if (!part->is_file) {
        if (++form->fields > FIELDS_MAX)
            return fault_set(fault, FAIL_REFUSED, "too_many_fields",
                             "A form may have 20 fields beside its file at most.");
        snprintf(form->field, sizeof form->field, "%.*s", STR_FMT(part->name));
        buf_clear(&form->value);
        return FAIL_NONE;
    }
    if (form->has_file)
        return fault_set(fault, FAIL_REFUSED, "too_many_files",
                         "Only one file can be sent at a time.");
    form->has_file = true;
    snprintf(form->filename, sizeof form->filename, "%.*s", STR_FMT(part->filename));
    snprintf(form->declared, sizeof form->declared, "%.*s", STR_FMT(part->content_type));
    return FAIL_NONE;
}

static enum fail on_data(void *ctx, str bytes, struct fault *fault)
{
    struct form *form = ctx;
    if (!form->is_in_file) {
        buf_add(&form->value, bytes);
        return form->value.full
                   ? fault_set(fault, FAIL_TOO_LARGE, "field_too_large",
                               "The field %s has more than 8 KiB.", QUOTED(str_from(form->field)))
                   : FAIL_NONE;
    }
    if (form->file.n == 0)
        form->file.p = bytes.p;
    // The whole body is fed at once, so that its pieces stand one behind the other.
    if (form->file.p + form->file.n != bytes.p)
        abort();
    form->file.n += bytes.n;
    if (form->file.n > FILES_FILE_MAX)
        return fault_set(fault, FAIL_TOO_LARGE, "file_too_large",
                         "A file may have 10 MiB at most.");
    return FAIL_NONE;
}

// A name that comes again makes a list, as boxes to tick of one name do.
static void add_field(json_t *fields, const char *name, json_t *value)
{
    json_t *there = json_object_get(fields, name);
    if (there == NULL) {
        json_object_set_new(fields, name, value);
        return;
    }
    if (!json_is_array(there)) {
        json_t *list = json_array();
        json_array_append(list, there);
        json_object_set_new(fields, name, list);
        there = list;
    }
    json_array_append_new(there, value);
}

static enum fail on_part_end(void *ctx, struct fault *fault)
{
    struct form *form = ctx;
    str value = buf_str(&form->value);
    if (form->is_in_file)
        return FAIL_NONE;
    if (!str_is_utf8(value))
        return fault_set(fault, FAIL_BAD_INPUT, "invalid_multipart",
                         "The field %s is not valid UTF-8.", QUOTED(str_from(form->field)));
    add_field(form->upload->fields, form->field, jsonx_string(value));
    return FAIL_NONE;
}

static enum fail check_form(const struct form *form, struct fault *fault)
{
    if (!form->has_file)
        return fault_set(fault, FAIL_REFUSED, "no_file", "No file was sent.");
    if (form->file.n == 0)
        return fault_set(fault, FAIL_REFUSED, "empty_file",
                         "The file is empty, or none was chosen.");
    return FAIL_NONE;
}

static enum fail read_form(struct form *form, struct fault *fault)
{
    static const struct multipart_events events = {on_part, on_data, on_part_end};
    char boundary[MULTIPART_BOUNDARY_MAX + 1];
    struct files_upload *u = form->upload;
    enum fail fail = multipart_boundary(str_from(u->content_type), boundary, fault);
    if (fail != FAIL_NONE)
        return fail;
    u->fields = json_object();
    buf_init(&form->value, FIELD_BYTES_MAX);
    struct multipart *m = multipart_create(boundary, &events, form);
    fail = multipart_feed(m, body_bytes(u->body), fault);
    if (fail == FAIL_NONE)
        fail = multipart_end(m, fault);
    multipart_destroy(m);
    buf_fini(&form->value);
    return fail == FAIL_NONE ? check_form(form, fault) : fail;
}

// --- the file ---

static enum fail find_type(const struct form *form, struct file *ret, struct fault *fault)
{
    struct inspect_seen seen;
    enum fail fail = inspect_file(form->file, &seen, fault);
    if (fail != FAIL_NONE)
        return fail;
    snprintf(ret->original, sizeof ret->original, "%s", form->filename);
    return type_decide(&seen, form->file, str_from(form->filename), str_from(form->declared), false,
                       ret->mime, ret->filename, &form->upload->details, fault);
}

// One upload on its way. The thread that has it owns it; in the list of turns it is nobody's, and
// then goes on by on_turn or on_patience, never by both.
struct receipt {
    struct job job; // first
    struct inspect_turn turn;
    struct loop_timer patience;
    struct keeping keeping;
    struct loop_message back;
    struct loop *loop;
    struct files_upload *upload;
    struct file file;
    str bytes; // of the body
    bool has_turn;
};

static enum fail look(struct receipt *r, struct fault *fault)
{
    struct form form = {.upload = r->upload};
    enum fail fail = link_check(fault);
    if (fail == FAIL_NONE)
        fail = read_form(&form, fault);
    if (fail == FAIL_NONE)
        fail = find_type(&form, &r->file, fault);
    r->bytes = form.file;
    return fail;
}

static enum fail put(struct receipt *r, struct fault *fault)
{
    AUTOFREE char *cleaned = NULL;
    size_t n = 0;
    enum fail fail = FAIL_NONE;
    if (r->upload->strips_images)
        fail = inspect_clean_image(r->bytes, r->file.mime, &cleaned, &n, fault);
    if (r->has_turn)
        inspect_turn_leave(&r->turn);
    if (fail != FAIL_NONE)
        return fail;
    return file_put(db_of_thread(), &r->file, cleaned != NULL ? str_of(cleaned, n) : r->bytes,
                    fault);
}

// --- the answer ---

static json_t *answer_of(const struct file *f)
{
    char sha256[DIGEST_HEX_ROOM];
    struct buf url;
    digest_hex(&f->digest, sha256);
    buf_init(&url, URL_MAX);
    link_make(f, LINK_ATTACHMENT, clock_real_ms(), &url);
    json_t *o = json_pack("{s:s, s:o, s:o, s:s, s:I, s:s}", "fileId", f->id, "filename",
                          jsonx_string(str_from(f->filename)), "url", jsonx_string(buf_str(&url)),
                          "mimeType", f->mime, "size", (json_int_t)f->size, "sha256", sha256);
    buf_fini(&url);
    return o;
}

static void log_failure(const struct files_upload *u)
{
    bool is_crowded = u->fail == FAIL_BUSY && strcmp(u->fault.code, "busy") == 0;
    if (u->fail == FAIL_INTERNAL || (u->fail == FAIL_BUSY && !is_crowded))
        log_write(u->fail == FAIL_INTERNAL ? LOG_ERROR : LOG_WARN, "an upload was not kept",
                  "request=%s instance=%s code=%s reason=%s", u->request_id, u->owner.instance_id,
                  u->fault.code, LOG_STR(str_from(u->fault.log_text)));
}

static void on_back(struct loop_message *m)
{
    struct receipt *r = (struct receipt *)((char *)m - offsetof(struct receipt, back));
    struct files_upload *u = r->upload;
    loop_timer_stop(&r->patience);
    body_destroy(u->body);
    free(u->content_type);
    u->body = NULL;
    u->content_type = NULL;
    free(r);
    u->on_stored(u); // its memory is the asker's
}

static void finish(struct receipt *r)
{
    struct files_upload *u = r->upload;
    if (u->fail == FAIL_NONE) {
        u->file = answer_of(&r->file);
        memcpy(u->file_id, r->file.id, sizeof u->file_id);
    } else if (u->fail == FAIL_BUSY) {
        u->retry_after = RETRY_AFTER_S;
    }
    upload_count(FILE_OF_VISITOR, u->fail, r->file.size);
    log_failure(u);
    r->back.run = on_back;
    loop_post(r->loop, &r->back);
}

static void on_kept(struct keeping *k)
{
    struct receipt *r = (struct receipt *)((char *)k - offsetof(struct receipt, keeping));
    r->upload->fail = k->fail;
    finish(r);
}

static void fail_with(struct receipt *r, enum fail fail)
{
    r->upload->fail = fail;
    finish(r);
}

static void store(struct receipt *r)
{
    struct files_upload *u = r->upload;
    enum fail fail = put(r, &u->fault);
    body_destroy(
        u->body); // its bytes are in the store, or of no use: not kept while others are waited for
    u->body = NULL;
    r->keeping = (struct keeping){.file = &r->file,
                                  .visitor = u->visitor,
                                  .request_id = u->request_id,
                                  .fault = &u->fault,
                                  .on_kept = on_kept};
    if (fail == FAIL_NONE)
        fail = file_keep_start(&r->keeping, &u->fault);
    if (fail != FAIL_NONE)
        fail_with(r, fail); // otherwise nothing of it is ours any more
}

static void on_receive(struct job *job)
{
    struct receipt *r = (struct receipt *)job;
    struct files_upload *u = r->upload;
    enum fail fail = look(r, &u->fault);
    bool is_now = true;
    if (fail == FAIL_NONE && u->strips_images && inspect_can_clean(r->file.mime)) {
        r->has_turn = true;
        fail = inspect_turn_take(&r->turn, &is_now, &u->fault);
    }
    if (fail != FAIL_NONE)
        fail_with(r, fail);
    else if (is_now)
        store(r);
}

// --- the turn ---

static void on_store(struct job *job)
{
    store((struct receipt *)job);
}

static void fail_crowded(struct receipt *r)
{
    fail_with(r, fault_set(&r->upload->fault, FAIL_BUSY, "busy",
                           "Many files are coming in just now. Try again shortly."));
}

static void on_turn(struct inspect_turn *t)
{
    struct receipt *r = (struct receipt *)((char *)t - offsetof(struct receipt, turn));
    r->job = (struct job){.run = on_store};
    if (pool_post(LANE_FILES, &r->job) == FAIL_NONE)
        return;
    inspect_turn_leave(t);
    fail_crowded(r);
}

static void on_patience(struct loop_timer *t)
{
    struct receipt *r = (struct receipt *)((char *)t - offsetof(struct receipt, patience));
    if (inspect_turn_give_up(&r->turn))
        fail_crowded(r);
}

void upload_receive(struct files_upload *u)
{
    struct receipt *r = calloc(1, sizeof *r);
    if (r == NULL)
        abort();
    r->upload = u;
    r->loop = loop_self();
    r->job.run = on_receive;
    r->file = (struct file){.owner = u->owner, .source = FILE_OF_VISITOR};
    r->turn.owner = str_from(r->file.owner.project_id);
    r->turn.on_turn = on_turn;
    r->patience.run = on_patience;
    if (u->strips_images)
        loop_timer_start(&r->patience, PATIENCE_MS);
    if (pool_post(LANE_FILES, &r->job) != FAIL_NONE)
        fail_crowded(r); // otherwise it is the thread's, and perhaps answered already
}
