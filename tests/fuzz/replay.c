/* replay.c: a harness without a fuzzer: inputs from files, and mutations of them that are the same in each run.
 *
 * usage: HARNESS ROUNDS FILE...   Prints how many inputs were tried. Finds little that is new; keeps what was found.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { kMost = 1 << 16 };
static uint64_t state = 88172645463325252u;

static size_t below(size_t n) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return n ? (size_t)(state % n) : 0;
}

static size_t mutate(uint8_t *text, size_t size) {
    for (size_t count = 1 + below(5); count; count--) {
        size_t at = below(size + 1), more = below(13);
        switch (below(4)) {
        case 0:
            if (at < size) text[at] = (uint8_t)below(256);
            break;
        case 1:                             /* a run of bytes goes */
            if (more > size - at) more = size - at;
            memmove(text + at, text + at + more, size - at - more);
            size -= more;
            break;
        case 2:                             /* ... or comes twice */
            if (more > size - at) more = size - at;
            if (size + more > kMost) break;
            memmove(text + at + more, text + at, size - at);
            size += more;
            break;
        default:
            if (at < size) text[at] ^= (uint8_t)(1u << below(8));
        }
    }
    return size;
}

/* The input in memory of its very size. */
static void try(const uint8_t *text, size_t size) {
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, text, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

int main(int argc, char **argv) {
    static uint8_t seed[kMost], text[kMost];
    unsigned long tried = 0, rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    for (int i = 2; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (!file) return perror(argv[i]), 2;
        size_t size = fread(seed, 1, sizeof seed, file);
        fclose(file);
        try(seed, size), tried++;
        for (unsigned long round = 0; round < rounds; round++, tried++) {
            memcpy(text, seed, size);
            try(text, mutate(text, size));
        }
    }
    printf("%lu inputs\n", tried);
    return 0;
}
