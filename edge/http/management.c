// A management request in five steps: management_on_request (match, limits) → start_call (copy what
// outlives the request) → on_run (pool thread: authenticate, read the body, run the endpoint) →
// on_done (loop: the client may have gone) → reply_call. What takes turns (management_turns.h) goes
// round before: start_call → on_ask (pool thread: whose it is) → on_asked (loop: its turn?) → on_turn
// → on_run.
#include "edge/http/management.h"
#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "edge/base/jsonx.h"
#include "edge/base/log.h"
#include "edge/http/body.h"
#include "edge/http/internal.h"
#include "edge/http/management_turns.h"
#include "edge/http/urlencoded.h"

enum { ENDPOINTS_MAX = 256, PARAM_MAX = 256, ANY_OBJECT_DEPTH_MAX = 200 };

static const struct endpoint *endpoints[ENDPOINTS_MAX];
static size_t endpoint_total;
static authenticate_fn authenticate_hook;
static origin_check_fn origin_hook;
static holder_fn holder_hook;
static _Atomic size_t memory_max, memory_used, running;

void management_init(authenticate_fn authenticate, size_t body_memory)
{
    authenticate_hook = authenticate;
    memory_max = body_memory;
}

void management_check_origins_by(origin_check_fn check)
{
    origin_hook = check;
}

void management_take_turns_by(holder_fn holder)
{
    holder_hook = holder;
}

void management_set_memory(size_t body_memory)
{
    memory_max = body_memory;
}

void management_register(const struct endpoint *list, size_t count)
{
    assert(endpoint_total + count <= ENDPOINTS_MAX);
    for (size_t i = 0; i != count; ++i)
        endpoints[endpoint_total++] = &list[i];
}

size_t management_count(void)
{
    return endpoint_total;
}
const struct endpoint *management_at(size_t index)
{
    return endpoints[index];
}
size_t management_running(void)
{
    return running;
}

// --- matching ---

static str without_version(str path)
{
    str tail = str_starts(path, STR("/api/v1/")) ? str_skip(path, 7)
               : str_starts(path, STR("/api/"))  ? str_skip(path, 4)
                                                 : (str){0};
    return tail; // begins with the slash after "/api" or "/api/v1"
}

// Takes "/segment" off the front.
static str cut_segment(str *path)
{
    str rest = str_skip(*path, 1);
    size_t n = str_find(rest, '/');
    str segment = str_of(rest.p, n != SIZE_MAX ? n : rest.n);
    *path = str_skip(rest, segment.n);
    return segment;
}

// Equal segments, or ":name", which takes one segment that is not empty.
static bool path_matches(str pattern, str path, str params[ENDPOINT_PARAMS_MAX])
{
    size_t n = 0;
    while (pattern.n != 0 && path.n != 0) {
        str want = cut_segment(&pattern), have = cut_segment(&path);
        if (want.n != 0 && want.p[0] == ':') {
            if (have.n == 0)
                return false;
            assert(n < ENDPOINT_PARAMS_MAX);
            params[n++] = have;
        } else if (!str_eq(want, have)) {
            return false;
        }
    }
    return pattern.n == 0 && path.n == 0;
}

static str pattern_tail(const struct endpoint *e)
{
    return str_skip(str_from(e->path), 4);
}

size_t management_body_max(str method, str path)
{
    str tail = without_version(path), params[ENDPOINT_PARAMS_MAX];
    size_t max = SIZE_MAX;
    for (size_t i = 0; i != endpoint_total; ++i)
        if (tail.n != 0 && str_eq(method, str_from(endpoints[i]->method)) &&
            path_matches(pattern_tail(endpoints[i]), tail, params) &&
            (max == SIZE_MAX || endpoints[i]->body_max > max))
            max = endpoints[i]->body_max;
    return max;
}

// --- a call ---

struct management_call {
    struct job super;
    struct call call;
    struct request *request; // NULL once the client has gone
    struct answer answer;
    struct fault fault;
    enum fail fail;
    str authorization, query;
    char request_id[TOKEN_REQUEST_ID_ROOM], peer[46];
    char *json_text; // the answer, packed
    size_t json_size, charged;
    struct call_holder *holder;
    struct management_turn turn;
    char turn_holder[TURN_HOLDER_ROOM];
    struct body *body; // of call.body; NULL when it is empty
    char *text;        // copies of what the request said, in one allocation
    size_t text_used, text_room;
};

struct call_holder {
    struct management_call *call; // NULL once it is being answered
};

static void call_free(struct management_call *c)
{
    memory_used -= c->charged;
    --running;
    json_decref(c->call.json);
    json_decref(c->answer.json);
    json_decref(c->answer.details);
    if (c->answer.stream != NULL)
        c->answer.stream->close(c->answer.stream);
    if (c->answer.later != NULL)
        c->answer.later->drop(c->answer.later);
    free((void *)c->call.principal);
    body_destroy(c->body);
    free(c->json_text);
    free(c->text);
    free(c);
}

static char *room_for(struct management_call *c, size_t n)
{
    assert(c->text_used + n <= c->text_room); // summed up once, in start_call
    char *to = c->text + c->text_used;
    c->text_used += n;
    return to;
}

static str keep(struct management_call *c, str s)
{
    char *to = room_for(c, s.n);
    if (s.n != 0)
        memcpy(to, s.p, s.n);
    return str_of(to, s.n);
}

static enum fail parse_query(struct management_call *c)
{
    const struct endpoint_field *known = c->call.endpoint->query;
    for (str rest = c->query; rest.n != 0;) {
        str value = str_cut(&rest, '&'), name = str_cut(&value, '=');
        if (name.n == 0)
            continue;
        char *decoded = room_for(c, name.n + value.n);
        size_t name_size, value_size;
        if (!url_decode(name, true, decoded, &name_size) ||
            !url_decode(value, true, decoded + name_size, &value_size) ||
            !url_is_text(str_of(decoded, name_size + value_size)))
            return fault_set(&c->fault, FAIL_BAD_INPUT, "bad_query",
                             "The query string is not valid percent-encoded UTF-8.");
        str clean = str_of(decoded, name_size);
        const struct endpoint_field *f = known;
        while (f != NULL && f->name != NULL && !str_eq(clean, str_from(f->name)))
            ++f;
        if (f == NULL || f->name == NULL)
            return fault_set(&c->fault, FAIL_REFUSED, "unknown_parameter",
                             "This operation has no query parameter \"%.*s\".",
                             (int)(clean.n < 64 ? clean.n : 64), clean.p);
        if (call_query(&c->call, f->name).p != NULL)
            return fault_set(&c->fault, FAIL_REFUSED, "duplicate_parameter",
                             "The query parameter \"%s\" stands there twice.", f->name);
        assert(c->call.query_count < QUERY_PARAMS_MAX);
        c->call.query[c->call.query_count].name = clean;
        c->call.query[c->call.query_count++].value = str_of(decoded + name_size, value_size);
    }
    return FAIL_NONE;
}

static bool has_type(const json_t *v, const char *type)
{
    switch (type[0]) {
    case 's':
        return json_is_string(v);
    case 'b':
        return json_is_boolean(v);
    case 'i':
        return json_is_integer(v);
    case 'o':
        return json_is_object(v);
    default:
        return json_is_array(v);
    }
}

// Unknown, missing and mistyped members, all of them at once, as details.fields.
static enum fail check_fields(struct management_call *c)
{
    const struct endpoint_field *known = c->call.endpoint->fields;
    json_t *wrong = json_object();
    const char *key;
    json_t *value;
    json_object_foreach(c->call.json, key, value)
    {
        const struct endpoint_field *f = known;
        while (f != NULL && f->name != NULL && strcmp(f->name, key) != 0)
            ++f;
        if (f == NULL || f->name == NULL)
            json_object_set_new(wrong, key, json_string("This operation knows no such field."));
        else if (!has_type(value, f->type) && !(json_is_null(value) && !f->required))
            json_object_set_new(wrong, key, json_sprintf("This must be of type %s.", f->type));
    }
    for (const struct endpoint_field *f = known; f != NULL && f->name != NULL; ++f)
        if (f->required && json_object_get(c->call.json, f->name) == NULL)
            json_object_set_new(wrong, f->name, json_string("This field is required."));
    if (json_object_size(wrong) == 0) {
        json_decref(wrong);
        return FAIL_NONE;
    }
    c->answer.details = json_pack("{s:o}", "fields", wrong);
    return fault_set(&c->fault, FAIL_REFUSED, "invalid_request",
                     "Some fields of the request cannot be accepted.");
}

static bool media_type_is(str content_type, str want)
{
    str type = content_type;
    return str_caseeq(str_trim(str_cut(&type, ';')), want);
}

// What JSON.parse takes, and visitors may send too: it is handed on as it stands.
static enum fail check_any_object(struct management_call *c)
{
    str body = c->call.body;
    if (jsonx_is_valid(body, ANY_OBJECT_DEPTH_MAX) && body.p[strspn(body.p, " \t\r\n")] == '{')
        return FAIL_NONE;
    return fault_set(&c->fault, FAIL_BAD_INPUT, "invalid_json",
                     "The body must be a JSON object, nested at most %d deep.",
                     ANY_OBJECT_DEPTH_MAX);
}

static enum fail read_body(struct management_call *c)
{
    const struct endpoint *e = c->call.endpoint;
    if (e->body == BODY_NONE)
        return c->call.body.n == 0 ? FAIL_NONE
                                   : fault_set(&c->fault, FAIL_BAD_INPUT, "unexpected_body",
                                               "This operation takes no request body.");
    if (e->body == BODY_BYTES)
        return FAIL_NONE;
    if (c->call.body.n != 0 && !media_type_is(c->call.content_type, STR("application/json")))
        return fault_set(&c->fault, FAIL_BAD_TYPE, "unsupported_media_type",
                         "Send the body as application/json.");
    if (c->call.body.n == 0)
        c->call.body = STR("{}");
    if (e->body == BODY_ANY_OBJECT)
        return check_any_object(c);
    c->call.json = jsonx_parse(c->call.body, &c->fault);
    if (c->call.json == NULL)
        return c->fault.fail;
    if (!json_is_object(c->call.json))
        return fault_set(&c->fault, FAIL_BAD_INPUT, "invalid_json",
                         "The body must be a JSON object.");
    return check_fields(c);
}

static enum fail run_call(struct management_call *c)
{
    const struct endpoint *e = c->call.endpoint;
    c->call.db = e->scope != SCOPE_NONE ? db_of_thread() : NULL;
    if (e->scope != SCOPE_NONE) {
        struct principal *p = NULL;
        enum fail fail = authenticate_hook(&c->call, c->authorization, &p, &c->fault);
        if (fail != FAIL_NONE)
            return fail;
        c->call.principal = p;
        if (origin_hook != NULL && c->call.origin.n != 0)
            fail = origin_hook(p, c->call.origin, &c->fault);
        if (fail != FAIL_NONE)
            return fail;
    }
    enum fail fail = parse_query(c);
    if (fail == FAIL_NONE)
        fail = read_body(c);
    if (fail == FAIL_NONE)
        fail = e->run(&c->call, &c->answer, &c->fault);
    return fail;
}

static void on_run(struct job *super)
{
    struct management_call *c = (struct management_call *)super;
    c->fail = run_call(c);
    if (c->call.db != NULL)
        db_rollback(
            c->call
                .db); // a transaction that a failure left open ends here, whatever the endpoint did
    if (c->fail == FAIL_NONE && c->answer.json != NULL)
        c->json_text = jsonx_dump(c->answer.json, &c->json_size);
}

struct json_body {
    struct shared super;
    char *text;
};

static void json_body_free(struct shared *s)
{
    struct json_body *b = (struct json_body *)s;
    free(b->text);
    free(b);
}

static void reply_object(struct management_call *c, int status)
{
    struct request *r = c->request;
    reply_add(r, "content-type", STR("application/json"));
    reply_add(r, "x-content-type-options", STR("nosniff"));
    reply_add(r, "cache-control", STR("no-store"));
    if (c->answer.text.p != NULL) {
        reply_bytes(r, status, NULL, c->answer.text, NULL);
        return;
    }
    struct json_body *body = malloc(sizeof *body);
    if (body == NULL)
        abort();
    shared_init(&body->super, json_body_free);
    body->text = c->json_text != NULL ? c->json_text : str_dup(STR("{}"));
    str text = str_of(body->text, c->json_text != NULL ? c->json_size : 2);
    c->json_text = NULL;
    reply_bytes(r, status, NULL, text, &body->super);
    shared_unref(&body->super); // the reply holds its own
}

static void reply_call(struct management_call *c)
{
    struct request *r = c->request;
    const struct endpoint *e = c->call.endpoint;
    if (c->fail != FAIL_NONE) {
        c->fault.fail = c->fail;
        json_t *details = c->answer.details;
        c->answer.details = NULL;
        reply_fault(r, &c->fault, details, c->answer.retry_after);
        return;
    }
    int status = c->answer.status != 0 ? c->answer.status : e->success;
    if (c->answer.stream != NULL) {
        struct stream *stream = c->answer.stream;
        c->answer.stream = NULL;
        if (c->answer.stream_filename[0] != '\0') {
            char disposition[192];
            snprintf(disposition, sizeof disposition, "attachment; filename=\"%s\"",
                     c->answer.stream_filename);
            reply_add(r, "content-disposition", str_from(disposition));
        }
        reply_stream(r, status, c->answer.stream_type, c->answer.stream_size, stream);
        return;
    }
    reply_object(c, status);
}

static void on_done(struct job *super)
{
    struct management_call *c = (struct management_call *)super;
    management_turn_end(&c->turn);
    if (c->request != NULL)
        c->holder->call = NULL; // the request's memory may go inside the reply
    if (c->fail == FAIL_NONE && c->answer.later != NULL) {
        struct later *later = c->answer.later;
        c->answer.later = NULL;
        later->start(later, c->request);
    } else if (c->request != NULL) {
        reply_call(c);
    }
    call_free(c);
}

// --- turns ---

static enum fail find_holder(struct management_call *c)
{
    struct principal *p = NULL;
    c->call.db = db_of_thread();
    enum fail fail = authenticate_hook(&c->call, c->authorization, &p, &c->fault);
    if (fail == FAIL_NONE)
        snprintf(c->turn_holder, sizeof c->turn_holder, "%u %s", (unsigned)c->call.endpoint->lane,
                 holder_hook(p)); // each lane has turns of its own
    free(p);                      // asked for again with its turn: it may wait for long
    db_rollback(c->call.db);
    return fail;
}

static void on_ask(struct job *super)
{
    struct management_call *c = (struct management_call *)super;
    c->fail = find_holder(c);
}

static void on_turn(struct management_turn *t)
{
    struct management_call *c =
        (struct management_call *)((char *)t - offsetof(struct management_call, turn));
    c->super.run = on_run;
    c->super.done = on_done;
    if (pool_post(c->call.endpoint->lane, &c->super) == FAIL_NONE)
        return;
    c->fail = fault_set(&c->fault, FAIL_BUSY, "busy",
                        "The server has too much to do right now. Please try again in a moment.");
    on_done(&c->super);
}

static void on_asked(struct job *super)
{
    struct management_call *c = (struct management_call *)super;
    enum turn_answer turn = TURN_TOO_MANY;
    if (c->fail == FAIL_NONE) {
        turn = management_turn_ask(&c->turn, c->turn_holder);
        if (turn == TURN_TOO_MANY)
            c->fail = fault_set(&c->fault, FAIL_TOO_MANY, "too_many_waiting",
                                "%d such calls of this project wait for their turn already. "
                                "Please try again in a moment.",
                                TURNS_WAITING_MAX);
    }
    if (turn == TURN_NOW)
        on_turn(&c->turn);
    else if (turn == TURN_TOO_MANY)
        on_done(super);
}

static enum fail post_call(struct management_call *c)
{
    enum lane lane = c->call.endpoint->lane;
    bool takes_turns = (lane == LANE_INGEST || lane == LANE_DATA) && holder_hook != NULL;
    c->turn.begin = on_turn;
    c->super.run = takes_turns ? on_ask : on_run;
    c->super.done = takes_turns ? on_asked : on_done;
    return pool_post(takes_turns ? LANE_API : lane, &c->super);
}

static void on_client_gone(void *p)
{
    struct call_holder *holder = p;
    if (holder->call != NULL)
        holder->call->request = NULL;
}

// Path parameters are decoded once; what is no text, or too long to be an id or a slug, names
// nothing.
static bool keep_params(struct management_call *c, const str params[ENDPOINT_PARAMS_MAX])
{
    for (size_t i = 0; i != ENDPOINT_PARAMS_MAX && params[i].p != NULL; ++i) {
        char *to = room_for(c, params[i].n);
        size_t n;
        if (!url_decode(params[i], false, to, &n) || n == 0 || n > PARAM_MAX ||
            !url_is_text(str_of(to, n)))
            return false;
        c->call.params[i] = str_of(to, n);
    }
    return true;
}

// JSON to browsers too: who mistypes an address of the API is to see the API's answer.
static void not_found(struct request *r)
{
    reply_error_json(
        r, 404, "not_found",
        "There is nothing at this address. The operations are listed at /api/openapi.json.", NULL);
}

// A pool thread may still be reading when the client has left. False: the calls that run hold too
// much memory.
static bool take_body(struct management_call *c, struct request *r)
{
    if (r->body.n == 0)
        return true;
    c->body = body_take(r);
    c->call.body = body_bytes(c->body);
    c->charged = body_memory(c->body);
    size_t before = atomic_fetch_add(&memory_used, c->charged);
    return c->charged <= memory_max && before <= memory_max - c->charged;
}

static void start_call(struct request *r, const struct endpoint *e,
                       const str params[ENDPOINT_PARAMS_MAX])
{
    struct management_call *c = calloc(1, sizeof *c);
    if (c == NULL)
        abort();
    ++running;
    c->request = r;
    c->call.endpoint = e;
    str type = request_header(r, HEADER_CONTENT_TYPE), origin = request_header(r, HEADER_ORIGIN),
        authorization = request_header(r, HEADER_AUTHORIZATION);
    c->text_room = type.n + origin.n + authorization.n + 2 * r->query.n + r->path.n;
    c->text = malloc(c->text_room + 1);
    if (c->text == NULL)
        abort();
    c->call.content_type = keep(c, type);
    c->call.origin = keep(c, origin);
    c->authorization = keep(c, authorization);
    c->query = keep(c, r->query);
    memcpy(c->request_id, r->id, sizeof c->request_id);
    memcpy(c->peer, r->peer, sizeof c->peer);
    c->call.request_id = c->request_id;
    c->call.peer = str_from(c->peer);
    if (!keep_params(c, params)) {
        call_free(c);
        not_found(r);
        return;
    }
    c->holder = request_holder(r, sizeof *c->holder, on_client_gone);
    c->holder->call = c;
    if (!take_body(c, r) || post_call(c) != FAIL_NONE) {
        c->holder->call = NULL;
        call_free(c);
        reply_error(r, 503, "busy",
                    "The server has too much to do right now. Please try again in a moment.", NULL,
                    2);
    }
}

static bool method_is(const struct endpoint *e, const struct request *r)
{
    return str_eq(str_from(e->method), r->method_name) ||
           (r->method == METHOD_HEAD && strcmp(e->method, "GET") == 0);
}

static void reply_wrong_method(struct request *r, str tail)
{
    str params[ENDPOINT_PARAMS_MAX];
    struct buf allow;
    buf_init(&allow, 128);
    for (size_t i = 0; i != endpoint_total; ++i)
        if (path_matches(pattern_tail(endpoints[i]), tail, params))
            buf_addf(&allow, "%s%s, ", endpoints[i]->method,
                     strcmp(endpoints[i]->method, "GET") == 0 ? ", HEAD" : "");
    buf_add(&allow, STR("OPTIONS"));
    char *text = request_alloc(r, allow.n + 1);
    memcpy(text, allow.p, allow.n);
    text[allow.n] = '\0';
    buf_fini(&allow);
    if (r->method == METHOD_OPTIONS)
        reply_options(r, text);
    else
        reply_method_not_allowed(r, text);
}

void management_on_request(struct request *r)
{
    str tail = without_version(r->path);
    bool path_is_known = false;
    for (size_t i = 0; tail.n != 0 && i != endpoint_total; ++i) {
        const struct endpoint *e = endpoints[i];
        str params[ENDPOINT_PARAMS_MAX] = {0};
        if (!path_matches(pattern_tail(e), tail, params))
            continue;
        path_is_known = true;
        if (!method_is(e, r))
            continue;
        r->route = e->id;
        if (r->body.n > e->body_max && e->body != BODY_NONE) {
            reply_error(r, 413, "body_too_large",
                        "The request body is larger than this operation takes.", NULL, 0);
            return;
        }
        if (request_is_encoded(r)) {
            reply_encoded_body(r);
            return;
        }
        start_call(r, e, params);
        return;
    }
    if (path_is_known)
        reply_wrong_method(r, tail);
    else
        not_found(r);
}

// --- what endpoints ask of their call ---

str call_query(const struct call *call, const char *name)
{
    for (size_t i = 0; i != call->query_count; ++i)
        if (str_eq(call->query[i].name, str_from(name)))
            return call->query[i].value;
    return (str){0};
}

enum fail call_query_bool(const struct call *call, const char *name, bool absent, bool *ret,
                          struct fault *fault)
{
    str v = call_query(call, name);
    if (v.p == NULL)
        *ret = absent;
    else if (str_eq(v, STR("true")) || str_eq(v, STR("1")))
        *ret = true;
    else if (str_eq(v, STR("false")) || str_eq(v, STR("0")))
        *ret = false;
    else
        return fault_set(fault, FAIL_REFUSED, "invalid_parameter",
                         "The query parameter \"%s\" must be true or false.", name);
    return FAIL_NONE;
}

enum fail call_limit(const struct call *call, unsigned *ret, struct fault *fault)
{
    str v = call_query(call, "limit");
    uint64_t n = 50;
    if (v.p != NULL && (!str_to_u64(v, 100, &n) || n == 0))
        return fault_set(fault, FAIL_REFUSED, "invalid_parameter",
                         "The query parameter \"limit\" must be a number from 1 to 100.");
    *ret = (unsigned)n;
    return FAIL_NONE;
}
