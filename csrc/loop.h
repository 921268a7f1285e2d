/* The loop: one uv_loop_t, its ring, and the one call that makes a turn.
 *
 * Every function but gv_loop_wake() belongs to the thread that made the loop. */
#ifndef GV_LOOP_H
#define GV_LOOP_H

#include "csrc/fds.h"
#include "csrc/handle.h"

#include <stdatomic.h>
#include <sys/types.h>

/* cdef: begin */

/* Beside libuv's UV_E*, which are above -5000: */
enum {
    GV_ETHREAD = -20001, /* called from another thread than the loop's */
    GV_EFORKED = -20002  /* the loop belongs to the parent process */
};

typedef struct {
    int64_t ring_records; /* how many records one turn may leave */
    int64_t arena_bytes;  /* what all handles together may read in one turn */
    int64_t read_limit;   /* what one handle may read in one turn, in bytes */
} gv_limits;

/* Make a loop for the calling thread. Returns NULL and a UV_E* code in `error`
 * if it cannot be had. Give it up with gv_loop_close(), then gv_loop_free(). */
gv_loop *gv_loop_new(const gv_limits *limits, int *error);

/* Forget the taken records, as gv_loop_poll() does, and close. Returns 0, or
 * UV_EBUSY while there are handles whose GV_CLOSED was not taken. */
int gv_loop_close(gv_loop *loop, int64_t taken);

/* Free the memory, from any thread, when nobody can call any more. A loop that
 * was not closed is leaked: libuv's part of it cannot go without its thread. */
void gv_loop_free(gv_loop *loop);

/* In a forked child: let go of what the parent also uses, without a word to
 * libuv, which would take the parent's fds out of the epoll set both share. The
 * same for a loop whose thread has ended without closing it. In that thread, or
 * while it polls, this does nothing. */
void gv_loop_abandon(gv_loop *loop);

/* Make the current or next poll return soon. From any thread, also on a closed
 * loop (UV_EBADF). */
int gv_loop_wake(gv_loop *loop);

/* Make one turn: forget the records that were taken, send what was queued, and
 * run libuv once; wait at most `timeout_ms` (-1: for ever) for something to
 * happen. Returns how many records lie in the ring now, or a negative code. If
 * not all records were taken, the rest is returned and nothing else happens.
 *
 * `taken` counts from the loop's first record, so that saying it twice does no
 * harm: a signal handler of Python's may strike between this call and its note. */
int64_t gv_loop_poll(gv_loop *loop, int64_t taken, int64_t timeout_ms);

/* Both stay where they are until gv_loop_close(); lent. */
const int64_t *gv_loop_ring(gv_loop *loop);
char *gv_loop_arena(gv_loop *loop);

/* The process ends: from now on polls of other threads than the caller's return a second
 * late. By then there is no process: Python would end those threads as soon as they come
 * back to it, in the middle of a greenlet, whose C++ then calls abort(). */
void gv_loop_last_thread(void);

/* Return how many handles there are, closing ones included. */
int64_t gv_loop_handles(gv_loop *loop);

/* cdef: end */

/* Have `before` called before any poll of any loop may wait, and `after`, with what
 * `before` returned, behind it. `after` may take its time. */
void gv_loop_around_wait(void *(*before)(void), void (*after)(void *));

enum {
    GV_READ_MIN = 4096,
    GV_READ_FAIR = 73728, /* 64 KiB and the head before them, so that they take one read */
    GV_CHUNK_SIZE = 4096,
    GV_CHUNKS_KEPT = 1024
};

typedef enum { GV_LOOP_OPEN, GV_LOOP_CLOSED, GV_LOOP_FORKED } gv_loop_state;

struct gv_loop {
    uv_loop_t uv;
    uint64_t owner; /* thread */
    pid_t process;
    atomic_int state;
    atomic_bool polling;
    uv_mutex_t guard; /* between wake and close */
    uv_async_t wakeup;
    uv_timer_t timer;
    gv_ring ring;
    int64_t taken; /* records, ever */
    gv_slots slots;
    gv_fds fds;
    gv_wheel wheel;
    gv_handle *first_dirty;
    gv_handle *last_dirty;
    char *datagrams;         /* what is read of them at once, see udp.c; NULL before the first */
    unsigned warm;           /* connections; see tls_warm.h */
    char *records;           /* what is read of TLS, or is to be written; see tls_stream.c */
    struct gv_chunk *chunks; /* spare ones of GV_CHUNK_SIZE, see outqueue.h */
    unsigned chunk_count;

    /* Sharing out the arena and the ring, see stream.c. */
    size_t read_limit;
    size_t share; /* what one handle may read in this turn */
    uint64_t turn;
    uint64_t epoch; /* goes on when everybody has had a turn */
    int64_t ready;  /* handles that wanted to read in this turn */
    bool refused;   /* someone was sent away in this turn: no room */
    bool starving;  /* ... and in the last: who had something in this epoch waits */
};

/* 0 if the calling thread may use the loop, else the code to return. */
int gv_loop_check(const gv_loop *loop);

#endif
