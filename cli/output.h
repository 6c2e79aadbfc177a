/* The program's standard descriptors, which whoever calls it may have closed, or which may take
 * nothing. */
#ifndef GITGATE_CLI_OUTPUT_H
#define GITGATE_CLI_OUTPUT_H

/* Before anything is opened: what is closed of descriptors 0 to 2 becomes one that can't be written
 * to. Else the next file or socket would have its number, and what is printed would go there. */
void output_begin(void);

/* Nothing is to be printed any more. EXIT_SUCCESS, or EXIT_FAILURE when not all of it went out,
 * which is told. */
int output_end(void);

#endif
