/* coverage_exit.c - _exit in builds that count executed lines (GYRE_COVERAGE): what a process has
 * counted is written at its end, which _exit would skip. The checker's workers and many children of
 * tests end that way. The linker puts this in its place (--wrap), see cmake/flags.cmake. */
#include <gcov.h>

_Noreturn void __real__exit(int status); /* names of the linker's choice */
_Noreturn void __wrap__exit(int status);

_Noreturn void
__wrap__exit(int status)
{
    __gcov_dump();
    __real__exit(status);
}
