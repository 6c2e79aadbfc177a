#include "words.h"

#include <string.h>

/* A line of these each; git puts "remote: " before each of them that comes with its protocol. */
static const char *const theirs[] = {"remote: ", WORDS_OF_SSH};

/* What the other side chose follows: a message, a name that is no ref's, bytes where others were
 * expected. */
static const char *const quotes[] = {
    "fatal: remote error: ",   "error: remote unpack failed: ", "error: * Ignoring funny ref ",
    "fatal: protocol error: ", "fatal: git fetch-pack: ",       "fatal: invalid server response",
};

static bool begins_any(const char *line, size_t len, const char *const *with, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (len >= strlen(with[i]) && memcmp(line, with[i], strlen(with[i])) == 0)
            return true;
    return false;
}

#define BEGINS_ANY(line, len, with) begins_any(line, len, with, sizeof(with) / sizeof *(with))

bool words_next(struct words *words)
{
    while (*words->at) {
        words->line = words->at;
        words->len = strcspn(words->at, "\n\r");
        words->at += words->len + (words->at[words->len] != '\0');
        if (BEGINS_ANY(words->line, words->len, quotes))
            words->at += strlen(words->at);
        else if (!BEGINS_ANY(words->line, words->len, theirs))
            return true;
    }
    return false;
}

bool words_have(const char *said, const char *phrase)
{
    for (struct words words = WORDS_INIT(said); words_next(&words);)
        if (memmem(words.line, words.len, phrase, strlen(phrase)))
            return true;
    return false;
}
