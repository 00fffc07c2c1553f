/* file.h - whole transfers on files of a store, errors with their place.
 *
 * The only file where an errno becomes a gyre_status. Every call fills the coroutine's error with
 * what failed, the file's name and the offset. Reads and writes loop over short transfers.
 *
 * Owns: nothing but the slot in struct gy_file. Buffers are the caller's.
 */
#ifndef GY_FILE_H
#define GY_FILE_H

#include "io/loop.h"

#define GY_FILE_NAME_MAX 48

struct gy_file {
    uint32_t slot;               /* GY_SLOT_NONE when closed */
    uint32_t dir;
    char name[GY_FILE_NAME_MAX]; /* for messages; a directory keeps the tail of its path */
};

#define GY_FILE_CLOSED {.slot = GY_SLOT_NONE, .dir = GY_SLOT_NONE}

/* Directories. `path` is as the process sees it. create: make it with mode 0700 if it is missing
 * and its name durable (where the directory above can be opened). */
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_dir_await_open(struct gy_loop *loop, const char *path, bool create, struct gy_file *ret_dir);
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_dir_await_list(struct gy_loop *loop, const struct gy_file *dir,
                  void (*each)(void *arg, const char *name, bool is_regular), void *arg);
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_dir_await_sync(struct gy_loop *loop, const struct gy_file *dir);
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_dir_await_free_space(struct gy_loop *loop, const struct gy_file *dir, uint64_t *ret_bytes);

/* Names inside a directory. NOT_FOUND where the name is missing (with text). */
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_file_await_open(struct gy_loop *loop, const struct gy_file *dir, const char *name,
                   uint32_t open_flags, enum gy_io_class klass, struct gy_file *ret_file);
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_file_await_rename(struct gy_loop *loop, const struct gy_file *dir, const char *name,
                     const char *name_new);
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_file_await_unlink(struct gy_loop *loop, const struct gy_file *dir, const char *name);
/* An empty directory. INVALID with text when it is not empty. */
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_dir_await_remove(struct gy_loop *loop, const struct gy_file *dir, const char *name);
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_file_await_link(struct gy_loop *loop, const struct gy_file *dir, const char *name,
                   const struct gy_file *dir_new, const char *name_new);

/* Open files. Closing a closed one is fine. */
GY_SUSPENDS gyre_status gy_file_await_close(struct gy_loop *loop, struct gy_file *file);
/* Exactly `size` bytes, else CORRUPT ("ends at ..., expected ...") or IO. */
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_file_await_read(struct gy_loop *loop, const struct gy_file *file, enum gy_io_class klass,
                   void *buffer, uint32_t size, uint64_t offset);
/* At most `size` bytes; *ret_size is less only at the end of the file. */
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_file_await_read_some(struct gy_loop *loop, const struct gy_file *file, enum gy_io_class klass,
                        void *buffer, uint32_t size, uint64_t offset, uint32_t *ret_size);
/* All bytes; split at GY_IO_SIZE_MAX. GY_IO_DSYNC in io_flags makes each part durable. */
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_file_await_write(struct gy_loop *loop, const struct gy_file *file, enum gy_io_class klass,
                    const void *buffer, size_t size, uint64_t offset, uint32_t io_flags);
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_file_await_sync(struct gy_loop *loop, const struct gy_file *file, enum gy_io_class klass);
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_file_await_allocate(struct gy_loop *loop, const struct gy_file *file, uint64_t size,
                       enum gy_io_class klass);
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_file_await_truncate(struct gy_loop *loop, const struct gy_file *file, uint64_t size);
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_file_await_size(struct gy_loop *loop, const struct gy_file *file, uint64_t *ret_size);
GY_SUSPENDS GYRE_NODISCARD gyre_status
gy_file_await_lock(struct gy_loop *loop, const struct gy_file *file, bool shared);

#endif
