// main.cpp - the least that a C++ program does with an installed Gyre. `--version`
// prints the version.
#include <gyre/gyre.h>

#include <iostream>
#include <string>

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
    if (std::string(gyre_status_name(GYRE_NOT_FOUND)) != "NOT_FOUND") {
        std::cerr << "status is called " << gyre_status_name(GYRE_NOT_FOUND) << "\n";
        return 1;
    }
    return 0;
}
