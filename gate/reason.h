/* Why git could not talk to the upstream, in one line for whoever reads it in the pod. Pure. */
#ifndef GITGATE_GATE_REASON_H
#define GITGATE_GATE_REASON_H

#include "api/gitgate.h"
#include "base/buf.h"
#include "base/proc.h"

/* Of what kind it is: what there is to do about it follows from that (`gitgate check`). */
enum fault {
    FAULT_NONE,
    FAULT_CREDENTIAL, /* not there, or not usable: no key, no host key, no login */
    FAULT_KEY_UNREADABLE,
    FAULT_NAME,
    FAULT_REFUSED,
    FAULT_SILENT,
    FAULT_UNREACHABLE,
    FAULT_CONNECTION, /* ended by the other side */
    FAULT_HOST_KEY,
    FAULT_KEY_REFUSED,
    FAULT_CERTIFICATE, /* not trusted, or expired: git does not tell which */
    FAULT_AUTHORITY,   /* check does: nobody that is trusted vouches for it */
    FAULT_EXPIRED,
    FAULT_OTHER_HOST,
    FAULT_CA_BUNDLE,
    FAULT_TLS,
    FAULT_LOGIN, /* from here on what only the server itself can say */
    FAULT_REDIRECT,
    FAULT_REPOSITORY,
    FAULT_ACCESS,
    FAULT_SERVER, /* it answers, but not as it should */
    FAULT_GATE,   /* here, not there */
    FAULT_OTHER,
};

/* Appends `sentence` with %h as the upstream's host, %f as its field (spec.upstreams[i]), %s as its
 * Secret's name, %k as where its host keys stand and %a as what being asked for a credential means.
 */
void reason_fill(struct buf *to, const char *sentence, const struct upstream *upstream,
                 size_t index);

/* Reads how git ended and what it and ssh said (LC_ALL=C), and appends a sentence made of ours: it
 * names the upstream's host and fields of the GitGate, never a path or a word of the message. */
enum fault reason_add(struct buf *to, const struct upstream *upstream, size_t index,
                      const struct proc_result *result);

#endif
