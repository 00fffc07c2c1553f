// sim.cpp - an installed gyre_sim from C++: the explorer, which finds nothing here.
#include <gyre/gyre.h>
#include <gyre/sim.h>

#include <cstdint>
#include <cstdio>

namespace {

struct Counter {
    std::uint64_t answered = 0;
};

gyre_status
open_small(gyre_loop *loop, std::uint32_t flags, gyre_db **ret_db)
{
    gyre_options options{};

    options.struct_size = sizeof(options);
    options.flags = flags;
    options.memtable_size = 64 << 10;
    options.wal_slot_size = 128 << 10;
    options.wal_buffer_size = 256 << 10;
    return gyre_open(loop, "/db", &options, ret_db);
}

gyre_status
work(gyre_loop *loop, std::uint64_t, void *arg)
{
    auto *counter = static_cast<Counter *>(arg);
    gyre_db *db = nullptr;

    counter->answered = 0;
    gyre_status status = open_small(loop, GYRE_OPEN_CREATE, &db);
    if (status != GYRE_OK) {
        return status;
    }
    for (std::uint64_t i = 1; i <= 5 && status == GYRE_OK; i++) {
        status = gyre_put(db, nullptr, gyre_str("count"), gyre_slice(&i, sizeof(i)));
        counter->answered = status == GYRE_OK ? i : counter->answered;
    }
    return gyre_close(db) == GYRE_OK ? status : GYRE_IO;
}

bool
check(gyre_loop *loop, gyre_sim_moment *moment, void *arg)
{
    const auto *counter = static_cast<const Counter *>(arg);
    gyre_db *db = nullptr;
    std::uint64_t found = 0;
    std::size_t size = 0;

    if (open_small(loop, 0, &db) != GYRE_OK) {
        return counter->answered == 0;
    }
    if (gyre_get_copy(db, nullptr, gyre_str("count"), &found, sizeof(found), &size) != GYRE_OK) {
        found = 0;
    }
    std::snprintf(moment->text, sizeof(moment->text), "count %d, answered %d",
                  static_cast<int>(found), static_cast<int>(counter->answered));
    return gyre_close(db) == GYRE_OK && found >= counter->answered;
}

} // namespace

int
main()
{
    Counter counter;
    gyre_sim_plan plan{};
    gyre_sim_report report{};

    plan.struct_size = sizeof(plan);
    plan.arg = &counter;
    plan.work = work;
    plan.check = check;
    plan.every = 5;
    report.struct_size = sizeof(report);
    const gyre_status status = gyre_sim_explore(&plan, 1, 3, &report);
    if (status != GYRE_OK) {
        std::fprintf(stderr, "%s: %s\n", gyre_status_name(status), report.text);
    }
    return status == GYRE_OK && report.crash_count > 50 ? 0 : 1;
}
