/* kept_maps.h - mappings that a program gives back are kept and handed out again, with whatever is
 * in them. A store that is opened a million times spends most of its time in the kernel, on pages
 * for its read buffers; and a buffer full of an older try's bytes shows code that trusts memory
 * nobody has filled.
 *
 * Overrides mmap and munmap of the whole program. Between begin and end only opens that read: what
 * makes files or a cache counts on the kernel's zeros.
 */
#ifndef GY_TEST_KEPT_MAPS_H
#define GY_TEST_KEPT_MAPS_H

void kept_maps_begin(void);
void kept_maps_end(void);

#endif
