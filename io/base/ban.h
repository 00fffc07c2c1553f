/* ban.h - libc calls that the engine must not make; included last in each .c file of engine/.
 *
 * Memory comes from io/base/heap.h, files, time and randomness from io/world.h, errors go through
 * io/base/fail.h, and nothing is printed. A poisoned name is refused wherever it stands, as a field
 * or a parameter too. Headers that were included before keep their own uses.
 */
#ifndef GY_BAN_H
#define GY_BAN_H

/* Fortified headers define some of them as macros. */
#undef printf
#undef fprintf
#undef sprintf
#undef strcpy
#undef strcat

#pragma GCC poison malloc calloc realloc free
#pragma GCC poison printf fprintf abort exit
#pragma GCC poison rand srand time gettimeofday clock_gettime usleep sleep nanosleep getenv
#pragma GCC poison open read write pread pwrite fsync fdatasync
#pragma GCC poison strcpy strcat sprintf strtok

#endif
