/* plugin.c - see plugin.h. The plug-in links nothing: it finds the library in this program. */
#include "tools/gyre_sim/plugin.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "gyre/sim.h"

static void
print_failure(const char *path, const struct gyre_sim_report *report)
{
    static const char *const modes[] = {"power cut, nothing survives", "power cut, all survives",
                                        "power cut", "kill"};

    (void)printf("FAILED: seed %llu", (unsigned long long)report->seed);
    if (report->depth > 0) {
        (void)printf(", event %llu, depth %u, %s", (unsigned long long)report->event, report->depth,
                     report->mode < 4 ? modes[report->mode] : "?");
    }
    (void)printf("\n%s\nsee it again: gyre_sim run %s --first %llu --seeds 1\n", report->text, path,
                 (unsigned long long)report->seed);
}

int
plugin_run(const char *path, uint64_t seed_first, uint64_t seed_count)
{
    struct gyre_sim_report report = {.struct_size = sizeof(report)};
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct gyre_sim_plan *(*plan_of)(void) = NULL;
    gyre_status status;

    if (object == NULL) {
        (void)fprintf(stderr, "gyre_sim: cannot load %s: %s\n", path, dlerror());
        return 2;
    }
    {
        void *symbol = dlsym(object, GYRE_SIM_PLUGIN_SYMBOL);

        memcpy(&plan_of, &symbol, sizeof(plan_of)); /* ISO C has no cast for it */
    }
    if (plan_of == NULL) {
        (void)fprintf(stderr, "gyre_sim: %s does not export %s (see gyre_sim(3))\n", path,
                      GYRE_SIM_PLUGIN_SYMBOL);
        (void)dlclose(object);
        return 2;
    }
    status = gyre_sim_explore(plan_of(), seed_first, seed_count, &report);
    if (status == GYRE_INVALID) {
        (void)fprintf(stderr, "gyre_sim: %s: the plan is not valid: %s\n", path, report.text);
    } else {
        (void)printf("%llu seeds, %llu events, %llu crashes checked, trace %016llx\n",
                     (unsigned long long)report.seed_count, (unsigned long long)report.event_count,
                     (unsigned long long)report.crash_count, (unsigned long long)report.trace_hash);
        if (report.is_failure != 0) {
            print_failure(path, &report);
        }
    }
    (void)dlclose(object);
    return status == GYRE_OK ? 0 : status == GYRE_INVALID ? 2 : 1;
}
