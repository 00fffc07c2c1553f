// main.cpp - the first thing that a C++ program does with an installed Gyre: a store in the working
// folder, one key. `--version` prints the version.
#include <gyre/gyre.h>

#include <iostream>
#include <string>

static int fail(const std::string &what, gyre_status status)
{
    std::cerr << what << ": " << gyre_status_name(status) << "\n";
    return 1;
}

static int use_store(gyre_db *db)
{
    struct gyre_value value = {};
    gyre_status status = gyre_put(db, nullptr, gyre_str("greeting"), gyre_str("hello"));

    if (status != GYRE_OK) {
        return fail("put", status);
    }
    status = gyre_get(db, nullptr, gyre_str("greeting"), &value);
    if (status != GYRE_OK) {
        return fail("get", status);
    }
    const std::string found(static_cast<const char *>(value.data), value.size);
    gyre_value_release(&value);
    return found == "hello" ? 0 : fail("another value: " + found, status);
}

int main(int argc, char **argv)
{
    const std::string version = gyre_version();

    if (argc > 1 && std::string(argv[1]) == "--version") {
        std::cout << version << "\n";
        return 0;
    }
    if (version != GYRE_VERSION) {
        std::cerr << "header " << GYRE_VERSION << ", library " << version << "\n";
        return 1;
    }

    gyre_loop *loop = nullptr;
    gyre_db *db = nullptr;
    struct gyre_error error = {};
    struct gyre_options options = {};
    options.struct_size = sizeof(options);
    options.flags = GYRE_OPEN_CREATE;

    gyre_status status = gyre_loop_open(nullptr, &loop, &error);
    if (status != GYRE_OK) {
        return fail(error.text, status);
    }
    status = gyre_open(loop, "cpp.gyre", &options, &db);
    if (status != GYRE_OK) {
        return fail(gyre_last_error(loop)->text, status);
    }
    const int result = use_store(db);
    status = gyre_close(db);
    if (status != GYRE_OK) {
        return fail("close", status);
    }
    status = gyre_loop_close(loop);
    return status == GYRE_OK ? result : fail("loop_close", status);
}
