/* What a test needs to say that something is not as it should be. */
#ifndef CHECK_H
#define CHECK_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define CHECK_EQ(value, wanted) check_eq(__FILE__, __LINE__, #value, (value), (wanted))

static inline void check_eq(const char *file, int line, const char *what, int64_t value,
                            int64_t wanted) {
    if (value == wanted)
        return;
    fprintf(stderr, "%s:%d: %s is %" PRId64 ", not %" PRId64 "\n", file, line, what, value, wanted);
    exit(1);
}

#endif
