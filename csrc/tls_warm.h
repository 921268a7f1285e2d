/* Which engines keep the memory for their records between two of them.
 *
 * That is 34 KiB, and to take it anew and give it back for each short message costs 3 % of the
 * time that a request over HTTPS takes. So the first so many connections that have read so
 * often keep it, for as long as they read something again each second. */
#ifndef GV_TLS_WARM_H
#define GV_TLS_WARM_H

#include "csrc/stream.h"

enum { GV_TLS_WARM = 64, GV_TLS_WARM_READS = 16, GV_TLS_WARM_MS = 1000 };

/* Something was read: keep it, if not too many do. */
void gv_tls_warm_up(gv_stream *stream);

/* When that is over, or UINT64_MAX; and end it, if it was begun. */
uint64_t gv_tls_warm_until(const gv_stream *stream);
void gv_tls_cool_down(gv_stream *stream);

#endif
