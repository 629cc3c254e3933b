/* towers.h - a model of two towers: texts and images in one space.
 *
 * Each tower is an ordinary model with its own nodes, plan and runner. The outer model owns the one block of parameters, in which the text tower's comes
 * first; its lists are the towers' one after the other, names with "text." or "image." in front, so that optimizer, checkpoints, freezing and listing
 * see one model. It is never run itself: who embeds or trains goes by the towers. What is said of a parameter or node (frozen) is said to the outer
 * model, which tells the towers (ft_towers_tell).
 *
 * A directory is of one of two kinds. JOINED: ft.json says {"ft": 1, "towers": {"text": "text", "image": "image"}}, and these are whole model directories,
 * each of which is a model by itself. PAIRED: one config.json and one file of weights hold both (ft_family_pair). In either, ft.json may say what is
 * frozen, over the outer model's names. */
#ifndef FT_MODEL_TOWERS_H
#define FT_MODEL_TOWERS_H

#include "base/tool.h"
#include "model/model-build.h"
#include "stream/document.h"

const char *ft_tower_name(enum ft_tower tower);      /* "text", "image" */

/* The tower whose item it is: an image's, or else the text's. */
enum ft_tower ft_tower_of(const struct ft_content *content);

/* The items of one tower among others, in their order: contents, roles (FT_NO_ROLE where none were given), and their numbers among all. From the arena.
 * FT_BAD names an item that is neither's. */
struct ft_share {
    struct ft_content *content;
    uint8_t *role;
    size_t *number, count;
};
int ft_share_make(struct ft_arena *arena, const struct ft_model *model, enum ft_tower tower, const struct ft_content *content, const uint8_t *role,
                  size_t count, struct ft_share *share);

/* Rows [share->count, width] to and from their places among those of all items. */
void ft_share_put(const struct ft_share *share, const float *rows, size_t width, float *all);
void ft_share_take(const struct ft_share *share, const float *all, size_t width, float *rows);

struct ft_tailoring;

/* How a directory is opened beyond what its files say. model.c's own, which towers.c shares. */
struct ft_opening {
    bool scorer;
    const struct ft_tailoring *tailoring;    /* or NULL */
    size_t side;                             /* of images, to be listed; 0: the model's */
    int tower;                               /* the one wanted of a pair, -1: not said */
};
struct ft_model *ft_model_open_one(const char *directory, const struct ft_opening *how);     /* never of two; its nodes only */

int ft_model_allocate(struct ft_model *model);                   /* a block of its own */

/* Where the towers of a directory lie. */
enum ft_towers_kind { FT_TOWERS_NONE, FT_TOWERS_JOINED, FT_TOWERS_PAIRED };
struct ft_towers {
    enum ft_towers_kind kind;
    const char *path[FT_TOWERS];             /* joined: their names inside the directory */
    const char *place[FT_TOWERS];            /* and where each is to be opened */
    const struct ft_family_pair *pair;       /* paired */
    const char *base;                        /* the directory is an adapter's over this one, or NULL */
};
int ft_towers_find(struct ft_arena *arena, const char *directory, struct ft_towers *towers);

/* Its parts: no adapter's; one whose ft.json names joined towers as its base (adapter-towers.c). */
int ft_towers_find_plain(struct ft_arena *arena, const char *directory, struct ft_towers *towers);
int ft_towers_find_adapter(struct ft_arena *arena, const char *directory, const json_t *json, struct ft_towers *towers);

/* The outer model of a directory that has two: nodes only, as ft_model_open_nodes. `how`, of paired ones: edits of each, or NULL; NULL: none. */
struct ft_model *ft_towers_open(const char *directory, const struct ft_towers *towers, const struct ft_tailoring *const how[FT_TOWERS]);

/* The same of two models that are open, with their parameters; they are the outer model's from then on, also where it fails. FT_USAGE: one does not read
 * what its tower reads, or their dimensions differ. */
struct ft_model *ft_towers_join(const char *directory, struct ft_model *const tower[FT_TOWERS]);

/* Parameters of both, each from its own files. */
int ft_towers_read(struct ft_model *model, float *block);

/* What was set in the outer lists, told to the towers'. */
void ft_towers_tell(struct ft_model *model);

/* The tower that an outer node is of, and its number there. */
const struct ft_model *ft_towers_node(const struct ft_model *model, int node, int *inside);

/* Edits of a directory of two towers, and of two models that are joined by them: as ft_model_tailor. The value of layers, dropout, pool, dim and head may have
 * its tower before it, "layers=text=3", and that of embedding has, "embedding=text.NODE". Without one an edit goes to the towers that it can be of: dropout and
 * normalize to both, dim and head to each that has not that many dimensions yet, max-length and prompt to the text tower, image-size to the other, freeze and
 * unfreeze by their names. Of one config.json there are layers, dropout and freezing. */
struct ft_model *ft_towers_tailor(const char *directory, const struct ft_towers *towers, const struct ft_list *edits, uint64_t seed);
struct ft_model *ft_model_join(const char *text, const char *image, const struct ft_list *edits, uint64_t seed);

/* For save.c: what the towers must know of it; ft.json; and all of a joined model's directory. */
void ft_towers_tell_saved(const struct ft_model *model);
int ft_towers_write(struct ft_arena *arena, const struct ft_model *model, const char *directory);
int ft_towers_save(struct ft_arena *arena, const struct ft_model *model, const char *directory);

#endif
