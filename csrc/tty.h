/* Terminals over streams: how one comes to be open, its mode and its size.
 *
 * Not uv_tty_t: that puts a non-blocking descriptor, which no child inherits, in the
 * place of the caller's, and resets one terminal of the process at most. */
#ifndef GV_TTY_H
#define GV_TTY_H

#include "csrc/pipe.h"

/* cdef: begin */

typedef enum {
    GV_TTY_NORMAL, /* as it was before */
    GV_TTY_RAW,    /* each key comes at once and means nothing; output is as ever */
    GV_TTY_IO      /* the same, and nothing is done about the output either */
} gv_tty_mode;

/* Make a terminal handle. Returns its id or a negative code. Give it up with
 * gv_stream_close() or gv_stream_abort(), which also makes the mode normal. */
int64_t gv_tty_new(gv_loop *loop);

/* Take over a terminal, either end of it. It stays the caller's if this fails. It is
 * opened anew, so that O_NONBLOCK is not set for others; where that cannot be done, as
 * pipe.h does it. The standard streams themselves are left as they are. */
int gv_tty_open(gv_loop *loop, int64_t id, int fd);

/* Set a gv_tty_mode, at once. */
int gv_tty_set_mode(gv_loop *loop, int64_t id, int mode);

/* Get the size of the window, in characters; 0 if nobody has said it. */
int gv_tty_winsize(gv_loop *loop, int64_t id, int *columns, int *rows);

/* cdef: end */

#include <termios.h>

typedef struct {
    gv_stream stream;
    struct termios normal; /* to which it goes back from any other mode */
    gv_tty_mode mode;
} gv_tty;

/* Back to normal, before it is closed. */
void gv_tty_leave(gv_tty *tty);

#endif
