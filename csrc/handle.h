/* Handles: what every libuv handle of ours has in common, and the ids.
 *
 * Python holds ids, never pointers: the slot in the low 32 bits, above it the
 * slot's generation. A slot is free again, under the next generation, once its
 * GV_CLOSED was taken; so a stale id is noticed, whatever has become of it. */
#ifndef GV_HANDLE_H
#define GV_HANDLE_H

#include "csrc/deadline.h"
#include "csrc/ring.h"

#include <uv.h>

/* cdef: begin */

typedef struct gv_loop gv_loop;

/* Close a handle now; what it had queued is dropped. GV_CLOSED follows. Returns
 * 0 or a negative code (UV_EBADF: no such handle, UV_EALREADY: closing already). */
int gv_handle_close(gv_loop *loop, int64_t id);

/* Return the handle's file descriptor, still owned by it, or a negative code. */
int gv_handle_fileno(gv_loop *loop, int64_t id);

/* cdef: end */

typedef enum {
    GV_TCP,
    GV_PIPE,
    GV_TTY,
    GV_POLL,
    GV_UDP,
    GV_FS,
    GV_FS_EVENT
} gv_type; /* streams come first */

typedef struct gv_handle gv_handle;

/* What a type of handle does when the loop comes to it. */
typedef struct {
    void (*flush)(gv_handle *handle);                 /* it was marked dirty */
    void (*expired)(gv_handle *handle, uint64_t now); /* its bucket is due; fire or put back */
    void (*closing)(gv_handle *handle);               /* just before uv_close() */
    void (*shut)(gv_handle *handle);                  /* just behind that; may be NULL */
    void (*closed)(gv_handle *handle);                /* libuv has let go of it */
    void (*abandoned)(const gv_handle *handle);       /* by a forked child; may be NULL */
} gv_handle_ops;

struct gv_handle {
    gv_loop *loop;
    const gv_handle_ops *ops;
    gv_source source; /* source.id is the handle's id */
    gv_deadline deadline;
    gv_handle *next_dirty;
    gv_type type;
    bool dirty;
    bool shut;         /* uv_close() was called */
    bool foreign;      /* its fd came from outside, where others may close it */
    bool was_blocking; /* so does O_NONBLOCK, which goes when we go */
    union {
        uv_handle_t any;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
        uv_poll_t poll;
        uv_udp_t udp;
        uv_fs_event_t fs_event;
    } uv;
};

/* Slots in chunks that never move, so that a forked child can walk them. */
enum {
    GV_SLOT_CHUNK = 1024,
    GV_SLOT_CHUNKS = 2048,
    GV_SLOT_BITS = 21, /* of an id: the index; above it the generation */
    GV_SLOT_MASK = (1 << GV_SLOT_BITS) - 1
};

typedef struct {
    gv_handle *handle; /* NULL while free */
    uint32_t generation;
    uint32_t next_free;
} gv_slot;

typedef struct {
    gv_slot *chunks[GV_SLOT_CHUNKS];
    uint32_t size;       /* slots that were ever used */
    uint32_t first_free; /* index + 1; 0 is none */
    int64_t live;
} gv_slots;

/* Give a zeroed handle (its type is set) an id. Returns 0 or UV_ENOMEM. */
int gv_handle_add(gv_loop *loop, gv_handle *handle, const gv_handle_ops *ops);

/* Take back the id of a handle that libuv never knew. The memory is the caller's. */
void gv_handle_drop(gv_handle *handle);

/* Return the handle, or NULL. */
gv_handle *gv_handle_find(gv_loop *loop, int64_t id);

/* uv_close() with all that belongs to it. Not twice. */
void gv_handle_shut(gv_handle *handle);

/* Have ops->flush called at the start of the next poll. */
void gv_handle_mark(gv_handle *handle);

/* Free a handle whose GV_CLOSED was taken. */
void gv_handle_reap(gv_loop *loop, int64_t id);

/* Open file descriptor of a handle, or a negative code; no checks. */
int gv_handle_fd(const gv_handle *handle);

/* Its file descriptor, if it has one by now, is the handle's and nobody else's. */
void gv_handle_claim(const gv_handle *handle);

/* Return 0 if its file descriptor can be watched, else the code for why not. */
int gv_handle_try(const gv_handle *handle);

#endif
