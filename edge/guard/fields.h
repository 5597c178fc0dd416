// Finds the borders between the fields of an HPACK block (RFC 7541 §6) without decoding them. Pure.
#ifndef STOA_GUARD_FIELDS_H
#define STOA_GUARD_FIELDS_H
#include <stddef.h>
#include <stdint.h>

struct fields {
    size_t n;     // bytes of the block that were passed over
    size_t count; // fields among them
    enum { FIELDS_END, FIELDS_MORE, FIELDS_BROKEN } state;
};

// Passes over at most `max` fields. FIELDS_MORE: the block goes on behind them. FIELDS_BROKEN:
// behind them stands what is no field, or a change of the table's size where none may be (§4.2:
// only before the first field, at most two); `first` says that the block begins here.
struct fields fields_pass(const uint8_t *block, size_t n, size_t max, int first);
#endif
