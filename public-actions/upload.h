// A visitor's upload once it is allowed: the file is kept (edge/catalog/files.h), the handler's
// onUpload is told when there is one, the visitor is answered, and the run is recorded. What is not
// answered with success has left no file behind. The visitor's loop.
#ifndef STOA_ACTIONS_UPLOAD_H
#define STOA_ACTIONS_UPLOAD_H
#include "edge/http/service.h"
#include "public-actions/target.h"

#define ACTION_UPLOAD "upload" // the one name that no handler's action has

// Whether the path, below the services' prefix, is where files are sent to; it says then how large a
// body may be there. Pure; any thread.
bool action_upload_bound(str path, struct body_bound *ret);
bool action_upload_is_type(str content_type); // multipart/form-data
// Takes a reference, and answers the request, later. A visitor who leaves ends nothing.
void action_upload_start(struct request *r, struct target *target);
size_t action_uploads_running(void); // from the start to the end of its run; any thread
#endif
