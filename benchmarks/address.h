/* Where a server is, from the command line: host:port, [host]:port, or a path. */
#ifndef BENCHMARKS_ADDRESS_H
#define BENCHMARKS_ADDRESS_H

#include <netdb.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

struct address {
    struct sockaddr_storage name;
    socklen_t length;
};

static inline const char *address_of_path(struct address *address, const char *path) {
    struct sockaddr_un *name = (struct sockaddr_un *) &address->name;

    if (strlen(path) >= sizeof name->sun_path)
        return "the path is too long for a Unix socket";
    name->sun_family = AF_UNIX;
    memcpy(name->sun_path, path, strlen(path) + 1);
    address->length = sizeof *name;
    return NULL;
}

/* Returns NULL, or what is wrong with it. Writes to the text. */
static inline const char *address_parse(struct address *address, char *text) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    char *colon = strrchr(text, ':');
    int code;

    if (strchr(text, '/') != NULL)
        return address_of_path(address, text);
    if (colon == NULL)
        return "ADDRESS must be host:port or a path";
    *colon = '\0';
    if (text[0] == '[' && colon[-1] == ']') {
        colon[-1] = '\0';
        text++;
    }
    code = getaddrinfo(text, colon + 1, &hints, &found);
    if (code != 0)
        return gai_strerror(code);
    memcpy(&address->name, found->ai_addr, found->ai_addrlen);
    address->length = found->ai_addrlen;
    freeaddrinfo(found);
    return NULL;
}

#endif
