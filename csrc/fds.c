#include "csrc/fds.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#ifdef __linux__
#include <sys/epoll.h>
#endif

static size_t word_of(int fd) {
    return (size_t) fd / 64;
}

static uint64_t bit_of(int fd) {
    return UINT64_C(1) << ((unsigned) fd % 64);
}

static bool grow(gv_fds *fds, size_t words) {
    uint64_t *owned = realloc(fds->owned, words * sizeof(*owned));

    if (owned == NULL)
        return false;
    memset(owned + fds->words, 0, (words - fds->words) * sizeof(*owned));
    fds->owned = owned;
    fds->words = words;
    return true;
}

void gv_fds_claim(gv_fds *fds, int fd) {
    if (word_of(fd) >= fds->words && !grow(fds, 2 * word_of(fd) + 16))
        return;
    fds->owned[word_of(fd)] |= bit_of(fd);
}

void gv_fds_release(gv_fds *fds, int fd) {
    if (word_of(fd) < fds->words)
        fds->owned[word_of(fd)] &= ~bit_of(fd);
}

bool gv_fds_owned(const gv_fds *fds, int fd) {
    return fd >= 0 && word_of(fd) < fds->words && (fds->owned[word_of(fd)] & bit_of(fd)) != 0;
}

void gv_fds_free(gv_fds *fds) {
    free(fds->owned);
    memset(fds, 0, sizeof(*fds));
}

int gv_fd_try(int backend, int fd) {
#ifdef __linux__
    /* It stays in the set, for nothing yet: libuv says next for what, and takes
     * out what it does not know. */
    struct epoll_event event = {.events = 0, .data = {.fd = fd}};

    if (epoll_ctl(backend, EPOLL_CTL_ADD, fd, &event) == 0 || errno == EEXIST)
        return 0;
#else
    (void) backend;
    if (fcntl(fd, F_GETFD) >= 0)
        return 0;
#endif
    return uv_translate_sys_error(errno);
}

bool gv_fd_is_master(int fd) {
#ifdef TIOCGPTN
    int number;

    return ioctl(fd, TIOCGPTN, &number) == 0;
#else
    return ptsname(fd) != NULL;
#endif
}

/* By what name can it be opened? Returns 0 or a code. */
static int name_of(int fd, mode_t mode, char *name, size_t size) {
    /* A master opened again would be another terminal. */
    if (S_ISCHR(mode) && isatty(fd) && !gv_fd_is_master(fd))
        return uv_translate_sys_error(ttyname_r(fd, name, size));
#ifdef __linux__
    if (S_ISFIFO(mode)) {
        snprintf(name, size, "/proc/self/fd/%d", fd);
        return 0;
    }
#endif
    return UV_ENOTSUP;
}

static bool are_the_same(const struct stat *one, int fd) {
    struct stat other;

    return fstat(fd, &other) == 0 && one->st_dev == other.st_dev && one->st_ino == other.st_ino &&
           one->st_rdev == other.st_rdev;
}

int gv_fd_reopen(int fd) {
    char name[128];
    struct stat status;
    int flags = fcntl(fd, F_GETFL);
    int copy;
    int rc;

    if (flags < 0 || fstat(fd, &status) < 0)
        return uv_translate_sys_error(errno);
    rc = name_of(fd, status.st_mode, name, sizeof(name));
    if (rc < 0)
        return rc;
    copy = open(name, (flags & O_ACCMODE) | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (copy < 0)
        return uv_translate_sys_error(errno);
    if (!are_the_same(&status, copy))
        rc = UV_ENOTSUP;
    else if (copy > STDERR_FILENO)
        return copy;
    else
        rc = fcntl(copy, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    close(copy);
    return rc == -1 ? uv_translate_sys_error(errno) : rc;
}

void gv_fds_keep_standard(void) {
    int fd;

    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC); /* the lowest number that is free */
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}
