/* engines.c - the list of engines, and what they share. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bench/gyre_bench/engine.h"

const struct engine_type *const engine_types[] = {
    &engine_gyre, &engine_gyre_blocking, &engine_gyre_completion,
    &engine_raw,  &engine_rocksdb,       &engine_leveldb,
    &engine_lmdb, &engine_null,
};
const uint32_t engine_type_count = sizeof(engine_types) / sizeof(engine_types[0]);

const struct engine_type *
engine_find(const char *name)
{
    for (uint32_t i = 0; i < engine_type_count; i++) {
        if (strcmp(engine_types[i]->name, name) == 0) {
            return engine_types[i];
        }
    }
    return NULL;
}

void
figure_add(struct figures *figures, const char *name, double value, bool is_counter)
{
    if (figures->count < FIGURES_MAX) {
        figures->list[figures->count++] = (struct figure){name, value, is_counter};
    }
}

double
figure_find(const struct figures *figures, const char *name)
{
    for (uint32_t i = 0; i < figures->count; i++) {
        if (strcmp(figures->list[i].name, name) == 0) {
            return figures->list[i].value;
        }
    }
    return NAN;
}

bool
engine_fail(struct engine *engine, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(engine->error, sizeof(engine->error), format, arguments);
    va_end(arguments);
    return false;
}
