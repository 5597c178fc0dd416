// The numbers the guard works with, and the options of libh2o that its promises rest on.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include "edge/guard/internal.h"

enum {
    RECEIVE_BUFFER =
        512 * 1024, // libh2o reads on while a read fills its buffer, which then doubles
    GONE_PEER_MS = 60000,
    CONCURRENT_REQUESTS = 2 * GUARD_STREAMS_MAX,
    STRAGGLER_MS = 3000,
    NEVER_MS = 24 * 3600 * 1000,
};

__thread struct guard_policy guard_policy;
static struct guard_policy at_start; // what each loop begins with
struct guard_totals guard_totals;

void guard_policy_defaults(struct guard_policy *p)
{
    *p = (struct guard_policy){
        .header_bytes = 32 * 1024,
        .header_count = 100,
        .target_length = 8 * 1024,
        .handshake_timeout = 10000,
        .header_timeout = 10000,
        .body_timeout = 20000,
        .write_timeout = 20000,
        .idle_timeout = 60000,
        .minimum_rate = 500,
        .body_memory_per_connection = 32 * 1024 * 1024,
        .body_memory_total = 512 * 1024 * 1024,
        .body_file_from = 256 * 1024,
        .body_disk_total = UINT64_C(4) << 30,
        .body_disk_spare = 64 * 1024 * 1024,
        .streams_total = 64 * 1024,
        .bucket_size = 400,
        .bucket_per_second = 50,
        .linger_timeout = 2000,
        .linger_bytes = 16 * 1024 * 1024,
    };
}

static void use(const struct guard_policy *policy)
{
    guard_policy = *policy;
    if (guard_policy.header_count > H2O_MAX_HEADERS)
        guard_policy.header_count = H2O_MAX_HEADERS;
}

void guard_policy_begin(void)
{
    use(&at_start);
}

void guard_loop_reload(struct guard_loop *loop, const struct guard_policy *policy)
{
    use(policy);
    loop->_ctx->handshake_timeout.timeout = guard_policy.handshake_timeout;
    loop->_ctx->http2.idle_timeout.timeout = guard_policy.idle_timeout;
    guard_sweep_retime(loop);
}

void guard_start(const struct guard_policy *policy)
{
    at_start = *policy;
    guard_policy_begin();
    if (policy->body_directory != NULL)
        guard_empty_directory(policy->body_directory);
    // Over HTTP/2 libh2o drops Host unseen. As an ordinary field it reaches the guard, which
    // compares and then drops it (hpack.c).
    H2O_TOKEN_HOST->http2_should_reject = 0;
}

void guard_configure(h2o_globalconf_t *config)
{
    // one number for all requests is no limit: body_limit is
    config->max_request_entity_size = SIZE_MAX / 4;
    h2o_socket_buffer_mmap_settings.threshold = SIZE_MAX; // file.c does that
    config->handshake_timeout = guard_policy.handshake_timeout;
    // would cut a lawful slow upload short, and is the keep-alive time-out as well: sweep.c tells
    // them apart
    config->http1.req_timeout = NEVER_MS;
    config->http1.upgrade_to_http2 = 1;
    config->http2.idle_timeout = guard_policy.idle_timeout;
    config->http2.graceful_shutdown_timeout = STRAGGLER_MS;
    // More than libh2o's streams, so that none ever waits in its list of pending requests: update_idle_timeout asserts that this list is
    // empty as soon as every running request's last byte is being written, and a client can arrange for that.
    config->http2.max_concurrent_requests_per_connection = CONCURRENT_REQUESTS;
    for (h2o_hostconf_t **host = config->hosts; *host != NULL; ++host)
        (*host)->http2.push_preload = 0;
}

void guard_listener_options(int fd)
{
    int receive = RECEIVE_BUFFER, gone = GONE_PEER_MS;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof(receive));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone, sizeof(gone));
}

size_t guard_body_limit(h2o_req_t *req, str method, str authority, str target)
{
    if (guard_policy.body_limit == NULL)
        return 1024 * 1024;
    str path = str_cut(&target, '?');
    return guard_policy.body_limit(guard_policy.ctx, req, method, authority, path);
}

struct guard_counters guard_counters(void)
{
#define READ(name) .name = atomic_load_explicit(&guard_totals.name, memory_order_relaxed)
    return (struct guard_counters){
        READ(connections),   READ(buffered),       READ(stored),      READ(bad_heads),
        READ(large_heads),   READ(large_bodies),   READ(busy),        READ(disk_full),
        READ(timeouts),      READ(calmed),         READ(malformed),   READ(averted_aborts),
        READ(averted_loops), READ(unknown_frames), READ(idle_closed),
    };
#undef READ
}
