// What handlers ask of context.files: each question is a job of its own, with its own copy of what
// it was asked, so that whoever asked may go away at any time. A handler sees the files of its
// plugin in its project, visitors' too, and no others: another's id is not found.
#include "uploads/internal.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/clock.h"
#include "edge/base/jsonx.h"
#include "edge/base/log.h"
#include "edge/http/multipart/multipart.h"
#include "edge/loop/pool.h"
#include "uploads/base64.h"

enum {
    LIST_MAX = 1000,
    ARGS_MAX = 16, // values; no question has more than four
    URL_MAX = 8192,
    WAITING_BYTES_MAX = 64 * 1024 * 1024, // what all questions that wait may hold
};
static _Atomic size_t waiting_bytes;

struct asked {
    struct job job; // first
    struct loop_message refused;
    struct files_question *question; // NULL: cancelled; its loop only
    struct files_owner owner;
    char op[16];
    char *args;
    size_t args_n;
    bool is_error;
    char *answer; // JSON
    size_t answer_n;
};

// --- answers ---

static json_t *url_of(const struct file *f)
{
    struct buf url;
    buf_init(&url, URL_MAX);
    link_make(f, LINK_INLINE, clock_real_ms(), &url);
    json_t *o = jsonx_string(buf_str(&url));
    buf_fini(&url);
    return o;
}

static json_t *describe(const struct file *f)
{
    char created[CLOCK_RFC3339_ROOM];
    clock_rfc3339(f->created_at, created);
    return json_pack("{s:s, s:o, s:o, s:s, s:I, s:[], s:s, s:o, s:s}", "id", f->id, "filename",
                     jsonx_string(str_from(f->filename)), "originalFilename",
                     jsonx_string(str_from(f->original)), "mimeType", f->mime, "size",
                     (json_int_t)f->size, "tags", "description", "", "url", url_of(f), "createdAt",
                     created);
}

// The codes a handler may look at; the others travel as they are.
static const char *code_of(const struct fault *fault)
{
    switch (fault->fail) {
    case FAIL_NOT_FOUND:
        return "not_found";
    case FAIL_BUSY:
        return "busy";
    case FAIL_BAD_INPUT:
    case FAIL_REFUSED:
        return "invalid_file";
    case FAIL_INTERNAL:
        return "internal";
    default:
        return fault->code;
    }
}

static void set_answer(struct asked *a, json_t *value)
{
    a->answer = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (a->answer == NULL)
        abort();
    a->answer_n = strlen(a->answer);
    json_decref(value);
}

static void set_error(struct asked *a, const struct fault *fault)
{
    a->is_error = true;
    set_answer(a, json_pack("{s:o, s:s}", "message", jsonx_string(str_from(fault->public_text)),
                            "code", code_of(fault)));
}

// --- the questions: pool threads. Each gives a value, a new reference. ---

static str text_arg(const json_t *args, size_t i)
{
    const json_t *v = json_array_get(args, i);
    return json_is_string(v) ? str_of(json_string_value(v), json_string_length(v)) : (str){0};
}

static enum fail bad_args(struct fault *fault, const char *sentence)
{
    return fault_set(fault, FAIL_BAD_INPUT, "invalid_file", "%s", sentence);
}

static enum fail decode(str text, char **ret, size_t *ret_n, struct fault *fault)
{
    if (text.n > (size_t)FILES_FILE_MAX * 2) // blanks and all
        return fault_set(fault, FAIL_TOO_LARGE, "file_too_large",
                         "A file may have 10 MiB at most.");
    char *bytes = malloc(text.n / 4 * 3 + FILES_BASE64_SLACK);
    if (bytes == NULL)
        abort();
    enum fail fail = FAIL_NONE;
    if (!files_base64_decode(text, bytes, ret_n))
        fail = bad_args(fault, "The file's data is not base64.");
    else if (*ret_n == 0)
        fail = bad_args(fault, "The file is empty.");
    else if (*ret_n > FILES_FILE_MAX)
        fail =
            fault_set(fault, FAIL_TOO_LARGE, "file_too_large", "A file may have 10 MiB at most.");
    if (fail == FAIL_NONE)
        *ret = bytes;
    else
        free(bytes);
    return fail;
}

static enum fail put(const struct asked *a, str filename, str declared, str bytes, struct file *ret,
                     struct fault *fault)
{
    struct inspect_seen seen;
    *ret = (struct file){.owner = a->owner, .source = FILE_OF_HANDLER};
    multipart_clean_filename(filename, ret->original);
    enum fail fail = inspect_file(bytes, &seen, fault);
    if (fail == FAIL_NONE)
        fail = type_decide(&seen, bytes, str_from(ret->original), declared, true, ret->mime,
                           ret->filename, NULL, fault);
    return fail == FAIL_NONE ? file_put(db_of_thread(), ret, bytes, fault) : fail;
}

static enum fail answer_upload(const struct asked *a, const json_t *args, json_t **ret,
                               struct fault *fault)
{
    AUTOFREE char *bytes = NULL;
    size_t n = 0;
    struct file f = {0};
    str filename = text_arg(args, 0), declared = text_arg(args, 1), data = text_arg(args, 2);
    if (filename.p == NULL || data.p == NULL)
        return bad_args(fault, "A file needs a name, a type and its data.");
    enum fail fail = decode(data, &bytes, &n, fault);
    if (fail == FAIL_NONE)
        fail = put(a, filename, declared, str_of(bytes, n), &f, fault);
    if (fail == FAIL_NONE)
        fail = file_keep(&f, fault);
    upload_count(FILE_OF_HANDLER, fail, f.size);
    if (fail == FAIL_NONE)
        *ret = describe(&f);
    return fail;
}

static enum fail answer_list(const struct asked *a, const json_t *args, json_t **ret,
                             struct fault *fault)
{
    struct page page;
    struct file *list = NULL;
    size_t n = 0;
    const struct file_filter filter = {.project_id = a->owner.project_id,
                                       .plugin_id = a->owner.plugin_id,
                                       .type = text_arg(args, 0)};
    enum fail fail = page_init(&page, STR(""), LIST_MAX, fault);
    if (fail == FAIL_NONE)
        fail = file_list(db_of_thread(), &filter, &page, &list, &n, fault);
    if (fail != FAIL_NONE)
        return fail;
    *ret = json_array();
    for (size_t i = 0, shown = page_shown(&page, n); i != shown; ++i)
        json_array_append_new(*ret, describe(&list[page_row(&page, n, i)]));
    free(list);
    return FAIL_NONE;
}

static enum fail find(const struct asked *a, const json_t *args, struct file *ret,
                      struct fault *fault)
{
    str id = text_arg(args, 0);
    enum fail fail = id.n != 0 && id.n < FILES_ID_ROOM && str_find(id, '\0') == SIZE_MAX
                         ? file_find(db_of_thread(), a->owner.project_id, id, ret, fault)
                         : FAIL_NOT_FOUND;
    if (fail == FAIL_NONE && strcmp(ret->owner.plugin_id, a->owner.plugin_id) != 0)
        fail = FAIL_NOT_FOUND;
    return fail == FAIL_NOT_FOUND
               ? fault_set(fault, fail, "not_found", "This app has no file of that id.")
               : fail;
}

static enum fail answer_get(const struct asked *a, const json_t *args, json_t **ret,
                            struct fault *fault)
{
    struct file f;
    enum fail fail = find(a, args, &f, fault);
    if (fail == FAIL_NONE)
        *ret = describe(&f);
    return fail;
}

static enum fail answer_url(const struct asked *a, const json_t *args, json_t **ret,
                            struct fault *fault)
{
    struct file f;
    enum fail fail = find(a, args, &f, fault);
    if (fail == FAIL_NONE)
        *ret = url_of(&f);
    return fail;
}

static enum fail answer_delete(const struct asked *a, const json_t *args, json_t **ret,
                               struct fault *fault)
{
    struct file f;
    enum fail fail = find(a, args, &f, fault);
    if (fail == FAIL_NONE)
        fail = file_delete(db_of_thread(), a->owner.project_id, str_from(f.id), fault);
    if (fail == FAIL_NONE)
        *ret = json_true();
    return fail;
}

static const struct {
    const char *op;
    enum fail (*answer)(const struct asked *a, const json_t *args, json_t **ret,
                        struct fault *fault);
} operations[] = {{"upload", answer_upload},
                  {"list", answer_list},
                  {"get", answer_get},
                  {"getUrl", answer_url},
                  {"delete", answer_delete}};

static enum fail answer(const struct asked *a, const json_t *args, json_t **ret,
                        struct fault *fault)
{
    for (size_t i = 0; i != sizeof operations / sizeof operations[0]; ++i)
        if (strcmp(operations[i].op, a->op) == 0)
            return operations[i].answer(a, args, ret, fault);
    return fault_set(fault, FAIL_BAD_INPUT, "invalid_file", "There is no such question.");
}

static void drop_args(struct asked *a)
{
    free(a->args);
    a->args = NULL;
    atomic_fetch_sub(&waiting_bytes, a->args_n);
    a->args_n = 0;
}

static void on_ask(struct job *job)
{
    struct asked *a = (struct asked *)job;
    struct fault fault = {0};
    json_t *value = NULL;
    json_auto_t *args = jsonx_parse_theirs(str_of(a->args, a->args_n), ARGS_MAX);
    drop_args(a);
    enum fail fail = link_check(&fault);
    if (fail == FAIL_NONE)
        fail = json_is_array(args) ? answer(a, args, &value, &fault)
                                   : bad_args(&fault, "The arguments are no list.");
    if (fail == FAIL_NONE)
        set_answer(a, value);
    else
        set_error(a, &fault);
    if (fail == FAIL_INTERNAL)
        log_error("a handler's files could not be reached", "instance=%s op=%s reason=%s",
                  a->owner.instance_id, a->op, LOG_STR(str_from(fault.log_text)));
}

// --- the loop ---

static void tell(struct asked *a)
{
    struct files_question *q = a->question;
    if (q != NULL) {
        q->_ = NULL;
        q->on_answer(q, a->is_error, str_of(a->answer, a->answer_n)); // its memory may be gone now
    }
    free(a->answer);
    free(a);
}

static void on_answered(struct job *job)
{
    tell((struct asked *)job);
}

static void on_refused(struct loop_message *m)
{
    tell((struct asked *)((char *)m - offsetof(struct asked, refused)));
}

static enum fail take(struct asked *a, str args)
{
    if (atomic_fetch_add(&waiting_bytes, args.n) + args.n > WAITING_BYTES_MAX) {
        atomic_fetch_sub(&waiting_bytes, args.n);
        return FAIL_BUSY;
    }
    a->args = str_dup(args);
    a->args_n = args.n;
    enum fail fail = pool_post(LANE_FILES, &a->job);
    if (fail != FAIL_NONE)
        drop_args(a);
    return fail;
}

void files_answer(struct files_question *q, str op, str args)
{
    struct fault fault;
    struct asked *a = calloc(1, sizeof *a);
    if (a == NULL)
        abort();
    q->_ = a;
    a->question = q;
    a->owner = q->owner;
    a->job = (struct job){.run = on_ask, .done = on_answered};
    snprintf(a->op, sizeof a->op, "%.*s", STR_FMT(op));
    if (take(a, args) == FAIL_NONE)
        return;
    fault_set(&fault, FAIL_BUSY, "busy",
              "Many files are on their way just now. Try again shortly.");
    set_error(a, &fault);
    a->refused.run = on_refused;
    loop_post(loop_self(), &a->refused);
}

void files_answer_cancel(struct files_question *q)
{
    struct asked *a = q->_;
    if (a != NULL)
        a->question = NULL;
    q->_ = NULL;
}
