// Which app answers under a custom domain: an immutable table of names, one for the process, which each
// loop holds a reference to and swaps between events (design.md, "Threads"). domains/ builds it; site.c
// asks it. A change copies the table of pointers, not the names.
#ifndef STOA_ROUTE_HOSTS_H
#define STOA_ROUTE_HOSTS_H
#include "edge/base/str.h"
#include "edge/loop/loop.h"
#include "edge/loop/shared.h"
#include "edge/route/certificate.h"

// A served name. Immutable, counted; the strings are its own.
struct host {
    struct shared shared;
    str name;                        // A-labels, lower case, no final dot
    str slug;                        // the instance's
    str redirect_to;                 // another name of the project's, served or not; empty: none
    bool https_only;                 // plain HTTP is sent to https:// where there is a certificate
    struct certificate *certificate; // a reference; NULL: none is served
    int64_t certificate_ends;        // real ms: browsers take it until then
    int64_t clears_until;            // real ms: navigations until then carry Clear-Site-Data
    char hsts[48];                   // the value of Strict-Transport-Security; "": none
    uint64_t _hash;
};
// `of` gives the values; its strings are copied, a reference is taken to the certificate.
struct host *host_create(const struct host *of);

struct hosts;
// `list` of references, which are taken; of two with one name the later counts.
struct hosts *hosts_create(struct host *const *list, size_t count);
// The same with one name changed; `now` is taken, NULL: the name goes.
struct hosts *hosts_change(const struct hosts *old, str name, struct host *now);
void hosts_unref(struct hosts *h); // takes NULL
size_t hosts_count(const struct hosts *h);
size_t hosts_bytes(const struct hosts *h);                      // with the names
const struct host *hosts_look(const struct hosts *h, str name); // borrowed; NULL: nobody's

// From now on every loop answers by this one; takes the reference. Any thread but a loop's, one at a
// time; also before loops start.
void hosts_publish(struct hosts *h);
// What is published: a reference, or NULL. Any thread.
struct hosts *hosts_published(void);
// On each loop's thread, before its first turn.
void hosts_on_loop_start(struct loop *loop);
// On a loop: borrowed until the loop turns. Elsewhere NULL.
const struct host *hosts_find(str name);
#endif
