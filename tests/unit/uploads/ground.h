// What files stand on, in one test program: a real PostgreSQL, a blob directory, a loop and the
// pool; the cage is played.
#ifndef STOA_TESTS_UPLOADS_GROUND_H
#define STOA_TESTS_UPLOADS_GROUND_H
#include "edge/http/endpoint.h"
#include "edge/http/body.h"
#include "uploads/internal.h"

enum { GROUND_QUOTA_BYTES = 40 * 1024 * 1024, GROUND_QUOTA_FILES = 100 };

// For those who want others, before ground_begin.
extern uint64_t ground_quota_bytes, ground_quota_files;
extern unsigned ground_threads; // of the lane

extern struct db *ground_db;
extern char ground_blobs[64]; // the directory
int ground_begin(void **state);
int ground_end(void **state);

// A project with a plugin and an instance of its own.
struct files_owner ground_owner(const char *name);
uint64_t ground_count(const struct files_owner *o, const char *type); // files the plugin has
// The played cage knows PNG, JPEG, PDF and HTML by their first bytes, and takes all else for text;
// "CRASH" fails as a crashed one does. Clean JPEGs are the same with "-clean" behind; their cleaning
// stops while the gate is closed.
void ground_gate(bool is_closed);
size_t ground_at_gate(void); // cleanings that stand there

// Sends the body (copied) and waits for the answer, which is the caller's to files_upload_fini.
void ground_receive(struct files_upload *u, const struct files_owner *o, const char *content_type,
                    str body);
// Asks and waits; the JSON is malloc'ed.
char *ground_ask(const struct files_owner *o, const char *op, const char *args, bool *ret_is_error);
// Runs it on the loop.
void ground_on_loop(void (*fn)(struct loop *loop, void *arg), void *arg);
#endif
