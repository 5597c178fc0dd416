// Filling a fault.
#include "edge/base/fail.h"
#include <stdio.h>

enum fail fault_set(struct fault *fault, enum fail fail, const char *code, const char *format, ...)
{
    if (fault == NULL)
        return fail;
    fault->fail = fail;
    fault->code = code;
    va_list ap;
    va_start(ap, format);
    vsnprintf(fault->public_text, sizeof fault->public_text, format, ap);
    va_end(ap);
    return fail;
}

void fault_log(struct fault *fault, const char *format, ...)
{
    if (fault == NULL)
        return;
    va_list ap;
    va_start(ap, format);
    vsnprintf(fault->log_text, sizeof fault->log_text, format, ap);
    va_end(ap);
}
