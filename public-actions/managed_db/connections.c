// Lines, room and age of connections. Room is taken and given back here only.
#include "public-actions/managed_db/connections.h"
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    LINE_MAX = 1000,                    // queries waiting, a plugin: more than its runs at once
    LINE_BYTES_MAX = 32 * 1024 * 1024,  // their statements and parameters
    ROOM_BYTES_MAX = 128 * 1024 * 1024, // of all plugins of a loop
    TURN = 16,          // queries a plugin's only connection serves while another plugin has none
    REST_MS = 60000,    // a connection nobody used for this long is closed
    FORGET_MS = 600000, // a role's access is fetched again after it
    SWEEP_MS = 5000,
    FEED_MS = 20, // while somebody starves: room comes free on other loops too
};

static struct managed_db_room rooms[LOOPS_MAX];

// What a loop that is short of room sends to the others; not sent again before it was read.
static struct wish {
    struct loop_message super;
    _Atomic bool is_posted;
    bool is_open; // of the reading loop's: nothing was at rest, the next one to end is closed
} wishes[LOOPS_MAX];

struct managed_db_room *managed_db_room_self(void)
{
    struct loop *loop = loop_self();
    assert(loop != NULL);
    return &rooms[loop_index(loop)];
}

static struct wish *wish_self(void)
{
    return &wishes[loop_index(loop_self())];
}

static uint64_t now(void)
{
    return loop_now(loop_self());
}

static void *zeroed(size_t n)
{
    void *p = calloc(1, n);
    if (p == NULL)
        abort();
    return p;
}

// --- projects and roles ---

// FNV-1a; ids are ours, not a stranger's choice.
static unsigned bucket_of(const char *id)
{
    uint32_t h = 2166136261u;
    for (; *id != '\0'; ++id)
        h = (h ^ (unsigned char)*id) * 16777619u;
    return h % MANAGED_DB_BUCKETS;
}

static struct managed_db_project *project_of(struct managed_db_room *room, const char *id)
{
    struct managed_db_project **bucket = &room->projects[bucket_of(id)], *p;
    for (p = *bucket; p != NULL && strcmp(p->id, id) != 0;)
        p = p->next;
    if (p != NULL)
        return p;
    p = zeroed(sizeof *p);
    memcpy(p->id, id, strnlen(id, sizeof p->id - 1));
    p->next = *bucket;
    return *bucket = p;
}

static void project_unref(struct managed_db_room *room, struct managed_db_project *p)
{
    if (--p->roles != 0)
        return;
    struct managed_db_project **at = &room->projects[bucket_of(p->id)];
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    free(p);
}

static struct managed_db_role *role_create(struct managed_db_room *room, const char *project_id,
                                           const char *plugin_id)
{
    struct managed_db_role *r = zeroed(sizeof *r);
    r->project = project_of(room, project_id);
    ++r->project->roles;
    memcpy(r->plugin_id, plugin_id, strnlen(plugin_id, sizeof r->plugin_id - 1));
    TAILQ_INIT(&r->line);
    TAILQ_INIT(&r->resting);
    TAILQ_INSERT_TAIL(&room->roles, r, in_age);
    struct managed_db_role **bucket = &room->buckets[bucket_of(plugin_id)];
    r->next = *bucket;
    return *bucket = r;
}

static struct managed_db_role *role_of(struct managed_db_room *room, const char *project_id,
                                       const char *plugin_id)
{
    struct managed_db_role *r = room->buckets[bucket_of(plugin_id)];
    while (r != NULL &&
           (strcmp(r->plugin_id, plugin_id) != 0 || strcmp(r->project->id, project_id) != 0))
        r = r->next;
    if (r == NULL)
        r = role_create(room, project_id, plugin_id);
    r->used_at = now();
    TAILQ_REMOVE(&room->roles, r, in_age);
    TAILQ_INSERT_TAIL(&room->roles, r, in_age);
    return r;
}

static bool is_in_use(const struct managed_db_role *r)
{
    return r->connections != 0 || r->line_count != 0 || r->is_fetching || r->project->is_measuring;
}

static void role_forget(struct managed_db_room *room, struct managed_db_role *r)
{
    struct managed_db_role **at = &room->buckets[bucket_of(r->plugin_id)];
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    TAILQ_REMOVE(&room->roles, r, in_age);
    project_unref(room, r->project);
    explicit_bzero(&r->access, sizeof r->access);
    if (r->conninfo != NULL)
        explicit_bzero(r->conninfo, strlen(r->conninfo));
    free(r->conninfo);
    free(r);
}

// --- room ---

// How many connections there may be in all when this project opens another.
static uint64_t limit_for(const struct managed_db_project *p)
{
    uint64_t all = managed_db_options()->connections;
    return p->connections == 0 ? all : all - all / 4;
}

static bool take_one(uint64_t limit)
{
    uint64_t n = managed_db_counts.connections;
    while (n < limit)
        if (atomic_compare_exchange_weak(&managed_db_counts.connections, &n, n + 1))
            return true;
    return false;
}

void managed_db_give_room_back(struct managed_db_role *r)
{
    uint64_t before = atomic_fetch_sub(&managed_db_counts.connections, 1);
    assert(before != 0);
    --r->connections;
    --r->project->connections;
}

// Closes the connection that rests longest; of this project, unless it is NULL.
static bool evict(struct managed_db_room *room, const struct managed_db_project *of)
{
    struct managed_db_connection *c;
    TAILQ_FOREACH(c, &room->resting, in_age)
    {
        if (of == NULL || c->role->project == of) {
            managed_db_connection_close(c, false);
            return true;
        }
    }
    return false;
}

static void on_wish(struct loop_message *m)
{
    struct wish *w = (struct wish *)m;
    w->is_open = !evict(managed_db_room_self(), NULL);
    w->is_posted = false;
}

static void ask_other_loops(void)
{
    for (unsigned i = 0; i != loop_count(); ++i) {
        if (loop_at(i) == loop_self() || atomic_exchange(&wishes[i].is_posted, true))
            continue;
        wishes[i].super.run = on_wish;
        loop_post(loop_at(i), &wishes[i].super);
    }
}

static bool take_room(struct managed_db_room *room, struct managed_db_role *r)
{
    struct managed_db_project *p = r->project;
    if (p->connections >= managed_db_options()->connections_per_project && !evict(room, p))
        return false;
    while (!take_one(limit_for(p))) {
        if (!evict(room, NULL)) {
            ask_other_loops();
            return false;
        }
    }
    ++p->connections;
    ++r->connections;
    return true;
}

static void set_starving(struct managed_db_room *room, struct managed_db_role *r, bool is)
{
    if (r->is_starving == is)
        return;
    r->is_starving = is;
    if (is)
        TAILQ_INSERT_TAIL(&room->starving, r, in_starving);
    else
        TAILQ_REMOVE(&room->starving, r, in_starving);
    if (is && !loop_timer_is_running(&room->feed))
        loop_timer_start(&room->feed, FEED_MS);
}

// Each that starves gets one try; who still does goes to the end of the list.
static void feed(struct managed_db_room *room)
{
    struct managed_db_role *r, *last = TAILQ_LAST(&room->starving, managed_db_roles);
    do {
        if ((r = TAILQ_FIRST(&room->starving)) == NULL)
            return;
        set_starving(room, r, false);
        managed_db_serve(r);
    } while (r != last);
}

static void on_feed(struct loop_timer *t)
{
    feed(managed_db_room_self());
}

static void feed_soon(struct managed_db_room *room)
{
    if (!TAILQ_EMPTY(&room->starving))
        loop_timer_start(&room->feed, 0);
}

void managed_db_refill(struct managed_db_role *r)
{
    struct managed_db_room *room = managed_db_room_self();
    if (r->line_count != 0)
        set_starving(room, r, true); // behind those who wait already
    feed(room);
}

// --- lines ---

struct managed_db_role *managed_db_line_up(const char *project_id, const char *plugin_id,
                                           struct managed_db_query *q)
{
    struct managed_db_room *room = managed_db_room_self();
    struct managed_db_role *r = role_of(room, project_id, plugin_id);
    size_t bytes = q->args.footprint;
    if (r->line_count == LINE_MAX || r->line_bytes + bytes > LINE_BYTES_MAX ||
        room->line_bytes + bytes > ROOM_BYTES_MAX)
        return NULL;
    TAILQ_INSERT_TAIL(&r->line, q, link);
    ++r->line_count;
    r->line_bytes += bytes;
    room->line_bytes += bytes;
    ++managed_db_counts.waiting;
    return q->role = r;
}

void managed_db_leave_line(struct managed_db_query *q)
{
    struct managed_db_room *room = managed_db_room_self();
    struct managed_db_role *r = q->role;
    TAILQ_REMOVE(&r->line, q, link);
    --r->line_count;
    r->line_bytes -= q->args.footprint;
    room->line_bytes -= q->args.footprint;
    --managed_db_counts.waiting;
    q->role = NULL;
    if (r->line_count == 0)
        set_starving(room, r, false);
}

void managed_db_fail_line(struct managed_db_role *r, enum managed_db_outcome outcome,
                          const char *code, const char *message)
{
    for (struct managed_db_query *q; (q = TAILQ_FIRST(&r->line)) != NULL;) {
        managed_db_leave_line(q);
        managed_db_answer_error(q, outcome, code, message);
        managed_db_query_finish_later(q);
    }
}

static void run_first(struct managed_db_connection *c)
{
    struct managed_db_query *q = TAILQ_FIRST(&c->role->line);
    managed_db_leave_line(q);
    ++c->served;
    managed_db_query_set_off(q);
    managed_db_run(c, q);
}

// Whether another connection began to open. Those that will soon be free are counted on: opening
// takes longer than most statements.
static bool open_one(struct managed_db_room *room, struct managed_db_role *r)
{
    unsigned soon = r->in_state[MANAGED_DB_OPENING] + r->in_state[MANAGED_DB_CLEANING];
    if (r->line_count <= soon || r->connections >= managed_db_options()->connections_per_plugin)
        return false;
    bool is_down = room->down_until > now() || r->down_until > now();
    if (is_down && r->connections == 0)
        managed_db_fail_line(r, MANAGED_DB_UNAVAILABLE, "managed_db_unavailable",
                             "The plugin's database cannot be reached right now.");
    if (is_down)
        return false;
    if (r->no_opening_until > now()) {
        set_starving(room, r, true);
        return false;
    }
    if (r->conninfo == NULL) {
        managed_db_fetch_access(r, false);
        return false;
    }
    if (!take_room(room, r)) {
        set_starving(room, r, true);
        return false;
    }
    managed_db_connection_open(r);
    return true;
}

void managed_db_serve(struct managed_db_role *r)
{
    struct managed_db_room *room = managed_db_room_self();
    while (r->line_count != 0 && !TAILQ_EMPTY(&r->resting))
        run_first(TAILQ_FIRST(&r->resting));
    while (open_one(room, r))
        ;
}

// --- a connection's way between queries ---

void managed_db_connection_set_state(struct managed_db_connection *c,
                                     enum managed_db_connection_state state)
{
    struct managed_db_room *room = managed_db_room_self();
    struct managed_db_role *r = c->role;
    if (c->state == MANAGED_DB_RESTING) {
        TAILQ_REMOVE(&r->resting, c, in_role);
        TAILQ_REMOVE(&room->resting, c, in_age);
    }
    --r->in_state[c->state];
    ++r->in_state[state];
    c->state = state;
    if (state != MANAGED_DB_RESTING)
        return;
    c->rests_since = now();
    TAILQ_INSERT_HEAD(&r->resting, c, in_role);
    TAILQ_INSERT_TAIL(&room->resting, c, in_age);
}

// Whether room given up by `of` is room for `to`.
static bool would_help(const struct managed_db_role *of, const struct managed_db_role *to)
{
    const struct managed_db_options *o = managed_db_options();
    if (to->project->connections >= o->connections_per_project)
        return to->project == of->project;
    return managed_db_counts.connections <= limit_for(to->project);
}

// Whether it is closed for the good of a plugin that has no connection at all.
static bool must_yield(struct managed_db_room *room, const struct managed_db_connection *c)
{
    const struct managed_db_role *s, *r = c->role;
    if (r->connections == 1 && c->served < TURN && r->line_count != 0)
        return false;
    if (wish_self()->is_open) {
        wish_self()->is_open = false;
        return true;
    }
    TAILQ_FOREACH(s, &room->starving, in_starving)
    {
        if (s != r && s->connections == 0 && would_help(r, s))
            return true;
    }
    return false;
}

void managed_db_connection_next(struct managed_db_connection *c)
{
    struct managed_db_role *r = c->role;
    if (c->is_spoiled || must_yield(managed_db_room_self(), c)) {
        managed_db_connection_close(c, false);
        managed_db_refill(r);
        return;
    }
    if (c->cancelling != NULL) // may still hit what runs then
        return;
    if (r->line_count != 0)
        run_first(c);
    else if (c->is_dirty)
        managed_db_clean(c);
    else
        managed_db_connection_set_state(c, MANAGED_DB_RESTING);
}

void managed_db_connection_close(struct managed_db_connection *c, bool keep_room)
{
    struct managed_db_room *room = managed_db_room_self();
    struct managed_db_role *r = c->role;
    assert(c->query == NULL);
    if (c->state == MANAGED_DB_RESTING)
        managed_db_connection_set_state(c, MANAGED_DB_CLEANING); // out of the lists
    managed_db_forget_cancelling(c);
    loop_watch_stop(&c->watch);
    loop_timer_stop(&c->timer);
    loop_timer_stop(&c->go_on);
    PQfinish(c->pg);
    if (c->fd > 0)
        close(c->fd);
    --r->in_state[c->state];
    if (!keep_room)
        managed_db_give_room_back(r);
    free(c);
    feed_soon(room);
}

// --- age ---

static void on_sweep(struct loop_timer *t)
{
    struct managed_db_room *room = managed_db_room_self();
    struct managed_db_connection *c;
    struct managed_db_role *r, *after;
    while ((c = TAILQ_FIRST(&room->resting)) != NULL && now() - c->rests_since >= REST_MS)
        managed_db_connection_close(c, false);
    for (r = TAILQ_FIRST(&room->roles); r != NULL && now() - r->used_at >= FORGET_MS; r = after) {
        after = TAILQ_NEXT(r, in_age);
        if (!is_in_use(r))
            role_forget(room, r);
    }
    loop_timer_start(t, SWEEP_MS);
}

void managed_db_room_start(struct loop *loop)
{
    struct managed_db_room *room = &rooms[loop_index(loop)];
    TAILQ_INIT(&room->roles);
    TAILQ_INIT(&room->starving);
    TAILQ_INIT(&room->resting);
    room->sweep.run = on_sweep;
    room->feed.run = on_feed;
    loop_timer_start(&room->sweep, SWEEP_MS);
}
