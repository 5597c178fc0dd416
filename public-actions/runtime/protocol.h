// What the server and a handler worker (stoa-handler) say to each other over the worker's one
// socket: frames of a sixteen-byte head and a body of JSON, in the machine's own byte order (both
// ends are programs of one build on one machine). The worker trusts the server. The server takes
// every frame for a stranger's: lengths are capped, ids must be ones it gave out, JSON is checked
// before it is passed on.
#ifndef STOA_RUNTIME_PROTOCOL_H
#define STOA_RUNTIME_PROTOCOL_H
#include <stdint.h>

struct worker_frame_head {
    uint32_t size; // of the body
    uint8_t type;  // enum worker_frame
    uint8_t flags;
    uint16_t zero;
    uint32_t id;
    uint32_t ref;
};

enum {
    WORKER_TO_MAX = 16 * 1024 * 1024,   // body of one frame to the worker (a fetch of 10 MB)
    WORKER_FROM_MAX = 16 * 1024 * 1024, // … and from it (a file of 10 MB in base64)
    WORKER_RESULT_MAX = 1024 * 1024,    // the data of a result, as JSON
    WORKER_META_MAX = 256 * 1024,       // what stands beside it
};

enum worker_frame {
    // --- to the worker ---
    // The handler's code, as text: the one instance this process will ever run. id: what its first
    // line is counted as (0: as 1). flags: WORKER_FRESH: a new context for each call. Answered by
    // WORKER_LOADED.
    WORKER_LOAD = 1,
    // A run. id: of the run, never used twice. Body:
    // {"export":"handler|onUpload","isOptional"?:true,"input":{…},"context":{"kind":"public|widget|tool",
    //  "user":{"id","displayName"},"secrets":{…},"userConfig":{…},
    //  "publicApp":{…}|null, …}}. Acknowledged by WORKER_STARTED, ended by WORKER_RESULT.
    WORKER_CALL,
    // The answer to a bridge call. id: the call's; ref: the run's. flags: WORKER_FAILED: the body is
    // {"message","code"?,…} and becomes an Error with those members; else any JSON value ("" is
    // undefined). WORKER_WITH_TEXT: an object with a member "body", then a 0 byte and that member's
    // text, any bytes: what is none of UTF-8 becomes U+FFFD. So its limit is of bytes as they came.
    WORKER_REPLY,
    WORKER_DROP, // id: a run that is over (deadline): everything it still holds is forgotten
    WORKER_PING, // id comes back in WORKER_PONG: is it busy, or does it merely wait?
    WORKER_TIDY, // collect garbage and give memory back; answered by WORKER_STATS
    // --- to the server ---
    WORKER_READY = 16, // warmed up and caged; body: {"layers":number of enum cage_layer}
    // flags: WORKER_FAILED: {"name","message","line","column","stack"}; else {"exports":["handler"]}
    WORKER_LOADED,
    WORKER_STARTED, // id: the run's; sent (and flushed) before the handler is entered
    // The handler asks for something outside the language. id: the call's, counted up by the worker
    // within its life; ref: the run's. Body: the JSON array ["managedDb.query", arg, …].
    // flags: WORKER_ONE_WAY: no reply is wanted. Of those that want one, timers apart, a run has at
    // most 64 unanswered, and 16 MiB of them together: the others wait in the worker.
    //   ["timer", ms]  answered with "" when ms milliseconds have passed
    //   ["managedDb.query", sql, [parameter, …], {"timeoutMs"?:n,"maxRows"?:n}]
    //   ["fetch", url, {"method":text,"headers":[[name,text],…],"body"?:text}]
    //   ["files.upload", filename, type, base64]  ["files.list", filter?]  ["files.get", id]
    //   ["files.getUrl", id]  ["files.delete", id]
    //   ["notify", message, {…}]  ["streamEvent", type, data]  (one way)
    // A parameter is null, true, false, a number (finite), a string, or one of
    //   {"t":"json","v":text of JSON}  an object
    //   {"t":"date","v":"2024-01-31T12:00:00.000Z"}
    //   {"t":"bytes","v":base64}
    //   {"t":"array","v":[parameter, …]}  nested up to 6 deep
    // where a string also stands for a bigint and for NaN, Infinity and -Infinity.
    WORKER_BRIDGE,
    // id: the run's; ref: how many bytes of the body are meta, a JSON object; the data's JSON follows
    // ("" is undefined). flags: WORKER_FAILED: it threw, meta.error is
    // {"name","message","line","column","stack"} and there is no data. meta of a success:
    // {"responded":bool (data is what respond() got, else what the handler returned),
    //  "status"?:number,"headers"?:{…} (respond's second argument),
    //  "dataError":bool (data.error === true), "resultError":bool (the result's error === true),
    //  "result"? (widget and tool runs that also responded), "widget"?:[{"type","data"}],
    //  "trigger"? (_triggerToolCall of the result),
    //  "missing"? (true: there is no such export, which was optional)}. A failure may have "widget", too.
    WORKER_RESULT,
    WORKER_LOG, // ref: the run's (0: while loading); body: ["log|info|warn|error|debug","text"]
    WORKER_PONG,
    WORKER_STATS, // body: {"heapSize":n,"heapCapacity":n}
};

enum {
    WORKER_FAILED = 1,
    WORKER_FRESH = 2,
    WORKER_ONE_WAY = 4,
    WORKER_TOO_LARGE = 8,  // WORKER_RESULT, failed: the data was over WORKER_RESULT_MAX
    WORKER_WITH_TEXT = 16, // WORKER_REPLY
};

// The worker's exit status, when it ends by itself (0: the socket was closed). Any signal is a
// crash or somebody's kill.
enum {
    WORKER_EXIT_NONSENSE = 1, // a frame that is none of the above
    WORKER_EXIT_MEMORY = 66,  // out of memory: 502 handler_out_of_memory
    WORKER_EXIT_CRASH = 67,   // the engine gave up
    // 97: a mandatory layer of the cage could not be had (CAGE_EXIT_NO_CAGE)
};
#endif
