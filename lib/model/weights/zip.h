/* zip.h - a zip archive of entries that are stored as they are, without compression: what torch.save writes. Read in place, never unpacked.
 *
 * Of zip only what such a file has: the central directory (also zip64's), and for each entry the header before its bytes. Encrypted entries, two of
 * one name, an archive in several parts are refused; what is compressed (torch.jit.save does it) cannot be read. Checksums are not compared:
 * torch may write none.
 * https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT */
#ifndef FT_MODEL_WEIGHTS_ZIP_H
#define FT_MODEL_WEIGHTS_ZIP_H

#include "base/memory.h"

struct ft_zip_entry {
    struct ft_string name, bytes;     /* both inside the archive */
    bool compressed;                  /* then there is nothing to read */
};

struct ft_zip {
    struct ft_zip_entry *entries;     /* sorted by name, in the arena it was opened with */
    size_t count;
    struct ft_string root;            /* "NAME/" of the entry that the directory lists first, or "" */
};

/* `bytes` is the whole archive and outlives `zip`. Every offset and length is checked before it is believed; FT_BAD names the entry. */
int ft_zip_open(struct ft_zip *zip, struct ft_arena *arena, struct ft_string bytes);

/* The entry "ROOT DIRECTORY NAME" without the spaces, or NULL; sets no error. */
const struct ft_zip_entry *ft_zip_find(const struct ft_zip *zip, const char *directory, struct ft_string name);

#endif
