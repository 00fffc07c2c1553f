/* sim_bank.c - is your own code safe against crashes? A bank whose transfers may not lose or make
 * money, crashed at every event of the disk by the explorer of gyre_sim.
 *
 *     ./sim_bank          explores 20 seeds: nothing is found
 *     ./sim_bank bug      the same with transfers as two writes instead of one batch: found, and
 *                         seen again with the seed alone
 *
 * Built as a shared object this file is a plug-in for the command: gyre_sim run sim_bank.so
 *     cc -shared -fPIC sim_bank.c -o sim_bank.so $(pkg-config --cflags gyre_sim)
 * Nothing is written outside the process; a run is decided by its seed to the bit.
 */
#include <gyre/gyre.h>
#include <gyre/sim.h>
#include <stdio.h>

#define ACCOUNTS 8
#define OPENING_BALANCE 100
#define TRANSFERS 20

struct bank {
    int has_bug;
    uint64_t started;  /* transfers that were asked for */
    uint64_t answered; /* that the store has promised to keep */
};

/* ---- The application ---- */

static struct gyre_slice
account_key(uint32_t account, char text[16])
{
    snprintf(text, 16, "account-%02u", account);
    return gyre_str(text);
}

static gyre_status
read_number(gyre_db *db, struct gyre_slice key, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t size = 0;
    const gyre_status status = gyre_get_copy(db, NULL, key, &number, sizeof(number), &size);

    if (status != GYRE_OK) {
        return status;
    }
    *ret_number = number;
    return size == sizeof(number) ? GYRE_OK : GYRE_CORRUPT;
}

static gyre_status
open_bank(gyre_loop *loop, uint32_t flags, gyre_db **ret_db)
{
    /* Small logs and memtables: they fill up, and a recovery takes no time. */
    return gyre_open(loop, "/bank",
                     GYRE_OPTIONS(.flags = flags, .memtable_size = 64 << 10,
                                  .wal_slot_size = 128 << 10, .wal_buffer_size = 256 << 10),
                     ret_db);
}

static gyre_status
write_transfer(gyre_db *db, const struct gyre_slice keys[3], const uint64_t numbers[3])
{
    gyre_batch *batch = gyre_batch_make();
    gyre_status status = batch != NULL ? GYRE_OK : GYRE_NO_MEMORY;

    for (int i = 0; i < 3 && status == GYRE_OK; i++) {
        status = gyre_batch_put(batch, keys[i], gyre_slice(&numbers[i], sizeof(numbers[i])));
    }
    if (status == GYRE_OK) {
        status = gyre_write(db, NULL, batch); /* all of it or nothing */
    }
    gyre_batch_free(batch);
    return status;
}

/* What happens when somebody "simplifies" that. */
static gyre_status
write_transfer_with_bug(gyre_db *db, const struct gyre_slice keys[3], const uint64_t numbers[3])
{
    gyre_status status = GYRE_OK;

    for (int i = 0; i < 3 && status == GYRE_OK; i++) {
        status = gyre_put(db, NULL, keys[i], gyre_slice(&numbers[i], sizeof(numbers[i])));
    }
    return status;
}

static gyre_status
transfer(struct bank *bank, gyre_db *db, uint32_t from, uint32_t to)
{
    char texts[2][16];
    const struct gyre_slice keys[3] = {account_key(from, texts[0]), account_key(to, texts[1]),
                                       gyre_str("transfers")};
    uint64_t numbers[3] = {0, 0, 0};
    gyre_status status = GYRE_OK;

    for (int i = 0; i < 3 && status == GYRE_OK; i++) {
        status = read_number(db, keys[i], &numbers[i]);
    }
    if (status != GYRE_OK || numbers[0] == 0) {
        return status;
    }
    numbers[0]--;
    numbers[1]++;
    numbers[2]++;
    bank->started = numbers[2];
    status = bank->has_bug ? write_transfer_with_bug(db, keys, numbers)
                           : write_transfer(db, keys, numbers);
    if (status == GYRE_OK) {
        bank->answered = numbers[2];
    }
    return status;
}

/* ---- The plan: set up, work, check ---- */

static gyre_status
set_up(gyre_loop *loop, uint64_t seed, void *arg)
{
    struct bank *bank = arg;
    const uint64_t opening = OPENING_BALANCE;
    const uint64_t none = 0;
    gyre_db *db;
    char text[16];
    gyre_status status = open_bank(loop, GYRE_OPEN_CREATE, &db);

    (void)seed;
    bank->started = 0;
    bank->answered = 0;
    if (status != GYRE_OK) {
        return status;
    }
    for (uint32_t i = 0; i < ACCOUNTS && status == GYRE_OK; i++) {
        status = gyre_put(db, NULL, account_key(i, text), gyre_slice(&opening, sizeof(opening)));
    }
    if (status == GYRE_OK) {
        status = gyre_put(db, NULL, gyre_str("transfers"), gyre_slice(&none, sizeof(none)));
    }
    const gyre_status closed = gyre_close(db);
    return status != GYRE_OK ? status : closed;
}

static gyre_status
work(gyre_loop *loop, uint64_t seed, void *arg)
{
    struct bank *bank = arg;
    gyre_db *db;
    gyre_status status = open_bank(loop, 0, &db);

    if (status != GYRE_OK) {
        return status;
    }
    for (uint32_t i = 0; i < TRANSFERS && status == GYRE_OK; i++) {
        const uint32_t from = (uint32_t)(seed + 3u * i) % ACCOUNTS;

        status = transfer(bank, db, from, (from + 1 + i % (ACCOUNTS - 1)) % ACCOUNTS);
        if (status == GYRE_OK && i == TRANSFERS / 2) {
            status = gyre_flush(db);
        }
    }
    const gyre_status closed = gyre_close(db);
    return status != GYRE_OK ? status : closed;
}

/* After a crash: no money came or went, and every transfer that was answered is there. */
static bool
is_sound(const struct bank *bank, gyre_db *db, struct gyre_sim_moment *moment)
{
    uint64_t sum = 0;
    uint64_t transfers = 0;
    char text[16];
    gyre_status status = read_number(db, gyre_str("transfers"), &transfers);

    for (uint32_t i = 0; i < ACCOUNTS && status == GYRE_OK; i++) {
        uint64_t balance = 0;

        status = read_number(db, account_key(i, text), &balance);
        sum += balance;
    }
    if (status != GYRE_OK) {
        snprintf(moment->text, sizeof(moment->text), "a read: %s",
                 gyre_last_error(gyre_db_loop(db))->text);
        return false;
    }
    if (sum != ACCOUNTS * OPENING_BALANCE) {
        snprintf(moment->text, sizeof(moment->text), "the bank holds %llu, not %d",
                 (unsigned long long)sum, ACCOUNTS * OPENING_BALANCE);
        return false;
    }
    if (transfers < bank->answered || transfers > bank->started) {
        snprintf(moment->text, sizeof(moment->text), "%llu transfers found, %llu to %llu promised",
                 (unsigned long long)transfers, (unsigned long long)bank->answered,
                 (unsigned long long)bank->started);
        return false;
    }
    return true;
}

static bool
check(gyre_loop *loop, struct gyre_sim_moment *moment, void *arg)
{
    gyre_db *db;
    const gyre_status status = open_bank(loop, 0, &db);

    if (status != GYRE_OK) {
        snprintf(moment->text, sizeof(moment->text), "it does not open: %s",
                 gyre_last_error(loop)->text);
        return false;
    }
    const bool sound = is_sound(arg, db, moment);
    return gyre_close(db) == GYRE_OK && sound;
}

static struct bank the_bank;
static const struct gyre_sim_plan plan = {.struct_size = sizeof(plan),
                                          .name = "bank",
                                          .arg = &the_bank,
                                          .setup = set_up,
                                          .work = work,
                                          .check = check,
                                          .every = 8};

const struct gyre_sim_plan *
gyre_sim_plugin(void)
{
    return &plan;
}

/* ---- Explore it ---- */

static void
print(const struct gyre_sim_report *report)
{
    static const char *const modes[] = {"power cut, nothing survives", "power cut, all survives",
                                        "power cut", "kill"};

    if (report->is_failure != 0) {
        printf("seed %llu, event %llu, %s: %s\n", (unsigned long long)report->seed,
               (unsigned long long)report->event, modes[report->mode], report->text);
    } else {
        printf("%llu seeds, %llu crashes checked, trace %016llx\n",
               (unsigned long long)report->seed_count, (unsigned long long)report->crash_count,
               (unsigned long long)report->trace_hash);
    }
}

/* The bug is found, and the seed alone shows the same again. */
static int
find_bug(void)
{
    struct gyre_sim_report first = {.struct_size = sizeof(first)};
    struct gyre_sim_report again = {.struct_size = sizeof(again)};

    the_bank.has_bug = 1;
    if (gyre_sim_explore(&plan, 1, 20, &first) != GYRE_CORRUPT) {
        fprintf(stderr, "the bug was not found\n");
        return 1;
    }
    print(&first);
    if (gyre_sim_explore(&plan, first.seed, 1, &again) != GYRE_CORRUPT ||
        again.event != first.event || strcmp(again.text, first.text) != 0) {
        fprintf(stderr, "the seed did not show it again\n");
        return 1;
    }
    return 0;
}

int
main(int argc, char **argv)
{
    struct gyre_sim_report report = {.struct_size = sizeof(report)};

    if (argc > 1 && strcmp(argv[1], "bug") == 0) {
        return find_bug();
    }
    const gyre_status status = gyre_sim_explore(&plan, 1, 20, &report);

    if (status != GYRE_OK && status != GYRE_CORRUPT) {
        fprintf(stderr, "explore: %s\n", gyre_status_name(status));
        return 1;
    }
    print(&report);
    return status == GYRE_OK ? 0 : 1;
}
