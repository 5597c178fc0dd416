// From a finished run to what its visitor is told (contract §4): the envelope, the status and
// headers that respond() asked for as far as they are allowed (security-rules.md 15), and a sentence
// for everything that went wrong.
#ifndef STOA_ACTIONS_ENVELOPE_H
#define STOA_ACTIONS_ENVELOPE_H
#include "edge/http/reply.h"
#include "public-actions/run.h"

void envelope_init(void); // process start
// The run's data is taken. The visitor's loop; answers the request.
void envelope_reply(struct request *r, struct action_run *run);
// The same for an upload's: `file` (borrowed) with what onUpload said as its `result`.
void envelope_reply_upload(struct request *r, struct action_run *run, const json_t *file);
// The same for the owner's side: {"ok","result","error","events","runId"}. Always 200, but for a run
// that could not be begun.
void envelope_reply_owner(struct request *r, struct action_run *run);
#endif
