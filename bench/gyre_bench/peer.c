/* peer.c - loads the library of a peer. */
#include "bench/gyre_bench/peer.h"

#include <dlfcn.h>
#include <stdio.h>

#include "bench/gyre_bench/engine.h"

bool
peer_load(const char *library, const char *package, const struct peer_symbol *symbols, size_t count,
          char *error)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);

    if (handle == NULL) {
        (void)snprintf(error, ENGINE_ERROR_MAX, "cannot load %s (Debian: apt-get install %s): %s",
                       library, package, dlerror());
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        *symbols[i].pointer = dlsym(handle, symbols[i].name);
        if (*symbols[i].pointer == NULL) {
            (void)snprintf(error, ENGINE_ERROR_MAX,
                           "%s has no %s: another version than this "
                           "gyre-bench was built for",
                           library, symbols[i].name);
            return false;
        }
    }
    return true;
}

struct engine *
peer_missing(const char *name, const char *package, char *error)
{
    (void)snprintf(error, ENGINE_ERROR_MAX,
                   "this gyre-bench was built without %s: install %s, configure and build again",
                   name, package);
    return NULL;
}
