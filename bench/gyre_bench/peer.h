/* peer.h - libraries of other engines: found when this was configured (their headers and the name
 * of the library), loaded when one is asked for, never linked.
 *
 * An adapter lists the functions that it calls once, as X(name); from that come a struct of
 * pointers with the types of the peer's own header, and the list of names to load:
 *
 *     #define LIST(X) X(leveldb_open) X(leveldb_close)
 *     PEER_DECLARE(LIST)          static struct peer_api {...} api; static struct peer_symbol ...
 *     api.leveldb_open(...)
 */
#ifndef GYRE_BENCH_PEER_H
#define GYRE_BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>

struct peer_symbol {
    const char *name;
    void **pointer;
};

#define PEER_FIELD(name) __typeof__(name) *name;
#define PEER_ROW(name) {#name, (void **)&api.name},
#define PEER_DECLARE(LIST)                            \
    static struct peer_api {                          \
        LIST(PEER_FIELD)                              \
    } api;                                            \
    static const struct peer_symbol peer_symbols[] = {LIST(PEER_ROW)};

/* Load it once. False: `error` (ENGINE_ERROR_MAX) names the package to install. */
bool peer_load(const char *library, const char *package, const struct peer_symbol *symbols,
               size_t count, char *error);
/* For adapters that were built without their peer's header. Returns NULL. */
struct engine *peer_missing(const char *name, const char *package, char *error);

#endif
