// The questions of files.h go to whoever registered for them.
#include "edge/catalog/files.h"
#include <assert.h>

static const struct files_keeper *keeper;

void files_keep_by(const struct files_keeper *k)
{
    assert(keeper == NULL);
    keeper = k;
}

void files_receive(struct files_upload *u)
{
    keeper->receive(u);
}

void files_ask(struct files_question *q, str op, str args)
{
    keeper->ask(q, op, args);
}

void files_cancel(struct files_question *q)
{
    keeper->cancel(q);
}

void files_discard(const struct files_owner *owner, const char *file_id)
{
    keeper->discard(owner, file_id);
}

void files_upload_fini(struct files_upload *u)
{
    json_decref(u->details);
    json_decref(u->file);
    json_decref(u->fields);
    u->details = u->file = u->fields = NULL;
}
