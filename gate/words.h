/* Whose words git's standard error has (LC_ALL=C). What the other side says may be shown, and may
 * tell what is wrong there; it never tells what is wrong here. Pure. */
#ifndef GITGATE_GATE_WORDS_H
#define GITGATE_GATE_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* Before each line of ssh's and of the server's behind it (upstream.h). */
#define WORDS_OF_SSH "ssh: "

struct words {
    const char *at; /* what is left */
    const char *line;
    size_t len;
};

#define WORDS_INIT(said) ((struct words){.at = (said)})

/* The next line that git here says for itself; false behind the last. Once git quotes the other
 * side at length, all the rest is its words: there may be line ends in them. */
bool words_next(struct words *words);

/* Whether git here says that, for itself. */
bool words_have(const char *said, const char *phrase);

#endif
