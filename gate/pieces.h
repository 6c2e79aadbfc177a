/* The files that objects.h writes, as pieces. */
#ifndef GITGATE_GATE_PIECES_H
#define GITGATE_GATE_PIECES_H

#include "piece.h"
#include "workdir.h"

/* Hands each file of the folder `content` of the work folder to `take`, in windows; an object is
 * named by its file's name, and lines count from that file's second one (objects_impl.h: LEAD). */
int pieces_of_files(const struct workdir *dir, const char *content, uint64_t deadline_ns,
                    piece_fn *take, void *data, struct error *err);

#endif
