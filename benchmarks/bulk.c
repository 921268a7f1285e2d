/* One TLS connection, and many bytes in one direction.
 *
 *     bulk ADDRESS BYTES send|receive
 *
 * What it sends is answered with one byte once all of it has come; what it
 * receives it asks for with one. stdout gets the seconds from the first byte to
 * the last, without the handshake. The exit code is 0, or 1 and stderr says why. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "secure.h"

static char piece[64 * 1024];

static void refuse(const char *doing, const char *why) {
    fprintf(stderr, "bulk: could not %s: %s\n", doing, why);
    exit(1);
}

static double now(void) {
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double) time.tv_sec + (double) time.tv_nsec * 1e-9;
}

static void send_all(SSL *ssl, long long size) {
    while (size > 0) {
        size_t wanted = size < (long long) sizeof piece ? (size_t) size : sizeof piece;
        ssize_t sent = secure_send(ssl, piece, wanted);

        if (sent <= 0)
            refuse("send", secure_reason());
        size -= sent;
    }
}

static void receive_all(SSL *ssl, long long size) {
    while (size > 0) {
        ssize_t got = secure_receive(ssl, piece, sizeof piece);

        if (got <= 0)
            refuse("receive", secure_reason());
        size -= got;
    }
    if (size < 0)
        refuse("receive", "more came than was asked for");
}

static SSL *shake(struct secure *secure, const struct address *address) {
    int fd = socket(address->name.ss_family, SOCK_STREAM, 0), one = 1;
    SSL *ssl;

    if (fd < 0 || connect(fd, (const struct sockaddr *) &address->name, address->length) < 0)
        refuse("connect", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (!secure_open(secure, 0))
        refuse("begin TLS", secure_reason());
    ssl = secure_start(secure, fd);
    if (ssl == NULL || secure_shake(ssl) <= 0)
        refuse("shake hands", secure_reason());
    return ssl;
}

int main(int argc, char **argv) {
    struct address address;
    struct secure secure = {0};
    const char *wrong;
    long long size;
    double began;
    SSL *ssl;

    if (argc != 4)
        refuse("start", "usage: bulk ADDRESS BYTES send|receive");
    wrong = address_parse(&address, argv[1]);
    size = atoll(argv[2]);
    if (wrong != NULL || size < 1)
        refuse("start", wrong != NULL ? wrong : "BYTES are from 1");
    signal(SIGPIPE, SIG_IGN);
    ssl = shake(&secure, &address);
    began = now();
    if (strcmp(argv[3], "send") == 0) {
        send_all(ssl, size);
        receive_all(ssl, 1);
    } else {
        send_all(ssl, 1);
        receive_all(ssl, size);
    }
    printf("%.6f\n", now() - began);
    secure_end(ssl);
    return 0;
}
