/* gitgate: what a person runs. kubectl-gitgate is a link to it. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const char help[] =
    "usage: gitgate <command> [options]\n"
    "\n"
    "  run -f FILE [--listen ADDRESS:PORT] [--metrics ADDRESS:PORT] [--state-dir DIR]\n"
    "        serves the upstreams of the GitGate in FILE on git://ADDRESS:PORT/<name>.git, with "
    "no\n"
    "        cluster; FILE also holds the Secrets and ConfigMaps that it names; /metrics, /healthz "
    "and\n"
    "        /readyz are at --metrics\n"
    "  render -f FILE [--show-secrets]\n"
    "        prints the objects that the controller would make\n"
    "  version\n"
    "  help\n"
    "\n"
    "FILE may be - for standard input.\n";

int usage_error(const char *fmt, ...)
{
    va_list ap;

    fputs("gitgate: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputs("; see `gitgate help`\n", stderr);
    return EXIT_USAGE;
}

static int command_version(int argc, char **argv)
{
    (void)argc, (void)argv;
    puts("gitgate " GITGATE_VERSION);
    return 0;
}

static int command_help(int argc, char **argv)
{
    (void)argc, (void)argv;
    fputs(help, stdout);
    return 0;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"run", command_run},   {"render", command_render}, {"version", command_version},
    {"help", command_help}, {"--help", command_help},   {"--version", command_version},
};

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs(help, stderr);
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    return usage_error("unknown command \"%s\"", argv[1]);
}
