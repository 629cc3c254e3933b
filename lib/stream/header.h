/* header.h - what reader.c and writer.c share: the header record, and where an abort came from. */
#ifndef FT_STREAM_HEADER_H
#define FT_STREAM_HEADER_H

#include "stream/stream.h"

/* From a decoded header record that lives as long as the arena. FT_BAD says which field was wrong. */
int ft_header_read(struct ft_arena *arena, const msgpack_object *object, struct ft_header *header);

/* Pack `header` with the command line appended to its history; 0, or -1 when its history is no array. */
int ft_header_pack(msgpack_packer *pk, const struct ft_header *header, int argc, char **argv);

/* The abort record that a reader of this process met; `tool` is "" when there was none. The writer's abort record repeats it, so
 * that a failure keeps its name through any number of tools. */
struct ft_abort_origin {
    char tool[64];
    char message[1024];
    int status;
};
extern struct ft_abort_origin ft_abort_origin;

/* Is a writer open that leads to another tool? Only then may this tool stay silent about the failure of an earlier one: a file
 * (-o) makes it the last. */
bool ft_writer_passes_on(void);

/* Standard output's descriptor while a writer is open on it, else -1: a reader opened after that writer watches it from its header on, or a tool
 * that waits for its first byte would outlive its own reader. */
int ft_writer_watched(void);

#endif
