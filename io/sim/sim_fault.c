/* sim_fault.c - luck of the simulated machine: latencies, planned faults, and the record of what
 * happened. */
#include <errno.h>
#include <string.h>

#include "io/base/assert.h"
#include "io/sim/sim_machine.h"

#define MILLION 1000000u
#define TEXT_MAX 120u

/* Append `text` to a string of `size` bytes in all, cutting what does not fit. */
static void
append(char *target, size_t size, const char *text)
{
    const size_t used = strlen(target);
    const size_t length = strnlen(text, size - used - 1);

    memcpy(target + used, text, length);
    target[used + length] = '\0';
}

void
gy_sim_violate(struct gy_sim_machine *machine, const struct gy_req *req, const char *text)
{
    char whole[sizeof(machine->violation)] = "";

    append(whole, TEXT_MAX, text);
    if (req != NULL) {
        append(whole, sizeof(whole), ": ");
        append(whole, sizeof(whole), gy_sim_request_name(machine, req));
    }
    machine->violation_count++;
    if (machine->violation_count == 1) {
        memcpy(machine->violation, whole, sizeof(whole));
    }
    if (machine->config.on_violation != NULL) {
        machine->config.on_violation(machine->config.arg, whole);
    }
}

const char *
gy_sim_request_name(const struct gy_sim_machine *machine, const struct gy_req *req)
{
    if (gy_sim_op_has_names(req->op)) {
        return req->name != NULL ? req->name : "";
    }
    return req->slot < machine->slot_count ? machine->slots[req->slot].name : "";
}

static bool
rule_matches(const struct gy_sim_machine *machine, const struct gy_sim_rule *rule,
             const struct gy_req *req)
{
    if (rule->op_mask != 0 && ((rule->op_mask >> req->op) & 1u) == 0) {
        return false;
    }
    if (rule->klass_mask != 0 && ((rule->klass_mask >> req->klass) & 1u) == 0) {
        return false;
    }
    if (rule->name[0] == '\0' || strstr(gy_sim_request_name(machine, req), rule->name) != NULL) {
        return true;
    }
    return (req->op == GY_OP_RENAME || req->op == GY_OP_LINK) && req->name_new != NULL &&
           strstr(req->name_new, rule->name) != NULL;
}

/* The first rule that strikes this request. All are asked, since each counts what it matches. */
static const struct gy_sim_rule *
rule_that_strikes(struct gy_sim_machine *machine, const struct gy_req *req)
{
    const struct gy_sim_rule *struck = NULL;

    for (uint32_t i = 0; i < machine->config.faults.rule_count; i++) {
        const struct gy_sim_rule *rule = &machine->config.faults.rules[i];
        bool strikes;

        if (rule->fault == GY_SIM_FAULT_NONE || !rule_matches(machine, rule, req)) {
            continue;
        }
        machine->rule_matches[i]++;
        if (rule->nth != 0) {
            strikes = rule->is_repeated ? machine->rule_matches[i] >= rule->nth
                                        : machine->rule_matches[i] == rule->nth;
        } else {
            strikes = gy_rng_below(&machine->fault_rng, MILLION) < rule->ppm;
        }
        if (rule->strikes_max != 0 && machine->rule_strikes[i] >= rule->strikes_max) {
            strikes = false;
        }
        if (strikes && struck == NULL) {
            machine->rule_strikes[i]++;
            struck = rule;
        }
    }
    return struck;
}

static uint64_t
latency_of(struct gy_sim_machine *machine, uint8_t op)
{
    const struct gy_sim_latency *latency = &machine->config.latency[op];
    uint64_t ns = latency->min_ns;

    if (latency->max_ns > latency->min_ns) {
        ns += gy_rng_below(&machine->time_rng, latency->max_ns - latency->min_ns + 1);
    }
    if (latency->tail_ppm != 0 && gy_rng_below(&machine->time_rng, MILLION) < latency->tail_ppm) {
        ns *= latency->tail_factor;
    }
    return ns;
}

void
gy_sim_draw_luck(struct gy_sim_machine *machine, struct gy_sim_flight *flight)
{
    const uint8_t op = flight->req->op;
    const struct gy_sim_rule *rule = NULL;

    flight->due_ns = machine->now_ns + latency_of(machine, op);
    if (flight->error != 0 || machine->stop != GY_SIM_STOP_NOT) {
        return;
    }
    rule = rule_that_strikes(machine, flight->req);
    if (rule != NULL) {
        flight->fault = rule->fault;
        flight->fault_errno = rule->os_errno != 0 ? rule->os_errno : EIO;
        if (rule->fault == GY_SIM_FAULT_STUCK) {
            flight->due_ns = GY_SIM_NEVER;
        } else if (rule->fault == GY_SIM_FAULT_SLOW) {
            flight->due_ns += rule->delay_ns;
        }
    }
    flight->is_short =
        (op == GY_OP_READ || op == GY_OP_WRITE) &&
        (flight->fault == GY_SIM_FAULT_SHORT ||
         (machine->config.faults.short_ppm != 0 &&
          gy_rng_below(&machine->fault_rng, MILLION) < machine->config.faults.short_ppm));
}

static void
trace(struct gy_sim_machine *machine, const struct gy_sim_flight *flight,
      const struct gy_sim_event *event)
{
    const struct gy_req *req = flight->req;
    uint64_t hash = machine->trace_hash;
    const uint64_t facts[4] = {(uint64_t)req->op << 24 | (uint64_t)req->klass << 16 |
                                   (uint64_t)req->flags << 8 | (event->is_completion ? 1u : 0u),
                               req->offset, req->size, (uint64_t)(int64_t)event->result};

    hash = gy_sim_hash(hash, facts, sizeof(facts));
    hash = gy_sim_hash(hash, event->name, strlen(event->name));
    if (!event->is_completion && flight->op != NULL && flight->op->data != NULL) {
        hash = gy_sim_blob_hash(flight->op->data, hash);
    }
    machine->trace_hash = hash;
}

void
gy_sim_record(struct gy_sim_machine *machine, const struct gy_sim_flight *flight,
              bool is_completion, int32_t result)
{
    const struct gy_req *req = flight->req;
    struct gy_sim_event *event;

    machine->event_count++;
    event = &machine->events[machine->event_count % GY_SIM_EVENTS_KEPT];
    *event = (struct gy_sim_event){.event = machine->event_count,
                                   .now_ns = machine->now_ns,
                                   .offset = req->offset,
                                   .size = req->size,
                                   .slot = req->slot,
                                   .result = result,
                                   .op = req->op,
                                   .klass = req->klass,
                                   .flags = req->flags,
                                   .is_completion = is_completion,
                                   .fault = flight->fault};
    append(event->name, sizeof(event->name), gy_sim_request_name(machine, req));
    trace(machine, flight, event);
    if (machine->config.on_event != NULL && machine->stop == GY_SIM_STOP_NOT) {
        machine->config.on_event(machine->config.arg, machine->event_count);
    }
    if (machine->event_count == machine->config.stop_at_event) {
        gy_world_sim_stop(&machine->base, machine->config.stop);
    }
}

/* ---- What tests ask ---- */

static const struct gy_sim_machine *
machine_of(const struct gy_world *world)
{
    return (const struct gy_sim_machine *)(const void *)((const char *)world -
                                                         offsetof(struct gy_sim_machine, base));
}

uint64_t
gy_world_sim_event_count(const struct gy_world *world)
{
    return machine_of(world)->event_count;
}

uint64_t
gy_world_sim_now_ns(const struct gy_world *world)
{
    return machine_of(world)->now_ns;
}

uint64_t
gy_world_sim_trace_hash(const struct gy_world *world)
{
    return machine_of(world)->trace_hash;
}

uint64_t
gy_world_sim_violation_count(const struct gy_world *world)
{
    return machine_of(world)->violation_count;
}

const char *
gy_world_sim_violation(const struct gy_world *world)
{
    return machine_of(world)->violation;
}

uint64_t
gy_world_sim_strike_count(const struct gy_world *world, uint32_t rule)
{
    gy_assert(rule < GY_SIM_RULES_MAX);
    return machine_of(world)->rule_strikes[rule];
}

bool
gy_world_sim_event(const struct gy_world *world, uint32_t back, struct gy_sim_event *ret_event)
{
    const struct gy_sim_machine *machine = machine_of(world);

    if (back >= GY_SIM_EVENTS_KEPT || back >= machine->event_count) {
        return false;
    }
    *ret_event = machine->events[(machine->event_count - back) % GY_SIM_EVENTS_KEPT];
    return true;
}

enum gy_sim_stop
gy_world_sim_stopped(const struct gy_world *world)
{
    return machine_of(world)->stop;
}
