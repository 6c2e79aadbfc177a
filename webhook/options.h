/* The command line of gitgate-webhook. */
#ifndef GITGATE_WEBHOOK_OPTIONS_H
#define GITGATE_WEBHOOK_OPTIONS_H

#include "authority.h"
#include "base/log.h"
#include "parts.h"
#include "server.h"

struct options {
    struct parts_options parts;
    const char *kubeconfig;
    const char *cert, *key; /* files; NULL: the webhook keeps its certificate by itself */
    const char *host;       /* what that one is for; NULL: the Service in the own namespace */
    const char *configuration;
    struct authority_times times;
    char *address; /* owned */
    uint16_t port;
    const char *health_address; /* NULL: nowhere */
    struct server_limits limits;
    enum log_level log_level;
};

void options_done(struct options *options);
#define cleanup_options CLEANUP(options_done)

/* 0 to go on, 1 when all is said (--help), -EINVAL when standard error has been told. */
int options_parse(int argc, char **argv, struct options *ret);

#endif
