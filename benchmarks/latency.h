/* A histogram of latencies, exact to a tenth of a percent, in a fixed size.
 *
 * Up to 2047 ns a bucket is a nanosecond; from there on each doubling has 1024. */
#ifndef BENCHMARKS_LATENCY_H
#define BENCHMARKS_LATENCY_H

#include <stdint.h>

enum { STEPS = 1024, DOUBLINGS = 40 };

struct latency {
    uint64_t total;
    uint64_t buckets[STEPS * (DOUBLINGS + 2)];
};

static inline void latency_add(struct latency *latency, double seconds) {
    uint64_t ns = seconds > 0 ? (uint64_t) (seconds * 1e9) : 0;
    unsigned shift = 0;

    while (shift < DOUBLINGS && ns >> shift >= 2 * STEPS)
        shift++;
    latency->buckets[shift * STEPS + (ns >> shift)]++;
    latency->total++;
}

/* Return the latency in microseconds that the share `part` of all do not exceed. */
static inline double latency_quantile(const struct latency *latency, double part) {
    uint64_t seen = 0, wanted = (uint64_t) (part * (double) latency->total);

    for (unsigned i = 0; i < sizeof latency->buckets / sizeof latency->buckets[0]; i++) {
        unsigned shift = i < 2 * STEPS ? 0 : i / STEPS - 1;

        seen += latency->buckets[i];
        if (seen > wanted)
            return (double) ((uint64_t) (i - shift * STEPS) << shift) / 1e3;
    }
    return 0;
}

#endif
