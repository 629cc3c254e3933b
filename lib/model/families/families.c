/* families.c - the table of families: a new one is its file and a line here. */
#include "base/error.h"
#include "model/model-build.h"

#include <string.h>

static const struct ft_family *const families[] = {
    &ft_family_mlp,
    &ft_family_bert, &ft_family_roberta, &ft_family_xlm_roberta, &ft_family_camembert, &ft_family_distilbert,
    &ft_family_mpnet, &ft_family_model2vec, &ft_family_static, &ft_family_modernbert,
    &ft_family_t5, &ft_family_mt5, &ft_family_umt5,
    &ft_family_resnet, &ft_family_efficientnet, &ft_family_vit,
    &ft_family_m_clip,
};

/* Models of two towers. */
static const struct ft_family_pair *const pairs[] = {
    &ft_pair_clip, &ft_pair_open_clip, &ft_pair_chinese_clip, &ft_pair_siglip,
    NULL,
};

const struct ft_family_pair *ft_family_pair_find(const char *name)
{
    for (const struct ft_family_pair *const *pair = pairs; *pair; pair++)
        if (strcmp((*pair)->name, name) == 0)
            return *pair;
    return NULL;
}

/* A tower by its own name. */
static const struct ft_family *find_tower(const char *name)
{
    for (const struct ft_family_pair *const *pair = pairs; *pair; pair++)
        for (int i = 0; i < FT_TOWERS; i++)
            if (strcmp((*pair)->tower[i]->name, name) == 0)
                return (*pair)->tower[i];
    return NULL;
}

const struct ft_family *ft_family_find(const char *name)
{
    const struct ft_family *tower = find_tower(name);
    char known[512] = "";

    if (tower)
        return tower;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (strcmp(families[i]->name, name) == 0)
            return families[i];
        strncat(known, i ? ", " : "", sizeof known - strlen(known) - 1);
        strncat(known, families[i]->name, sizeof known - strlen(known) - 1);
    }
    for (const struct ft_family_pair *const *pair = pairs; *pair; pair++) {
        strncat(known, ", ", sizeof known - strlen(known) - 1);
        strncat(known, (*pair)->name, sizeof known - strlen(known) - 1);
    }
    ft_fail(FT_BAD, "model_type '%.64s' is not supported, expected one of: %s", name, known);
    return NULL;
}

const char *ft_family_type(const json_t *config)
{
    return json_is_object(json_object_get(config, "model_cfg")) ? FT_OPEN_CLIP : ft_json_text(config, "model_type");
}

const char *ft_architecture_text(const json_t *config)
{
    const char *name = ft_json_text(config, "architecture");

    return name ? name : ft_json_text(config, FT_TAILORED_ARCHITECTURE);
}

const struct ft_family *ft_family_of_architecture(const char *name)
{
    static const struct { const char *begins; const struct ft_family *family; } known[] = {
        {"resnet", &ft_family_resnet}, {"efficientnet", &ft_family_efficientnet}, {"tf_efficientnet", &ft_family_efficientnet}, {"vit_", &ft_family_vit},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(name, known[i].begins, strlen(known[i].begins)) == 0)
            return known[i].family;
    ft_fail(FT_BAD, "architecture '%.64s' is not supported, expected resnet*, efficientnet_*, tf_efficientnet_* or vit_*", name);
    return NULL;
}
