/* show.c: prints what it was executed with, one JSON object: "tag" of the build, argv, and the variables that matter.
 *
 * In: argv, environment. Out: a line on stdout, exit code 5. -DTAG='"name"' tells builds apart.
 */
#include <stdio.h>
#include <stdlib.h>

#ifndef TAG
#define TAG "show"
#endif

static void show(const char *name) {
    const char *value = getenv(name);
    printf(",\"%s\":", name);
    if (value) printf("\"%s\"", value);
    else printf("null");
}

int main(int argc, char **argv) {
    printf("{\"tag\":\"" TAG "\",\"argv\":[");
    for (int i = 0; i < argc; i++) printf("%s\"%s\"", i ? "," : "", argv[i]);
    printf("]");
    show("CURSERVE_ASKED");
    show("CURSERVE_SOCKET");
    show("CURSERVE_SHIM");
    show("LD_PRELOAD");
    show("MINE");
    printf("}\n");
    return 5;
}
