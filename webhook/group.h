/* The gate's group: drawn for each pod, and what tells the gate from the pod's other containers.
 *
 * The packet filter knows the gate by user and group. Its user id is known to everybody, so an
 * image may have been made for it; what a pod's group will be, nobody knew who made its images. */
#ifndef GITGATE_WEBHOOK_GROUP_H
#define GITGATE_WEBHOOK_GROUP_H

#include "data/document.h"
#include "parts.h"

/* 2^30 groups from 2^30 on: above those that hosts and the kubelet's user namespaces take from
 * below, and the largest that Kubernetes accepts is the last. */
#define GROUP_MIN (UINT32_C(1) << 30)
#define GROUP_MAX INT32_MAX
/* A pod with a user namespace of its own (hostUsers: false) has 65,536 ids (KEP-127): those above
 * the accounts of distributions, below "nobody". */
#define GROUP_OWN_USERS_MIN 20000u
#define GROUP_OWN_USERS_MAX 60000u

/* The group of the gate that `pod` has already, else one made of the bits of `random`. */
uint32_t group_of(const struct node *pod, const struct parts *parts, uint64_t random);

#endif
