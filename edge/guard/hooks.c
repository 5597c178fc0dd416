// Finds the library's own functions behind ours. A name that is not there means another library
// than the one we know: the process must not come up.
#include <dlfcn.h>
#include <stdlib.h>
#include "edge/base/log.h"
#include "edge/guard/internal.h"

struct guard_real guard_real;
__thread uint32_t guard_seen;

#define GUARD_HOOK(name) {#name, (void **)&guard_real.name},
static const struct {
    const char *name;
    void **real;
} hooks[] = {
#include "edge/guard/hooks.def"
};
#undef GUARD_HOOK

static_assert(GUARD_HOOKS <= 32, "guard_seen has a bit for each hook");

__attribute__((constructor)) static void find_real_functions(void)
{
    for (size_t i = 0; i < GUARD_HOOKS; ++i) {
        *hooks[i].real = dlsym(RTLD_NEXT, hooks[i].name);
        if (*hooks[i].real == NULL) {
            log_error("guard: the HTTP library lacks a function", "name=%s", hooks[i].name);
            abort();
        }
    }
}
