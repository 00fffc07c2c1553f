/* op_run.c - what each kind of operation does: the plain call, in the operation's own coroutine.
 *
 * Everything is taken out of the op before the first await (P2 in op.h). Paths are copied, since a
 * request in flight points to them; keys, values and arrays are not, since nothing looks at them
 * once the scope has ended (Q4 in scope.h).
 */
#include "engine/db/op.h"
#include "io/base/assert.h"

#include "io/base/ban.h"

const char *
gy_op_name(enum gyre_op_kind kind)
{
    static const char *const names[GYRE_OP_KIND_COUNT] = {
        [GYRE_OP_GET] = "op get",
        [GYRE_OP_MULTI_GET] = "op multi_get",
        [GYRE_OP_PUT] = "op put",
        [GYRE_OP_DELETE] = "op delete",
        [GYRE_OP_WRITE] = "op write",
        [GYRE_OP_SYNC] = "op sync",
        [GYRE_OP_ROOM] = "op room",
        [GYRE_OP_ITERATOR_FIRST] = "op first",
        [GYRE_OP_ITERATOR_LAST] = "op last",
        [GYRE_OP_ITERATOR_SEEK] = "op seek",
        [GYRE_OP_ITERATOR_SEEK_FOR_PREV] = "op seek_for_prev",
        [GYRE_OP_ITERATOR_NEXT] = "op next",
        [GYRE_OP_ITERATOR_PREV] = "op prev",
        [GYRE_OP_SCAN] = "op scan",
        [GYRE_OP_FLUSH] = "op flush",
        [GYRE_OP_WAIT_IDLE] = "op wait_idle",
        [GYRE_OP_COMPACT_RANGE] = "op compact_range",
        [GYRE_OP_APPROXIMATE_SIZE] = "op size",
        [GYRE_OP_CHECKPOINT] = "op checkpoint",
        [GYRE_OP_VERIFY] = "op verify",
        [GYRE_OP_OPEN] = "op open",
        [GYRE_OP_CLOSE] = "op close",
        [GYRE_OP_DESTROY] = "op destroy",
        [GYRE_OP_SALVAGE] = "op salvage",
        [GYRE_OP_SLEEP] = "op sleep",
    };

    return names[kind];
}

/* ---- Reads and writes ---- */

static GY_SUSPENDS gyre_status
await_read(const struct gyre_op *op, struct gy_op_run *run)
{
    const struct gyre_read_options options = {
        .struct_size = sizeof(options), .flags = op->flags, .snapshot = op->snapshot};

    return op->kind == GYRE_OP_GET
               ? gyre_get(op->db, &options, op->key, &run->value)
               : gyre_multi_get(op->db, &options, op->count, op->keys, op->values, op->statuses);
}

static GY_SUSPENDS gyre_status
await_write(const struct gyre_op *op)
{
    const struct gyre_write_options options = {
        .struct_size = sizeof(options), .durability = op->durability, .flags = op->flags};

    switch (op->kind) {
    case GYRE_OP_PUT:
        return gyre_put(op->db, &options, op->key, op->data);
    case GYRE_OP_DELETE:
        return gyre_delete(op->db, &options, op->key);
    default:
        return gyre_write(op->db, &options, op->batch);
    }
}

static GY_SUSPENDS gyre_status
await_move(const struct gyre_op *op)
{
    switch (op->kind) {
    case GYRE_OP_ITERATOR_FIRST:
        return gyre_iterator_first(op->iterator);
    case GYRE_OP_ITERATOR_LAST:
        return gyre_iterator_last(op->iterator);
    case GYRE_OP_ITERATOR_SEEK:
        return gyre_iterator_seek(op->iterator, op->key);
    case GYRE_OP_ITERATOR_SEEK_FOR_PREV:
        return gyre_iterator_seek_for_prev(op->iterator, op->key);
    case GYRE_OP_ITERATOR_NEXT:
        return gyre_iterator_next(op->iterator);
    default:
        return gyre_iterator_prev(op->iterator);
    }
}

/* ---- With paths ---- */

/* NULL stays NULL: the call itself refuses it. False: no memory. */
static bool
copy_path(gyre_loop *loop, const char *path, char **ret_copy)
{
    const size_t size = path != NULL ? strnlen(path, GYRE_PATH_SIZE_MAX) + 1 : 0;

    *ret_copy = NULL;
    if (path == NULL) {
        return true;
    }
    *ret_copy = gy_heap_alloc(&loop->io.heap, size, GY_MEM_CALL);
    if (*ret_copy == NULL) {
        return false;
    }
    memcpy(*ret_copy, path, size - 1);
    (*ret_copy)[size - 1] = '\0'; /* one that is too long stays too long */
    return true;
}

static GY_SUSPENDS gyre_status
await_on_paths(const struct gyre_op *op, gyre_loop *loop, const char *path, const char *path_to,
               struct gy_op_run *run)
{
    switch (op->kind) {
    case GYRE_OP_CHECKPOINT:
        return gyre_checkpoint(op->db, path);
    case GYRE_OP_OPEN:
        return gyre_open(loop, path, op->options, &run->opened);
    case GYRE_OP_DESTROY:
        return gyre_destroy(loop, path);
    default:
        return gyre_salvage(loop, path, path_to, op->options, op->damage, op->progress, op->arg,
                            &run->salvage_result);
    }
}

static GY_SUSPENDS gyre_status
await_with_paths(const struct gyre_op *op, struct gy_op_run *run)
{
    gyre_loop *loop = op->kind == GYRE_OP_CHECKPOINT ? op->db->loop : op->loop;
    char *path = NULL;
    char *path_to = NULL;
    gyre_status status;

    if (copy_path(loop, op->path, &path) && copy_path(loop, op->path_to, &path_to)) {
        status = await_on_paths(op, loop, path, path_to, run);
    } else {
        status = gy_loop_fail(loop, GYRE_NO_MEMORY, "no memory for a path");
    }
    gy_heap_free(&loop->io.heap, path);
    gy_heap_free(&loop->io.heap, path_to);
    return status;
}

/* ---- All ---- */

GY_SUSPENDS void
gy_op_await_run(const struct gyre_op *op, struct gy_op_run *run)
{
    switch (run->kind) {
    case GYRE_OP_GET:
    case GYRE_OP_MULTI_GET:
        run->status = await_read(op, run);
        break;
    case GYRE_OP_PUT:
    case GYRE_OP_DELETE:
    case GYRE_OP_WRITE:
        run->status = await_write(op);
        break;
    case GYRE_OP_SYNC:
        run->status = gyre_sync(op->db);
        break;
    case GYRE_OP_ROOM:
        run->status = gyre_wait_room(op->db, op->bytes);
        break;
    case GYRE_OP_ITERATOR_FIRST:
    case GYRE_OP_ITERATOR_LAST:
    case GYRE_OP_ITERATOR_SEEK:
    case GYRE_OP_ITERATOR_SEEK_FOR_PREV:
    case GYRE_OP_ITERATOR_NEXT:
    case GYRE_OP_ITERATOR_PREV:
        run->status = await_move(op);
        break;
    case GYRE_OP_SCAN:
        run->status = gyre_scan(op->db, op->scan);
        break;
    case GYRE_OP_FLUSH:
        run->status = gyre_flush(op->db);
        break;
    case GYRE_OP_WAIT_IDLE:
        run->status = gyre_wait_idle(op->db);
        break;
    case GYRE_OP_COMPACT_RANGE:
        run->status = gyre_compact_range(op->db, op->key, op->key_to, op->progress, op->arg);
        break;
    case GYRE_OP_APPROXIMATE_SIZE:
        run->status = gyre_approximate_size(op->db, op->key, op->key_to, &run->bytes);
        break;
    case GYRE_OP_VERIFY:
        run->status = gyre_verify(op->db, op->damage, op->progress, op->arg, &run->verify_result);
        break;
    case GYRE_OP_CLOSE:
        run->status = gyre_close(op->db);
        break;
    case GYRE_OP_CHECKPOINT:
    case GYRE_OP_OPEN:
    case GYRE_OP_DESTROY:
    case GYRE_OP_SALVAGE:
        run->status = await_with_paths(op, run);
        break;
    case GYRE_OP_NONE:
    case GYRE_OP_SLEEP: /* has a timer and no coroutine */
    case GYRE_OP_KIND_COUNT:
        gy_assert(false);
        break;
    }
}

GY_SUSPENDS void
gy_op_await_drop(struct gy_op_run *run)
{
    if (run->status != GYRE_OK) {
        return;
    }
    gyre_value_release(&run->value); /* a zeroed one is fine */
    if (run->opened != NULL) {
        (void)gyre_close(run->opened); /* nobody has seen it */
    }
}
