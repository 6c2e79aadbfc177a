/* The one error type: a negative errno and a sentence for a person.
 *
 * Functions that can fail return 0 (or a count) on success and a negative errno on failure, and
 * take a caller-owned `struct error *` as their last parameter. It is written only on failure, may
 * be NULL, and never holds a credential: messages say what happened, where, and what to do. */
#ifndef GITGATE_BASE_ERROR_H
#define GITGATE_BASE_ERROR_H

#define ERROR_MSG_MAX 1024

struct error {
    int code; /* negative errno; 0 while nothing has failed */
    char msg[ERROR_MSG_MAX];
};

#define ERROR_INIT ((struct error){0})

/* Sets the error and returns `code`, so that `return error_set(err, -EINVAL, "...")` reads well.
 * A message that is too long is cut. */
__attribute__((format(printf, 3, 4))) int error_set(struct error *err, int code, const char *fmt,
                                                    ...);

/* Like error_set with ": <strerror(-code)>" behind the message. */
__attribute__((format(printf, 3, 4))) int error_errno(struct error *err, int code, const char *fmt,
                                                      ...);

/* Puts "<context>: " before the message that is there and returns `code` (for a chain of callers
 * that each know a little more about where it happened). */
__attribute__((format(printf, 3, 4))) int error_wrap(struct error *err, int code, const char *fmt,
                                                     ...);

#endif
