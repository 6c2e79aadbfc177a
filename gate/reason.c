#include "reason.h"

#include <string.h>

/* What git says of an ssh or https upstream ends in the same general words; the first match counts,
 * so what is most particular comes first. "%h" is the host, "%f" the upstream's field. */
struct reason {
    const char *said;
    const char *sentence;
};

static const struct reason reasons[] = {
    {"Could not resolve host", "the name %h can't be resolved"},
    {"Name or service not known", "the name %h can't be resolved"},
    {"Temporary failure in name resolution", "the name %h can't be resolved just now"},

    {"No ED25519 host key is known", "the host key of %h is not among %f.ssh.knownHostKeys"},
    {"host key is known for", "the host key of %h is not among %f.ssh.knownHostKeys"},
    {"REMOTE HOST IDENTIFICATION HAS CHANGED",
     "the host key of %h is not among %f.ssh.knownHostKeys"},
    {"Host key verification failed", "the host key of %h is not among %f.ssh.knownHostKeys"},
    {"no matching host key type", "%h offers no type of host key that is in %f.ssh.knownHostKeys"},

    {"Load key", "the key of %f.ssh.secretRef can't be read (a passphrase, or not a private key)"},
    {"Permission denied (", "%h refused the key of %f.ssh.secretRef"},
    {"Too many authentication failures", "%h refused the key of %f.ssh.secretRef"},

    {"Connection refused", "%h refused the connection"},
    {"Connection timed out", "%h does not answer"},
    {"Operation timed out", "%h does not answer"},
    {"not responding", "%h stopped answering"},
    {"No route to host", "there is no route to %h"},
    {"Network is unreachable", "there is no route to %h"},
    {"Connection reset", "%h ended the connection"},
    {"Connection closed", "%h ended the connection"},
    {"kex_exchange_identification", "%h ended the connection"},

    {"SSL certificate problem", "the certificate of %h is not trusted (%f.http.caBundle)"},
    {"server certificate verification failed",
     "the certificate of %h is not trusted (%f.http.caBundle)"},
    {"Authentication failed", "%h refused the credential of %f.http.secretRef"},
    {"could not read Username", "%h asks for a credential (%f.http.secretRef)"},
    {"returned error: 401", "%h refused the credential of %f.http.secretRef"},
    {"returned error: 403", "%h denies access to this repository"},
    {"Failed to connect", "%h can't be reached"},
    {"Couldn't connect", "%h can't be reached"},
    {"Operation too slow", "%h stopped answering"},
    {"unable to update url base from redirection",
     "%h redirects elsewhere; name the new URL in %f.url"},

    {"does not appear to be a git repository",
     "%h has no such repository, or hides it from this key"},
    {"epository not found", "%h has no such repository, or hides it from this credential"},
    {"' not found", "%h has no such repository, or hides it from this credential"},
    {"does not exist", "%h has no such repository, or hides it from this credential"},
    {"could not be found", "%h has no such repository, or hides it from this credential"},
    {"protected branch", "%h protects this branch"},
    {"push access", "%h does not allow this credential to push"},
    {"No space left on device", "the gate's disk is full"},
    {"mismatched algorithms",
     "%h has a repository with SHA-256 object ids, which the gate can't mirror"},
};

static void fill_in(struct buf *to, const char *sentence, const struct upstream *upstream,
                    size_t index)
{
    for (const char *p = sentence; *p; p++) {
        if (p[0] == '%' && p[1] == 'h')
            buf_adds(to, upstream->url.host);
        else if (p[0] == '%' && p[1] == 'f')
            buf_addf(to, "spec.upstreams[%zu]", index);
        else {
            buf_addc(to, *p);
            continue;
        }
        p++;
    }
}

void reason_add(struct buf *to, const struct upstream *upstream, size_t index,
                const struct proc_result *result)
{
    if (result->timed_out) {
        fill_in(to, "%h did not answer in time", upstream, index);
        return;
    }
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (strstr(result->err.data, reasons[i].said)) {
            fill_in(to, reasons[i].sentence, upstream, index);
            return;
        }
    fill_in(to, "git could not talk to %h; the gate's log has its words", upstream, index);
}
