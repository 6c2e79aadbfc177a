/* gitgate: what a person runs. kubectl-gitgate is a link to it. */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "output.h"

#define CHECK_SUFFIX "-check"

static const char help[] =
    "usage: gitgate <command> [options]\n"
    "\n"
    "  run -f FILE [--listen ADDRESS:PORT] [--metrics ADDRESS:PORT] [--state-dir DIR]\n"
    "        serves the upstreams of the GitGate in FILE on git://ADDRESS:PORT/<name>.git, with "
    "no\n"
    "        cluster; FILE also holds the Secrets and ConfigMaps that it names; /metrics, /healthz "
    "and\n"
    "        /readyz are at --metrics\n"
    "  check -f FILE [-o json]\n"
    "        goes the way to each upstream that a gate would go, and says what is wrong: 0 when "
    "all\n"
    "        is well, 1 when not\n"
    "  render -f FILE [--show-secrets]\n"
    "        prints the objects that the controller would make\n"
    "  inject -f FILE... [-n NAMESPACE] [--namespace-enabled] [--gate-image IMAGE]\n"
    "         [--sidecar-mode native|container]\n"
    "        prints the manifests in FILE with the gate in their pods as the webhook would put it "
    "there\n"
    "        (comments are lost); the GitGates are in a FILE too, which is not printed when it "
    "holds no\n"
    "        pods; --namespace-enabled: podSelectors count\n"
    "  uninject -f FILE...\n"
    "        prints what inject was given\n"
    "  version\n"
    "  help\n"
    "\n"
    "FILE may be - for standard input.\n";

/* A program of its own beside this one: it needs libcurl, which would cost the process that watches
 * over a running gate more memory than all the rest of it. */
static int command_check(int argc, char **argv)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - sizeof CHECK_SUFFIX);

    (void)argc;
    if (len > 0) {
        memcpy(path + len, CHECK_SUFFIX, sizeof CHECK_SUFFIX);
        execv(path, argv);
    }
    fprintf(stderr, "gitgate: cannot start gitgate" CHECK_SUFFIX ": %s\n", strerror(errno));
    return EXIT_FAILURE;
}

static int command_version(int argc, char **argv)
{
    (void)argc, (void)argv;
    puts("gitgate " GITGATE_VERSION);
    return output_end();
}

static int command_help(int argc, char **argv)
{
    (void)argc, (void)argv;
    fputs(help, stdout);
    return output_end();
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"run", command_run},           {"check", command_check},       {"render", command_render},
    {"inject", command_inject},     {"uninject", command_uninject}, {"version", command_version},
    {"help", command_help},         {"--help", command_help},       {"-h", command_help},
    {"--version", command_version},
};

/* Also behind a command: that is where people ask. */
static bool asks_for_help(int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

/* getopt's messages begin with the first argument. */
static int run_command(size_t i, int argc, char **argv)
{
    char title[32];

    snprintf(title, sizeof title, "gitgate %s", commands[i].name);
    argv[0] = title;
    return commands[i].run(argc, argv);
}

int main(int argc, char **argv)
{
    output_begin();
    if (argc < 2) {
        fputs(help, stderr);
        return EXIT_USAGE;
    }
    if (asks_for_help(argc, argv))
        return command_help(argc, argv);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return run_command(i, argc - 1, argv + 1);
    return usage_error("unknown command \"%s\"", argv[1]);
}
