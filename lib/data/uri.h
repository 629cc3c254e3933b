/* uri.h - where a picture is: a path, a file: or data: URI (RFC 8089, RFC 2397), or an address of the web. */
#ifndef FT_DATA_URI_H
#define FT_DATA_URI_H

#include "base/memory.h"

/* Is this content an address (http, https, file or data, no blanks) or a path to a picture (by its ending; blanks only after a leading / or .)? */
bool ft_content_is_uri(struct ft_string content);

/* Does the name end as those of pictures do? Those that torchvision's ImageFolder takes, and .gif. */
bool ft_name_is_picture(struct ft_string name);

enum ft_uri_kind { FT_URI_PATH, FT_URI_FILE, FT_URI_DATA, FT_URI_WEB };
enum ft_uri_kind ft_uri_kind(struct ft_string content);

/* The path that a file: URI of this machine means, null-terminated, from the arena. NULL, FT_BAD: another machine's, or an escape that is none. */
char *ft_uri_path(struct ft_arena *arena, struct ft_string uri);

/* Append the bytes that a data: URI holds; padding of base64 may be missing. FT_BAD. */
int ft_uri_data(struct ft_buffer *bytes, struct ft_string uri);

#endif
