/* prompts.h - what is put before a text, by the role it plays.
 *
 * sentence-transformers has prompts by name: `query` is the anchor's here, `document` the positive's and the negative's, and the one that
 * default_prompt_name names that of a text without a role. */
#ifndef FT_MODEL_PROMPTS_H
#define FT_MODEL_PROMPTS_H

#include "base/tool.h"
#include "stream/document.h"

#include <jansson.h>

struct ft_prompts {
    const char *text[FT_NO_ROLE + 1];   /* by enum ft_role; NULL: nobody said anything, "": none */
};

/* Options "[ROLE=]TEXT": TEXT alone is for all, with a role or without; anchor or query, positive or document, negative (as the positive's, unless it
 * has one of its own). A later one replaces an earlier one; what begins with no role's name and "=" is text. Texts are the list's. */
void ft_prompts_parse(struct ft_prompts *prompts, const struct ft_list *list);

/* Where nothing was said, what `otherwise` says. */
void ft_prompts_complete(struct ft_prompts *prompts, const struct ft_prompts *otherwise);

bool ft_prompts_any(const struct ft_prompts *prompts);    /* one that is not empty */
bool ft_prompts_same(const char *a, const char *b);       /* NULL is "" */

/* All of them as one text, which equals another's when they do: TEXT where they are all one, else a line "ROLE=TEXT" each. "" for none. NULL on error. */
const char *ft_prompts_text(struct ft_arena *arena, const struct ft_prompts *prompts);

/* `prompts` and `default_prompt_name` of config_sentence_transformers.json, which `path` names in messages. FT_BAD for what sentence-transformers would
 * not load. Texts from the arena. */
int ft_prompts_read(struct ft_arena *arena, struct ft_prompts *prompts, const json_t *config, const char *path);

/* Put them into `config`; other names it has stay. -1: FT_SYSTEM. */
int ft_prompts_put(const struct ft_prompts *prompts, json_t *config);

#endif
