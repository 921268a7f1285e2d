/* Terminals: what is opened anew, modes, sizes, and how each end goes. */
#include "turns.h"

#include "csrc/tty.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

/* Both ends of a pseudo-terminal. */
static void open_pty(int *master, int *slave) {
    *master = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(*master >= 0);
    CHECK_EQ(grantpt(*master), 0);
    CHECK_EQ(unlockpt(*master), 0);
    *slave = open(ptsname(*master), O_RDWR | O_NOCTTY);
    CHECK(*slave >= 0);
}

static int64_t take_over(int fd) {
    int64_t id = gv_tty_new(loop);

    CHECK_EQ(gv_tty_open(loop, id, fd), 0);
    return id;
}

static void close_handle(int64_t id) {
    CHECK_EQ(gv_stream_close(loop, id), 0);
    await(id, GV_CLOSED);
}

static void check_data(int64_t id, const char *wanted) {
    record data = await(id, GV_DATA);

    CHECK_EQ(data.b, (int64_t) strlen(wanted));
    CHECK(memcmp(gv_loop_arena(loop) + data.a, wanted, strlen(wanted)) == 0);
}

static void lines_come_and_go(void) {
    int master, slave;
    int64_t id;
    char got[6];

    open_pty(&master, &slave);
    id = take_over(slave);
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    CHECK_EQ(write(master, "spam\nnot yet", 12), 12);
    check_data(id, "spam\n");
    CHECK_EQ(read(master, got, 6), 6); /* the echo */
    CHECK_EQ(write(master, "\4\4", 2), 2);
    check_data(id, "not yet");
    await(id, GV_EOF); /* Ctrl-D with nothing before it */
    close_handle(id);
    close(master);
}

static void others_keep_their_blocking_terminal(void) {
    int master, slave, shared;
    int64_t id;

    open_pty(&master, &slave);
    shared = dup(slave);
    id = take_over(slave);
    CHECK_EQ(gv_handle_fileno(loop, id), slave);
    CHECK(!is_blocking(slave));
    CHECK(is_blocking(shared));
    CHECK(fcntl(slave, F_GETFD) & FD_CLOEXEC);
    close_handle(id);
    CHECK(is_blocking(shared));
    CHECK(fcntl(slave, F_GETFL) < 0); /* it was given away */
    close(shared);
    close(master);
}

static void a_standard_stream_stays_as_it_is(void) {
    int kept = dup(STDIN_FILENO);
    int master, slave;
    int64_t id;

    open_pty(&master, &slave);
    CHECK_EQ(dup2(slave, STDIN_FILENO), STDIN_FILENO);
    close(slave);
    id = take_over(STDIN_FILENO);
    CHECK(gv_handle_fileno(loop, id) > STDERR_FILENO);
    CHECK(is_blocking(STDIN_FILENO));
    CHECK((fcntl(STDIN_FILENO, F_GETFD) & FD_CLOEXEC) == 0);
    close_handle(id);
    CHECK(isatty(STDIN_FILENO));
    CHECK(dup2(kept, STDIN_FILENO) == STDIN_FILENO);
    close(kept);
    close(master);
}

static void a_master_is_not_opened_anew(void) {
    int master, slave, shared;
    int64_t id;

    open_pty(&master, &slave);
    shared = dup(master);
    CHECK_EQ(gv_fd_reopen(master), UV_ENOTSUP);
    id = take_over(master);
    CHECK(!is_blocking(shared));
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    CHECK_EQ(write(slave, "spam", 4), 4);
    check_data(id, "spam");
    close(slave);
    await(id, GV_EOF); /* not EIO */
    close_handle(id);
    CHECK(is_blocking(shared));
    close(shared);
}

static void the_user_hangs_up(void) {
    int master, slave;
    int64_t id;

    open_pty(&master, &slave);
    id = take_over(slave);
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    CHECK_EQ(gv_tty_set_mode(loop, id, GV_TTY_RAW), 0);
    close(master);
    await(id, GV_EOF);
    CHECK(gv_tty_set_mode(loop, id, GV_TTY_NORMAL) < 0);
    abort_handle(id);
    await(id, GV_CLOSED);
}

static tcflag_t local_flags(int fd) {
    struct termios settings;

    CHECK_EQ(tcgetattr(fd, &settings), 0);
    return settings.c_lflag;
}

static tcflag_t output_flags(int fd) {
    struct termios settings;

    CHECK_EQ(tcgetattr(fd, &settings), 0);
    return settings.c_oflag;
}

static void modes(void) {
    int master, slave;
    tcflag_t normal;
    int64_t id;

    open_pty(&master, &slave);
    normal = local_flags(master);
    id = take_over(slave);
    CHECK_EQ(gv_tty_set_mode(loop, id, GV_TTY_NORMAL), 0);
    CHECK_EQ(gv_tty_set_mode(loop, id, GV_TTY_RAW), 0);
    CHECK_EQ(local_flags(master) & (ECHO | ICANON | ISIG), 0);
    CHECK(output_flags(master) & OPOST);
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    CHECK_EQ(write(master, "\3", 1), 1);
    check_data(id, "\3"); /* at once, and no signal */
    CHECK_EQ(gv_tty_set_mode(loop, id, GV_TTY_IO), 0);
    CHECK_EQ(output_flags(master) & OPOST, 0);
    CHECK_EQ(gv_tty_set_mode(loop, id, GV_TTY_NORMAL), 0);
    CHECK_EQ(local_flags(master), normal);
    CHECK_EQ(gv_tty_set_mode(loop, id, GV_TTY_IO), 0);
    close_handle(id);
    CHECK_EQ(local_flags(master), normal); /* closing does it, too */
    close(master);
}

/* A shell that has taken its terminal back would not like it. */
static void in_the_background_the_mode_is_left_alone(void) {
    int master, slave;
    int status;
    pid_t child;

    open_pty(&master, &slave);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        pid_t other;
        int64_t id;

        open_loop(16, PLENTY, 65536);
        CHECK(setsid() > 0);
        CHECK_EQ(ioctl(slave, TIOCSCTTY, 0), 0);
        signal(SIGTTOU, SIG_IGN); /* of tcsetpgrp() */
        id = take_over(slave);
        CHECK_EQ(gv_tty_set_mode(loop, id, GV_TTY_RAW), 0);
        other = fork();
        if (other == 0) {
            setpgid(0, 0);
            pause();
        }
        setpgid(other, other);
        CHECK_EQ(tcsetpgrp(slave, other), 0);
        signal(SIGTTOU, SIG_DFL); /* which would stop us */
        close_handle(id);
        CHECK((local_flags(master) & ICANON) == 0);
        kill(other, SIGKILL);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
    CHECK_EQ(status, 0);
    close(slave);
    close(master);
}

static void the_window_has_a_size(void) {
    struct winsize size = {.ws_col = 132, .ws_row = 43};
    int master, slave;
    int columns = -1;
    int rows = -1;
    int64_t id;

    open_pty(&master, &slave);
    id = take_over(slave);
    CHECK_EQ(gv_tty_winsize(loop, id, &columns, &rows), 0);
    CHECK_EQ(columns, 0);
    CHECK_EQ(rows, 0);
    CHECK_EQ(ioctl(master, TIOCSWINSZ, &size), 0);
    CHECK_EQ(gv_tty_winsize(loop, id, &columns, &rows), 0);
    CHECK_EQ(columns, 132);
    CHECK_EQ(rows, 43);
    close_handle(id);
    close(master);
}

static void a_pipe_is_opened_anew(void) {
    int fds[2];
    char got[4];
    int copy;

    CHECK_EQ(pipe(fds), 0);
    copy = gv_fd_reopen(fds[1]);
#ifdef __linux__
    CHECK(copy > STDERR_FILENO);
    CHECK(!is_blocking(copy));
    CHECK(is_blocking(fds[1]));
    CHECK_EQ(write(copy, "spam", 4), 4);
    CHECK_EQ(read(fds[0], got, 4), 4);
    close(copy);
#else
    CHECK_EQ(copy, UV_ENOTSUP);
#endif
    close(fds[0]);
    close(fds[1]);
}

static void misuse(void) {
    int64_t id = gv_tty_new(loop);
    int64_t pipe_id;
    int master, slave, peer, columns, rows;

    CHECK(gv_tty_set_mode(loop, id, GV_TTY_RAW) < 0); /* not open */
    CHECK(gv_tty_winsize(loop, id, &columns, &rows) < 0);
    CHECK_EQ(gv_tty_open(loop, id, -1), UV_EBADF);
    pipe_id = open_pipe_pair(&peer);
    CHECK_EQ(gv_tty_open(loop, id, peer), UV_ENOTTY);
    CHECK_EQ(gv_tty_open(loop, pipe_id, peer), UV_EINVAL);
    CHECK_EQ(gv_tty_set_mode(loop, pipe_id, GV_TTY_RAW), UV_EINVAL);
    CHECK_EQ(gv_tty_winsize(loop, pipe_id, &columns, &rows), UV_EINVAL);
    abort_handle(pipe_id);
    close(peer);
    open_pty(&master, &slave);
    CHECK_EQ(gv_tty_open(loop, id, slave), 0);
    CHECK_EQ(gv_tty_open(loop, id, slave), UV_EISCONN);
    CHECK_EQ(gv_tty_set_mode(loop, id, -1), UV_EINVAL);
    CHECK_EQ(gv_tty_set_mode(loop, id, 3), UV_EINVAL);
    CHECK_EQ(gv_tty_winsize(loop, id, NULL, &rows), UV_EINVAL);
    CHECK_EQ(gv_stream_listen(loop, id, 1), UV_EINVAL);
    pipe_id = gv_tty_new(loop);
    CHECK_EQ(gv_tty_open(loop, pipe_id, slave), UV_EEXIST);
    CHECK_EQ(gv_pipe_bind(loop, pipe_id, "/x", 2), UV_EINVAL);
    abort_handle(pipe_id);
    abort_handle(id);
    CHECK_EQ(gv_tty_open(loop, id, slave), UV_EBADF);
    close(master);
}

int main(void) {
    in_the_background_the_mode_is_left_alone();
    open_loop(16, PLENTY, 65536);
    lines_come_and_go();
    others_keep_their_blocking_terminal();
    a_standard_stream_stays_as_it_is();
    a_master_is_not_opened_anew();
    the_user_hangs_up();
    modes();
    the_window_has_a_size();
    a_pipe_is_opened_anew();
    misuse();
    close_loop();
    return 0;
}
