/* What a client sends of a push before its pack: a request, commands and push options
 * (gitprotocol-pack(5)), all in packets. receive-pack keeps them in memory, as many as there are.
 * Pure. */
#ifndef GITGATE_GATE_COMMANDS_H
#define GITGATE_GATE_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pktline.h"
#include "policy.h"

/* Twice what scan takes, so that it is scan that tells what is wrong with a push that is only too
 * large. */
#define COMMANDS_BYTES_MAX ((size_t)2 * PUSH_COMMANDS_BYTES_MAX)

/* At least so much of what has not been taken has to be there: the largest packet. */
#define COMMANDS_CHUNK (PKT_PAYLOAD_MAX + 4)

/* And twice as many objects. index-pack takes 82 MB for a million, and 512 MiB hold forty. */
#define PACK_OBJECTS_MAX 1000000u
#define PACK_HEADER 12 /* bytes: gitformat-pack(5) */

struct commands {
    size_t bytes; /* of packets so far */
    bool listed;  /* commands: what comes next are push options */
    bool pack;    /* all there were: what comes next is the pack */
};

/* How many bytes of `data` are whole packets. -E2BIG past COMMANDS_BYTES_MAX, -EPROTO when what
 * comes is neither a packet nor a pack, or a push certificate: receive-pack takes those unasked,
 * has gpg look at them, and keeps each among the repository's objects, before it asks a hook. */
ssize_t commands_take(struct commands *commands, const char *data, size_t len);

/* How many objects a pack is said to have by its header: it is read to be so many, and no more. */
uint32_t commands_objects(const char header[PACK_HEADER]);

#endif
