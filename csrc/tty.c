#include "csrc/tty.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

int64_t gv_tty_new(gv_loop *loop) {
    int rc = gv_loop_check(loop);
    gv_stream *stream;

    if (rc < 0)
        return rc;
    stream = gv_stream_new(loop, GV_TTY);
    if (stream == NULL)
        return UV_ENOMEM;
    rc = gv_pipe_init(stream);
    return rc < 0 ? rc : stream->handle.source.id;
}

static gv_tty *find_tty(gv_loop *loop, int64_t id, int *rc) {
    gv_stream *stream = gv_stream_find(loop, id, rc);

    if (stream != NULL && stream->handle.type != GV_TTY) {
        *rc = UV_EINVAL;
        return NULL;
    }
    return (gv_tty *) stream;
}

/* Replace *fd by one that shares no flags with others, in its own place if nobody but
 * us relies on that. Returns whether the new one is another. */
static bool make_private(int *fd) {
    int copy = gv_fd_reopen(*fd);
    bool elsewhere = *fd <= STDERR_FILENO;

    if (copy < 0)
        return false;
    if (elsewhere) {
        *fd = copy;
        return true;
    }
    if (dup2(copy, *fd) >= 0)
        fcntl(*fd, F_SETFD, FD_CLOEXEC);
    close(copy);
    return false;
}

int gv_tty_open(gv_loop *loop, int64_t id, int fd) {
    int rc;
    gv_tty *tty = find_tty(loop, id, &rc);
    bool is_copy;

    if (tty == NULL)
        return rc;
    if (tty->stream.state != GV_STREAM_NEW)
        return UV_EISCONN;
    if (!isatty(fd))
        return uv_translate_sys_error(errno);
    if (gv_fds_owned(&loop->fds, fd))
        return UV_EEXIST;
    is_copy = make_private(&fd);
    rc = gv_stream_take(&tty->stream, fd);
    if (rc < 0) {
        if (is_copy)
            close(fd);
        return rc;
    }
    gv_stream_opened(&tty->stream);
    return 0;
}

/* Without waiting: the terminal may be stopped, and then its output never ends. */
static int apply(const gv_tty *tty, const struct termios *settings) {
    int fd = gv_handle_fd(&tty->stream.handle);

    return tcsetattr(fd, TCSANOW, settings) < 0 ? uv_translate_sys_error(errno) : 0;
}

static struct termios settings_for(const gv_tty *tty, gv_tty_mode mode) {
    struct termios settings = tty->normal;

    if (mode == GV_TTY_NORMAL)
        return settings;
    if (mode == GV_TTY_IO) {
        cfmakeraw(&settings);
    } else {
        settings.c_iflag &= ~(tcflag_t) (BRKINT | ICRNL | INPCK | ISTRIP | IXON);
        settings.c_oflag |= ONLCR;
        settings.c_cflag |= CS8;
        settings.c_lflag &= ~(tcflag_t) (ECHO | ICANON | IEXTEN | ISIG);
    }
    settings.c_cc[VMIN] = 1;
    settings.c_cc[VTIME] = 0;
    return settings;
}

int gv_tty_set_mode(gv_loop *loop, int64_t id, int mode) {
    int rc;
    gv_tty *tty = find_tty(loop, id, &rc);
    struct termios settings;

    if (tty == NULL)
        return rc;
    if (mode < GV_TTY_NORMAL || mode > GV_TTY_IO)
        return UV_EINVAL;
    if (tty->mode == (gv_tty_mode) mode)
        return 0;
    if (tty->mode == GV_TTY_NORMAL &&
        tcgetattr(gv_handle_fd(&tty->stream.handle), &tty->normal) < 0)
        return uv_translate_sys_error(errno);
    settings = settings_for(tty, (gv_tty_mode) mode);
    rc = apply(tty, &settings);
    if (rc == 0)
        tty->mode = (gv_tty_mode) mode;
    return rc;
}

void gv_tty_leave(gv_tty *tty) {
    pid_t foreground = tcgetpgrp(gv_handle_fd(&tty->stream.handle));

    /* In the background, the mode is now somebody else's, and to set it would stop us. */
    if (tty->mode != GV_TTY_NORMAL && (foreground < 0 || foreground == getpgrp()))
        apply(tty, &tty->normal);
    tty->mode = GV_TTY_NORMAL;
}

int gv_tty_winsize(gv_loop *loop, int64_t id, int *columns, int *rows) {
    int rc;
    const gv_tty *tty = find_tty(loop, id, &rc);
    struct winsize size;

    if (tty == NULL)
        return rc;
    if (columns == NULL || rows == NULL)
        return UV_EINVAL;
    if (ioctl(gv_handle_fd(&tty->stream.handle), TIOCGWINSZ, &size) < 0)
        return uv_translate_sys_error(errno);
    *columns = size.ws_col;
    *rows = size.ws_row;
    return 0;
}
