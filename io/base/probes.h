/* probes.h - static probes (USDT) for bpftrace, perf and SystemTap: a nop where nobody listens, and
 * nothing at all where <sys/sdt.h> was not there when the library was built. docs/probes.md has
 * names and arguments. Arguments are numbers that are at hand: they are worked out in any case.
 */
#ifndef GY_PROBES_H
#define GY_PROBES_H

#ifdef GY_HAS_SDT
#include <sys/sdt.h>
#define GY_PROBE2(name, a, b) DTRACE_PROBE2(gyre, name, a, b)
#define GY_PROBE3(name, a, b, c) DTRACE_PROBE3(gyre, name, a, b, c)
#define GY_PROBE4(name, a, b, c, d) DTRACE_PROBE4(gyre, name, a, b, c, d)
#else
#define GY_PROBE2(name, a, b) ((void)(a), (void)(b))
#define GY_PROBE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#define GY_PROBE4(name, a, b, c, d) ((void)(a), (void)(b), (void)(c), (void)(d))
#endif

#endif
