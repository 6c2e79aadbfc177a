/* Base64 (RFC 4648, section 4), as Kubernetes Secrets and OpenSSH keys use it. */
#ifndef GITGATE_DATA_BASE64_H
#define GITGATE_DATA_BASE64_H

#include <stddef.h>

#include "base/buf.h"

/* Appends; a failure sticks in the buffer. The caller wipes `to` when it holds a secret. */
void base64_encode(const void *data, size_t len, struct buf *to);

/* Appends what `text` means. -EINVAL for characters outside the alphabet (also white space) and for
 * missing padding; -E2BIG past the buffer's cap. */
int base64_decode(const char *text, size_t len, struct buf *to);

#endif
