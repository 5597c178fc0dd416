// PostgreSQL's NOTIFY: one connection and one thread that listen for changes other nodes (and this
// one) made, so that caches follow within a second. What comes in is hostile input to its readers.
#ifndef STOA_NOTICES_H
#define STOA_NOTICES_H
#include "edge/base/str.h"
#include "edge/store/db.h"

struct notice_channel {
    const char *name; // a literal, a plain SQL identifier
    void (*on_notice)(str payload);
    void (*on_back)(void); // listening begins, or begins again: notices may have been missed before
};

// Starts the thread. `prepare` is run on each new connection before listening (migrations, when the
// database was away at the start); when it fails the connection is tried again. `channels` ends
// with a NULL name.
void notices_start(const char *url, enum fail (*prepare)(struct db *db, struct fault *fault),
                   const struct notice_channel *channels);
#endif
