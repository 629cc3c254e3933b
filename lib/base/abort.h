/* abort.h - how base/tool.c tells the stream above it that the tool failed, without looking up.
 *
 * ft_writer_open registers ft_writer_abort here; ft_tool_end calls it. A reader that meets an abort record sets
 * ft_upstream_failed and keeps the origin, so that a tool in between stays silent and passes the first failure on. */
#ifndef FT_BASE_ABORT_H
#define FT_BASE_ABORT_H

#include <stdbool.h>

struct ft_writer;
typedef void ft_abort_function(struct ft_writer *writer, const char *tool, const char *message, int status);
extern ft_abort_function *ft_abort_hook;
extern bool ft_upstream_failed;

#endif
