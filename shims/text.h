/* text.h: text built in and read from fixed memory: numbers, prefixes, one JSON string.
 *
 * In: bytes. Out: bytes in a struct text, which never writes past its limit and remembers whether it would have.
 * Invariant: what text_json() writes is valid UTF-8 whatever comes in.
 * Not here: formats, locale, allocation.
 */
#ifndef CURSERVE_TEXT_H
#define CURSERVE_TEXT_H
#include <stddef.h>
#include <stdint.h>

struct text { char *at; char *end; int cut; };

static inline void text_byte(struct text *to, unsigned char byte) {
    if (to->at < to->end) *to->at++ = (char)byte;
    else to->cut = 1;
}

static inline void text_add(struct text *to, const char *from) {
    while (*from) text_byte(to, (unsigned char)*from++);
}

static inline void text_number(struct text *to, uint64_t number) {
    char digits[20];
    int count = 0;
    do digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    while (count) text_byte(to, (unsigned char)digits[--count]);
}

/* Reads decimal digits at *from and steps over them. Returns -1 where there are none or more than nine. */
static inline long text_parse(const char **from) {
    long number = 0;
    int count = 0;
    while (**from >= '0' && **from <= '9' && count < 10) number = number * 10 + (*(*from)++ - '0'), count++;
    return count == 0 || count > 9 ? -1 : number;
}

/* The bytes of the UTF-8 character at `from`, 0 where there is none (overlong, surrogate, too high, cut short). */
static inline int text_utf8(const unsigned char *from, const unsigned char *end) {
    unsigned char first = from[0], low = 0x80, high = 0xbf;
    int size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (end - from < size) return 0;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
    for (int i = 1; i < size; i++, low = 0x80, high = 0xbf)
        if (from[i] < low || from[i] > high) return 0;
    return size;
}

/* A JSON string. A byte that is no part of valid UTF-8 becomes \u00XX: readable, and never broken JSON. */
static inline void text_json(struct text *to, const char *from, size_t size) {
    static const char hex[] = "0123456789abcdef";
    const unsigned char *at = (const unsigned char *)from, *end = at + size;
    text_byte(to, '"');
    while (at < end) {
        int width = text_utf8(at, end);
        if (width > 1) {
            while (width--) text_byte(to, *at++);
            continue;
        }
        unsigned char byte = *at++;
        if (width == 0 || byte < 0x20 || byte == 0x7f) {
            text_add(to, "\\u00");
            text_byte(to, (unsigned char)hex[byte >> 4]);
            text_byte(to, (unsigned char)hex[byte & 15]);
        } else {
            if (byte == '"' || byte == '\\') text_byte(to, '\\');
            text_byte(to, byte);
        }
    }
    text_byte(to, '"');
}

/* The value when `variable` is NAME=value, else null. */
static inline const char *text_value(const char *variable, const char *name) {
    while (*name && *variable == *name) variable++, name++;
    return *name == 0 && *variable == '=' ? variable + 1 : NULL;
}

static inline int text_same(const char *left, const char *right) {
    while (*left && *left == *right) left++, right++;
    return *left == *right;
}

#endif
