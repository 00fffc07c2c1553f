/* files.c - the disk of a simulated machine, looked at and changed from outside. */
#include <errno.h>

#include "io/base/fail.h"
#include "sim/machine.h"

static gyre_status
status_of(int64_t result)
{
    if (result >= 0) {
        return GYRE_OK;
    }
    return result == -EISDIR || result == -ENOTDIR || result == -ENAMETOOLONG
               ? GYRE_INVALID
               : gy_status_of_errno((int)-result);
}

void
gyre_sim_set_capacity(gyre_sim *sim, uint64_t bytes)
{
    gy_sim_disk_set_capacity(sim->disk, bytes);
}

uint64_t
gyre_sim_used_bytes(const gyre_sim *sim)
{
    return gy_sim_disk_used_bytes(sim->disk);
}

gyre_status
gyre_sim_file_size(const gyre_sim *sim, const char *path, uint64_t *ret_size)
{
    const int64_t size = gy_sim_disk_file_size(sim->disk, path);

    if (size >= 0) {
        *ret_size = (uint64_t)size;
    }
    return status_of(size);
}

gyre_status
gyre_sim_peek(const gyre_sim *sim, const char *path, uint64_t offset, void *buffer, size_t size,
              size_t *ret_size)
{
    const int64_t got = gy_sim_disk_peek(sim->disk, path, offset, buffer, size);

    if (got >= 0) {
        *ret_size = (size_t)got;
    }
    return status_of(got);
}

gyre_status
gyre_sim_poke(gyre_sim *sim, const char *path, uint64_t offset, const void *bytes, size_t size)
{
    int result;

    if (sim->world != NULL) {
        return GYRE_MISUSE;
    }
    if (size > INT32_MAX) {
        return GYRE_INVALID;
    }
    result = gy_sim_disk_poke(sim->disk, path, offset, bytes, size);
    return result >= 0 && (size_t)result < size ? GYRE_NO_SPACE : status_of(result);
}

gyre_status
gyre_sim_resize(gyre_sim *sim, const char *path, uint64_t size)
{
    return sim->world != NULL ? GYRE_MISUSE
                              : status_of(gy_sim_disk_resize(sim->disk, path, size));
}

gyre_status
gyre_sim_remove(gyre_sim *sim, const char *path)
{
    return sim->world != NULL ? GYRE_MISUSE : status_of(gy_sim_disk_remove(sim->disk, path));
}

gyre_status
gyre_sim_list(const gyre_sim *sim, const char *path,
              void (*each)(void *arg, const char *name, bool is_regular), void *arg)
{
    return status_of(gy_sim_disk_list(sim->disk, path, each, arg));
}
