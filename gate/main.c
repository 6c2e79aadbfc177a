/* gitgate-gate: the data plane of a GitGate, a verb a task. */
#include <stdio.h>
#include <string.h>

#include "verbs.h"

static const struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *what;
} verbs[] = {
    {"serve", verb_serve, "make the repositories, listen, hand connections to git (entrypoint)"},
    {"refresh", verb_refresh, "bring a repository up to its upstream (access-hook)"},
    {"intake", verb_intake, "bound what a push says before its pack (by serve, for git daemon)"},
    {"scan", verb_scan, "judge a push by policy and for secrets (pre-receive)"},
    {"forward", verb_forward, "hand a push on to the upstream (proc-receive)"},
    {"maintain", verb_maintain, "keep a repository quick and small (by serve, in the background)"},
    {"forget", verb_forget, "remove the repositories of former upstreams (by serve, likewise)"},
    {"isolate", verb_isolate, "install the pod's network split (init container, root)"},
    {"probe", verb_probe, "exit with 0 when the gate accepts connections (--wait: until it does)"},
};

static void print_usage(FILE *to)
{
    fputs("usage: gitgate-gate VERB\n\n", to);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        fprintf(to, "  %-9s %s\n", verbs[i].name, verbs[i].what);
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";

    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verb, verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    if (strcmp(verb, "--version") == 0) {
        puts("gitgate-gate " GITGATE_VERSION);
        return 0;
    }
    if (strcmp(verb, "--help") == 0) {
        print_usage(stdout);
        return 0;
    }
    print_usage(stderr);
    return 2;
}
