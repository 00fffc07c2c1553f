/* main.c - the least that a C program does with an installed Gyre. `--version`
 * prints the version. */
#include <gyre/gyre.h>
#include <stdio.h>
#include <string.h>

int
main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        puts(gyre_version());
        return 0;
    }
    if (strcmp(gyre_version(), GYRE_VERSION) != 0) {
        fprintf(stderr, "header %s, library %s\n", GYRE_VERSION, gyre_version());
        return 1;
    }
    if (strcmp(gyre_status_name(GYRE_NOT_FOUND), "NOT_FOUND") != 0) {
        fprintf(stderr, "status is called %s\n", gyre_status_name(GYRE_NOT_FOUND));
        return 1;
    }
    return 0;
}
