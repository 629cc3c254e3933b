/* folder.h - a folder of pictures as rows, in the order of torchvision's ImageFolder.
 *
 * Each folder directly in it is a label, and the pictures in that, however deep, have it: labels by name, in each the folders below by their
 * path, in each of those the files by name, bytes compared, so that the order is the same everywhere. Links are followed, as there. A picture is
 * what its name's ending says (data/uri.h); other files are passed over. A folder without folders in it holds unlabelled pictures.
 * Memory is the names of one label's folders and of one folder's files. */
#ifndef FT_DATA_FOLDER_H
#define FT_DATA_FOLDER_H

#include "data/row.h"

struct ft_folder;

/* The path must outlive the folder. FT_BAD: neither folders nor pictures in it. */
struct ft_folder *ft_folder_open(const char *path);
void ft_folder_close(struct ft_folder *folder);

size_t ft_folder_labels(const struct ft_folder *folder);      /* 0 = flat */
size_t ft_folder_left_out(const struct ft_folder *folder);    /* pictures beside the folders, which have no label */

/* 1: a row, valid until the next call: its path within the folder, its label where there are some, for its id the whole path. 0: no more. -1:
 * FT_BAD, a label without pictures, a name that is no UTF-8, a link to a folder above, and the next call goes on behind it; or FT_SYSTEM.
 * Messages have the path in front. */
int ft_folder_next(struct ft_folder *folder, struct ft_row *row);

#endif
