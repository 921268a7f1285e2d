#include "csrc/http_chars.h"

#include <string.h>
#include <strings.h>

#define T GV_CHAR_TOKEN
#define V (GV_CHAR_VALUE | GV_CHAR_LINE)
#define P GV_CHAR_TARGET
#define H GV_CHAR_HOST
#define ALPHA (T | V | P | H)

/* clang-format off */
const uint8_t gv_chars[256] = {
    ['\t'] = V, [' '] = V,
    ['!'] = T | V | P | H, ['"'] = V, ['#'] = T | V, ['$'] = T | V | P | H,
    ['%'] = T | V | P | H, ['&'] = T | V | P | H, ['\''] = T | V | P | H,
    ['('] = V | P | H, [')'] = V | P | H, ['*'] = T | V | P | H, ['+'] = T | V | P | H,
    [','] = V | P | H, ['-'] = T | V | P | H, ['.'] = T | V | P | H, ['/'] = V | P,
    ['0' ... '9'] = ALPHA,
    [':'] = V | P, [';'] = V | P | H, ['<'] = V, ['='] = V | P | H, ['>'] = V,
    ['?'] = V | P, ['@'] = V | P,
    ['A' ... 'Z'] = ALPHA,
    ['['] = V, ['\\'] = V, [']'] = V, ['^'] = T | V, ['_'] = T | V | P | H, ['`'] = T | V,
    ['a' ... 'z'] = ALPHA,
    ['{'] = V, ['|'] = T | V, ['}'] = V, ['~'] = T | V | P | H,
    [0x80 ... 0xff] = V,
};
/* clang-format on */

bool gv_chars_are(const char *text, size_t len, int kind) {
    for (size_t i = 0; i < len; i++)
        if (!gv_char_is(text[i], kind))
            return false;
    return true;
}

bool gv_chars_are_encoded(const char *text, size_t len, int kind) {
    for (size_t i = 0; i < len; i++) {
        if (!gv_char_is(text[i], kind))
            return false;
        if (text[i] != '%')
            continue;
        if (len - i < 3 || gv_char_hex(text[i + 1]) < 0 || gv_char_hex(text[i + 2]) < 0)
            return false;
        i += 2;
    }
    return true;
}

int gv_char_hex(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool gv_chars_equal(const char *text, size_t len, const char *name) {
    return len == strlen(name) && strncasecmp(text, name, len) == 0;
}
