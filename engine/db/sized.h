/* sized.h - structs that cross the API with their size in front: options in, figures out. */
#ifndef GY_SIZED_H
#define GY_SIZED_H

#include "engine/db/db_parts.h"
#include "gyre/gyre.h"

/* Derive and check options. `options` may be NULL. (options.c) */
GYRE_NODISCARD gyre_status gy_options_resolve(gyre_loop *loop, const struct gyre_options *options,
                                              struct gy_db_options *ret_options);
/* One option as it holds, by index; false past the last. (options.c) */
struct gy_option_line {
    const char *name;
    char value[24];
    bool is_given;
    const char *from; /* what it is when it is not given */
};
bool gy_options_line(const struct gy_db_options *options, size_t index,
                     struct gy_option_line *ret_line);
/* Copy a sized struct of the caller: known bytes, zeros for the rest, INVALID for unknown non-zero
 * bytes. (options.c) */
#define GY_STRUCT_SIZE_MAX 65536u /* more is no size: struct_size was not set */
GYRE_NODISCARD gyre_status gy_options_copy(gyre_loop *loop, const char *what, const void *given,
                                           void *target, size_t target_size);

/* As much of a filled struct of the API as the caller's, which begins with its struct_size, has
 * room for. (stats.c) */
GYRE_NODISCARD gyre_status gy_stats_copy_out(gyre_loop *loop, void *target, void *filled,
                                             size_t filled_size);

#endif
