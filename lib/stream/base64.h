/* base64.h - bytes in text (RFC 4648, section 4). */
#ifndef FT_STREAM_BASE64_H
#define FT_STREAM_BASE64_H

#include "base/memory.h"

/* Append the text of `bytes`. */
int ft_base64_write(struct ft_buffer *out, struct ft_string bytes);

/* Append the bytes of `text`; FT_BAD when it is no base64 (padding required, no blanks, the bits left over zero). */
int ft_base64_read(struct ft_buffer *out, struct ft_string text);

#endif
