/* decide_test.c: the preload library's decisions, as tables.
 *
 * In: nothing. Out: a line on stderr per row that came out otherwise than it says; exit code 1 if there was one.
 *
 * Build:
 * cc -std=gnu17 -O1 -g -fsanitize=address,undefined -Wall -Wextra -Wconversion -Werror -Ishims -Iinterpose \
 *    -o decide_test tests/c/decide_test.c
 */
#include "decide.h"

#include <stdio.h>

static int failed;

static void check(int good, const char *table, int row) {
    if (good) return;
    fprintf(stderr, "%s: row %d\n", table, row);
    failed = 1;
}

#define RG "/usr/bin/rg"
#define SHIM "/opt/curserve/rg"

static const struct {
    struct exec_facts call;
    struct file_facts file;
    enum verdict verdict;
} swaps[] = {
    /* 0: names */
    {{.path = RG, .argv0 = "rg", .shim = SHIM}, {.runs = 1, .elf = 1}, kSwap},
    {{.path = RG, .argv0 = "other", .shim = SHIM}, {.runs = 1, .elf = 1}, kSwap},
    {{.path = "/opt/claude", .argv0 = "rg", .shim = SHIM}, {.runs = 1, .elf = 1}, kSwap},
    {{.path = "/opt/claude", .argv0 = "/x/rg", .shim = SHIM}, {.runs = 1, .elf = 1}, kSwap},
    {{.path = RG, .argv0 = NULL, .shim = SHIM}, {.runs = 1, .elf = 1}, kSwap},
    {{.path = "./rg", .argv0 = "rg", .shim = SHIM}, {.runs = 1, .elf = 1}, kSwap},
    {{.path = "/usr/bin/grep", .argv0 = "grep", .shim = SHIM}, {.runs = 1, .elf = 1}, kLeave},
    {{.path = "/usr/bin/rga", .argv0 = "rga", .shim = SHIM}, {.runs = 1, .elf = 1}, kLeave},
    {{.path = "/usr/rg/x", .argv0 = "rg/", .shim = SHIM}, {.runs = 1, .elf = 1}, kLeave},
    {{.path = NULL, .argv0 = "rg", .shim = SHIM}, {.runs = 1, .elf = 1}, kLeave},
    /* 10: the shim and the switches */
    {{.path = RG, .argv0 = "rg", .shim = NULL}, {.runs = 1, .elf = 1}, kLeave},
    {{.path = RG, .argv0 = "rg", .shim = ""}, {.runs = 1, .elf = 1}, kLeave},
    {{.path = RG, .argv0 = "rg", .shim = "relative/rg"}, {.runs = 1, .elf = 1}, kLeave},
    {{.path = RG, .argv0 = "rg", .shim = SHIM, .disabled = 1}, {.runs = 1, .elf = 1}, kLeave},
    {{.path = RG, .argv0 = "rg", .shim = SHIM, .declining = 1}, {.runs = 1, .elf = 1}, kLeave},
    {{.path = "rg", .argv0 = "rg", .shim = SHIM, .path_relative_to_child = 1}, {.runs = 1, .elf = 1}, kLeave},
    /* 16: the file */
    {{.path = RG, .argv0 = "rg", .shim = SHIM}, {.runs = 0, .elf = 1}, kLeave},
    {{.path = RG, .argv0 = "rg", .shim = SHIM}, {.runs = 1, .script = 1}, kLeave},
    {{.path = RG, .argv0 = "rg", .shim = SHIM}, {.runs = 1, .foreign = 1}, kLeave},
    {{.path = RG, .argv0 = "rg", .shim = SHIM}, {.runs = 1, .elf = 1, .raised = 1}, kLeave},
    {{.path = RG, .argv0 = "rg", .shim = SHIM}, {.runs = 1, .elf = 1, .ours = 1}, kLeave},
};

static const struct {
    struct exec_facts call;
    struct file_facts file;
    enum preload_verdict verdict;
} preloads[] = {
    /* 0: it names us */
    {{.shim_passed = 1, .preload_passed = 1, .preload_names_us = 1}, {.runs = 1, .elf = 1}, kKeep},
    {{.shim_passed = 1, .preload_passed = 1, .preload_names_us = 1}, {.runs = 1, .elf = 1, .sanitizer = 1}, kWithout},
    {{.shim_passed = 1, .preload_passed = 1, .preload_names_us = 1}, {.runs = 1, .foreign = 1}, kWithout},
    {{.preload_passed = 1, .preload_names_us = 1}, {.runs = 1, .script = 1, .sanitizer = 1}, kWithout},
    /* 4: it was taken out */
    {{.shim_passed = 1}, {.runs = 1, .elf = 1}, kRestore},
    {{.shim_passed = 1}, {.runs = 1, .script = 1}, kRestore},
    {{.shim_passed = 1}, {.runs = 1}, kKeep},
    {{.shim_passed = 1}, {.runs = 0}, kKeep},
    {{.shim_passed = 1}, {.runs = 1, .elf = 1, .sanitizer = 1}, kKeep},
    {{.shim_passed = 1}, {.runs = 1, .elf = 1, .raised = 1}, kKeep},
    {{.shim_passed = 1, .disabled = 1}, {.runs = 1, .elf = 1}, kKeep},
    {{.shim_passed = 1, .preload_passed = 1}, {.runs = 1, .elf = 1}, kKeep},
    {{.shim_passed = 0}, {.runs = 1, .elf = 1}, kKeep},
};

int main(void) {
    for (int i = 0; i < (int)(sizeof swaps / sizeof *swaps); i++)
        check(decide(&swaps[i].call, &swaps[i].file) == swaps[i].verdict, "decide", i);
    for (int i = 0; i < (int)(sizeof preloads / sizeof *preloads); i++)
        check(decide_preload(&preloads[i].call, &preloads[i].file) == preloads[i].verdict, "decide_preload", i);
    return failed;
}
