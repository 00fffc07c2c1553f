/* sim.c - the first thing that a C program does with an installed gyre_sim: a store on a simulated
 * machine survives a power cut. */
#include <gyre/gyre.h>
#include <gyre/sim.h>
#include <stdio.h>

static gyre_status
put_one(gyre_loop *loop)
{
    gyre_db *db;
    gyre_status status = gyre_open(loop, "/db", GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE), &db);

    if (status != GYRE_OK) {
        return status;
    }
    status = gyre_put(db, NULL, gyre_str("a"), gyre_str("b"));
    return gyre_close(db) != GYRE_OK ? GYRE_IO : status;
}

static gyre_status
get_one(gyre_loop *loop)
{
    gyre_db *db;
    char byte;
    size_t size;
    gyre_status status = gyre_open(loop, "/db", NULL, &db);

    if (status != GYRE_OK) {
        return status;
    }
    status = gyre_get_copy(db, NULL, gyre_str("a"), &byte, 1, &size);
    return gyre_close(db) != GYRE_OK ? GYRE_IO : status;
}

static gyre_status
on_loop(gyre_sim *sim, gyre_status (*use)(gyre_loop *loop))
{
    gyre_loop *loop;
    gyre_status status = gyre_sim_open_loop(sim, NULL, &loop, NULL);

    if (status != GYRE_OK) {
        return status;
    }
    status = use(loop);
    return gyre_loop_close(loop) != GYRE_OK ? GYRE_BUSY : status;
}

int
main(void)
{
    gyre_sim *sim;
    gyre_sim *found;
    gyre_status status = gyre_sim_make(GYRE_SIM_OPTIONS(.seed = 7), &sim);

    if (status == GYRE_OK) {
        status = on_loop(sim, put_one);
    }
    if (status == GYRE_OK) {
        status = gyre_sim_crash(sim, GYRE_SIM_CRASH_NONE, 1, &found);
    }
    if (status == GYRE_OK) {
        status = on_loop(found, get_one);
        gyre_sim_free(found);
    }
    gyre_sim_free(sim);
    if (status != GYRE_OK) {
        fprintf(stderr, "sim: %s\n", gyre_status_name(status));
    }
    return status == GYRE_OK ? 0 : 1;
}
