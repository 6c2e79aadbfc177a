/* The commands of `gitgate`, a file each. Each gives the program's exit code. */
#ifndef GITGATE_CLI_CLI_H
#define GITGATE_CLI_CLI_H

#define EXIT_USAGE 2

int command_render(int argc, char **argv);
int command_run(int argc, char **argv);
int command_inject(int argc, char **argv);
int command_uninject(int argc, char **argv);

/* Prints "gitgate: <message>" and gives EXIT_USAGE. */
__attribute__((format(printf, 1, 2))) int usage_error(const char *fmt, ...);

#endif
