/* options.h - what tool.c needs of options.c beyond tool.h. */
#ifndef FT_BASE_OPTIONS_H
#define FT_BASE_OPTIONS_H

#include "base/tool.h"

#include <stdio.h>

/* Give the option a value from text (NULL for flags); FT_USAGE says what is wrong with it. */
int ft_option_set(const struct ft_option *option, const char *text);

/* Does it take no value? */
bool ft_option_alone(const struct ft_option *option);

/* The whole --help. `standard` are the options every tool has. */
void ft_tool_help(FILE *out, const struct ft_tool *tool, const struct ft_option *standard);

#endif
