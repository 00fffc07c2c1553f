/* witness_check.c - holds a store against the ledger.
 *
 * Each writer's counter says how many of its commits are there. Checked: none that was acknowledged
 * is missing (D <= p: DURABLE ones acknowledged before the cut; all of them if the process was only
 * killed), none is there that was not begun before the cut (p <= A); what was acknowledged before a
 * commit that is there was begun, is there too; and all keys and values are those after p commits:
 * walking forward, backward and by point reads. The store is closed and opened again: same p.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/kernel/witness.h"

struct check {
    struct witness *witness;
    uint64_t cut; /* position, UINT64_MAX = the process was killed only */
    uint64_t p[WITNESS_WRITERS];
    uint64_t last[WITNESS_WRITERS][WITNESS_KEYS];
    uint8_t value[WITNESS_VALUE_MAX];
};

static bool
counts(const struct check *check, const struct ledger_commit *commit)
{
    if (check->cut == UINT64_MAX) {
        return commit->acked_tick != 0;
    }
    return commit->acked_tick != 0 && commit->durable && commit->acked_position <= check->cut;
}

static void
check_bounds(const struct check *check, uint32_t w)
{
    const struct ledger *ledger = check->witness->ledger;
    const struct ledger_commit *commits = ledger->commits[w];
    const uint64_t p = check->p[w];

    if (p > ledger->writers[w].attempted || (p > 0 && commits[p].started_position > check->cut)) {
        witness_broken("writer %u: commit %llu is there, which was not begun", w,
                       (unsigned long long)p);
    }
    for (uint64_t n = p + 1; n <= ledger->writers[w].attempted; n++) {
        if (counts(check, &commits[n])) {
            witness_broken("writer %u: %llu commits found, %llu was acknowledged (%s, position "
                           "%llu)",
                           w, (unsigned long long)p, (unsigned long long)n,
                           commits[n].durable ? "DURABLE" : "BUFFERED",
                           (unsigned long long)commits[n].acked_position);
        }
    }
}

/* What was acknowledged before the last commit of `w` was begun, is there. */
static void
check_order(const struct check *check, uint32_t w)
{
    const struct ledger *ledger = check->witness->ledger;
    const uint64_t started = ledger->commits[w][check->p[w]].started_tick;

    for (uint32_t v = 0; check->p[w] > 0 && v < WITNESS_WRITERS; v++) {
        for (uint64_t n = check->p[v] + 1; n <= ledger->writers[v].attempted; n++) {
            const uint64_t acked = ledger->commits[v][n].acked_tick;

            if (acked != 0 && acked < started) {
                witness_broken("a hole: commit %llu of writer %u is there, %llu of writer %u, "
                               "acknowledged before it was begun, is not",
                               (unsigned long long)check->p[w], w, (unsigned long long)n, v);
            }
        }
    }
}

/* The commit that wrote `key` of writer `w`; for the counter p itself. */
static uint64_t
wrote(const struct check *check, uint32_t w, uint32_t key)
{
    return key == WITNESS_KEYS ? check->p[w] : check->last[w][key];
}

static void
compare(struct check *check, uint32_t w, uint32_t key, struct gyre_slice value)
{
    const uint64_t n = wrote(check, w, key);
    size_t size = sizeof(n);

    if (key == WITNESS_KEYS) {
        memcpy(check->value, &n, sizeof(n));
    } else {
        size = witness_value_size(w, n);
        witness_value(w, n, key, check->value);
    }
    if (value.size != size || memcmp(value.data, check->value, size) != 0) {
        witness_broken("writer %u, key %u: not the value of commit %llu", w, key,
                       (unsigned long long)n);
    }
}

/* To the next key that must be there, in steps of +1 or -1; false: there is none. `place` counts
 * all keys of all writers. */
static bool
next_place(const struct check *check, int64_t *place, int step)
{
    const int64_t count = (int64_t)WITNESS_WRITERS * (WITNESS_KEYS + 1);

    do {
        *place += step;
    } while (*place >= 0 && *place < count &&
             wrote(check, (uint32_t)(*place / (WITNESS_KEYS + 1)),
                   (uint32_t)(*place % (WITNESS_KEYS + 1))) == 0);
    return *place >= 0 && *place < count;
}

static void
walk(struct check *check, int step)
{
    int64_t place = step > 0 ? -1 : (int64_t)WITNESS_WRITERS * (WITNESS_KEYS + 1);
    gyre_iterator *it;
    gyre_status status = gyre_iterator_open(check->witness->db, NULL, &it);

    if (status != GYRE_OK) {
        witness_refused(check->witness, "iterator", status);
    }
    status = step > 0 ? gyre_iterator_first(it) : gyre_iterator_last(it);
    while (next_place(check, &place, step)) {
        const uint32_t w = (uint32_t)(place / (WITNESS_KEYS + 1));
        const uint32_t key = (uint32_t)(place % (WITNESS_KEYS + 1));
        char buffer[32];
        const struct gyre_slice wanted = witness_key(buffer, w, key);
        struct gyre_slice found;

        if (status != GYRE_OK && status != GYRE_NOT_FOUND) {
            witness_refused(check->witness, "walk", status);
        }
        found = gyre_iterator_key(it);
        if (status != GYRE_OK || found.size != wanted.size ||
            memcmp(found.data, wanted.data, wanted.size) != 0) {
            witness_broken("walking %d: found '%.*s', expected %s", step, (int)found.size,
                           (const char *)found.data, buffer);
        }
        compare(check, w, key, gyre_iterator_value(it));
        status = step > 0 ? gyre_iterator_next(it) : gyre_iterator_prev(it);
    }
    if (status == GYRE_OK) {
        witness_broken("walking %d: keys that should not be there", step);
    }
    if (status != GYRE_NOT_FOUND) {
        witness_refused(check->witness, "walk", status);
    }
    gyre_iterator_close(it);
}

static void
read_points(struct check *check)
{
    for (uint32_t w = 0; w < WITNESS_WRITERS; w++) {
        for (uint32_t key = 0; key < WITNESS_KEYS; key++) {
            struct gyre_value value;
            char buffer[32];
            const gyre_status status =
                gyre_get(check->witness->db, NULL, witness_key(buffer, w, key), &value);

            if (status != GYRE_OK && status != GYRE_NOT_FOUND) {
                witness_refused(check->witness, "get", status);
            }
            if ((status == GYRE_OK) != (check->last[w][key] != 0)) {
                witness_broken("%s: %s", buffer, gyre_status_name(status));
            }
            if (status == GYRE_OK) {
                compare(check, w, key, gyre_slice(value.data, value.size));
                gyre_value_release(&value);
            }
        }
    }
}

static void
must_open(struct witness *witness)
{
    const gyre_status status = witness_open(witness);

    if (status != GYRE_OK) {
        witness_refused(witness, "open", status);
    }
}

int
witness_check(struct witness *witness, const char *position)
{
    struct check *check = calloc(1, sizeof(*check));
    gyre_status status;

    check->witness = witness;
    check->cut = position != NULL ? strtoull(position, NULL, 10) : UINT64_MAX;
    must_open(witness);
    for (uint32_t w = 0; w < WITNESS_WRITERS; w++) {
        check->p[w] = witness_counter(witness, w);
        check_bounds(check, w);
        witness_state(w, check->p[w], check->last[w]);
    }
    for (uint32_t w = 0; w < WITNESS_WRITERS; w++) {
        check_order(check, w);
    }
    walk(check, 1);
    walk(check, -1);
    read_points(check);
    status = gyre_verify(witness->db, NULL, NULL, NULL, NULL);
    if (status != GYRE_OK) {
        witness_refused(witness, "verify", status);
    }
    if (witness_close(witness) != GYRE_OK) {
        return WITNESS_REFUSED;
    }
    must_open(witness);
    for (uint32_t w = 0; w < WITNESS_WRITERS; w++) {
        if (witness_counter(witness, w) != check->p[w]) {
            witness_broken("writer %u: another count of commits when opened again", w);
        }
    }
    printf("found %llu %llu %llu %llu\n", (unsigned long long)check->p[0],
           (unsigned long long)check->p[1], (unsigned long long)check->p[2],
           (unsigned long long)check->p[3]);
    free(check);
    return witness_close(witness) == GYRE_OK ? WITNESS_OK : WITNESS_REFUSED;
}
