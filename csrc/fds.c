#include "csrc/fds.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
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
