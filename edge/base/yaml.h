// YAML (libyaml) into jansson values, with marks. Strict, for strangers' files: one document;
// aliases, anchors' use, tags, merge keys, duplicate keys, non-string keys, depth over 32 and more
// than 20,000 nodes (megabytes of values) are refused. Plain scalars resolve by YAML 1.2's core schema (null,
// true/false, decimal integers that fit 64 bits, finite floats; all else is a string); quoted and
// block scalars are strings. JSON is YAML's flow style and is read by the same function. Pool
// threads.
#ifndef STOA_BASE_YAML_H
#define STOA_BASE_YAML_H
#include "edge/base/problem.h"

struct yaml_marks; // where each value of a document stood

// Reads `text`, whose first line is line `first_line` of the file a person edits. Returns a new
// reference (json null for an empty document) and its marks, or NULL with every problem that could
// be told added to `problems` under `section`. On success nothing is added.
json_t *yaml_load(str text, unsigned first_line, const char *section, struct problems *problems,
                  struct yaml_marks **ret_marks);
void yaml_marks_destroy(struct yaml_marks *marks);
// The place of a value that the document holds (a scalar, or an object's or array's start); 0 when
// it is not of that document. Scalars true, false and null are shared by jansson: ask by
// yaml_member_line for those.
void yaml_place(const struct yaml_marks *marks, const json_t *value, unsigned *ret_line,
                unsigned *ret_column);
// The line of the key `key` in `object`, or the object's own line.
unsigned yaml_member_line(const struct yaml_marks *marks, const json_t *object, const char *key);
#endif
