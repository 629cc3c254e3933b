/* rates.c - learning rates and weight decays of single parameters. */
#include "train/rates.h"
#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* "PATTERN=X" or, where `times` may be, "PATTERN=*X". */
struct wish {
    const char *pattern;
    double number;
    bool times;
};

static int wish_read(struct ft_arena *arena, const char *option, const char *text, bool may_times, struct wish *wish)
{
    const char *equals = strrchr(text, '=');

    if (!equals || equals == text)
        return ft_fail(FT_USAGE, "%s '%s': expected PATTERN=X", option, text);
    wish->times = may_times && equals[1] == '*';
    if (ft_number_parse(equals + 1 + wish->times, &wish->number) < 0)
        return ft_error_prefix("%s '%s': ", option, text);
    if (!(wish->number >= 0) || !isfinite(wish->number))
        return ft_fail(FT_USAGE, "%s '%s': expected a number of at least 0", option, text);
    wish->pattern = ft_arena_text(arena, (struct ft_string){text, (size_t)(equals - text)});
    return wish->pattern ? 0 : -1;
}

/* Each wish of the list in its order, over what `each` holds; without a model they are only read. */
static int grant(const char *option, const struct ft_list *list, bool may_times, const struct ft_model *model, double *each)
{
    struct ft_arena arena = {0};
    bool *matched = ft_arena_zero(&arena, model ? (size_t)model->parameter_count + 1 : 1, sizeof *matched);
    int result = matched ? 0 : -1;

    for (size_t i = 0; result == 0 && i < list->count; i++) {
        struct wish wish;

        result = wish_read(&arena, option, list->items[i], may_times, &wish);
        if (result < 0 || !model)
            continue;
        if ((result = ft_model_match(model, wish.pattern, matched)) < 0)
            ft_error_prefix("%s: ", option);
        for (int k = 0; result == 0 && each && k < model->parameter_count; k++)
            if (matched[k])
                each[k] = wish.times ? each[k] * wish.number : wish.number;
    }
    ft_arena_free(&arena);
    return result;
}

int ft_rates_check(const struct ft_rates *r, const struct ft_optimizer_settings *optimizer)
{
    if (!(r->layer_decay >= 0 && r->layer_decay <= 1))
        return ft_fail(FT_USAGE, "--layer-decay %g: expected more than 0, at most 1", r->layer_decay);
    if (r->decay_for.count && !ft_optimizer_decays(optimizer))
        return ft_fail(FT_USAGE, "--decay-for %s: this optimizer has no weight decay", r->decay_for.items[0]);
    return grant("--lr-for", &r->lr_for, true, NULL, NULL) < 0 ? -1 : grant("--decay-for", &r->decay_for, false, NULL, NULL);
}

/* Where in a part of a name a layer's number begins: all of it, or behind torchvision's "layer" and "encoder_layer_". NULL: it is none. */
static const char *number_in(const char *part, size_t size)
{
    size_t digits = 0;
    const char *at;

    while (digits < size && part[size - digits - 1] >= '0' && part[size - digits - 1] <= '9')
        digits++;
    at = part + size - digits;
    if (!digits || digits > 5)
        return NULL;
    return digits == size || (size - digits == 5 && memcmp(part, "layer", 5) == 0) ||
           (size - digits >= 6 && memcmp(at - 6, "layer_", 6) == 0) ? at : NULL;
}

/* The number of a parameter's layer, the first in its name ("encoder.layer.3.output.dense.weight", "layer1.0.conv1.weight"), or -1. Modules on top have
 * none. */
static long layer_of(const struct ft_parameter *p)
{
    for (const char *part = *p->file ? NULL : p->name; part; part = strchr(part, '.') ? strchr(part, '.') + 1 : NULL) {
        const char *number = number_in(part, strcspn(part, "."));

        if (number)
            return strtol(number, NULL, 10);
    }
    return -1;
}

/* From the first number, which is 0 or 1, to the last; 0: there are none. */
static long layer_count(const struct ft_model *model, long *first)
{
    long last = -1;

    *first = 0;
    for (int i = 0; i < model->parameter_count; i++) {
        long layer = layer_of(&model->parameters[i]);

        if (layer >= 0 && (last < 0 || layer < *first))
            *first = layer;
        last = layer > last ? layer : last;
    }
    return last < 0 ? 0 : last + 1 - *first;
}

/* Of two towers each by itself; one that has no numbered layers stays as it is. */
static void decay_layers(const struct ft_rates *r, const struct ft_model *model, double *each)
{
    long first, layers = layer_count(model, &first);
    bool above = false;          /* some layer came already */

    for (int t = 0; t < model->tower_count; each += model->towers[t++]->parameter_count)
        decay_layers(r, model->towers[t], each);
    if (model->tower_count)
        return;
    for (int i = 0; i < model->parameter_count; i++) {
        long layer = layer_of(&model->parameters[i]);

        above |= layer >= 0;
        each[i] *= pow(r->layer_decay, layer >= 0 ? (double)(layers - 1 - (layer - first)) : above ? 0 : (double)layers);
    }
}

int ft_rates_fit(const struct ft_rates *r, const struct ft_model *model)
{
    long first;

    if (r->layer_decay > 0 && r->layer_decay < 1 && !layer_count(model, &first))
        return ft_fail(FT_USAGE, "--layer-decay %g: the model has no numbered layers", r->layer_decay);
    return grant("--lr-for", &r->lr_for, true, model, NULL) < 0 ? -1 : grant("--decay-for", &r->decay_for, false, model, NULL);
}

bool ft_rates_plain(const struct ft_rates *r)
{
    return !r->lr_for.count && (r->layer_decay == 0 || r->layer_decay == 1);
}

int ft_rates_peaks(const struct ft_rates *r, const struct ft_model *model, double lr, double *peak)
{
    for (int i = 0; i < model->parameter_count; i++)
        peak[i] = lr;
    if (r->layer_decay > 0)
        decay_layers(r, model, peak);
    return grant("--lr-for", &r->lr_for, true, model, peak);
}

int ft_rates_decays(const struct ft_rates *r, const struct ft_model *model, const struct ft_optimizer_settings *optimizer, double *decay)
{
    for (int i = 0; i < model->parameter_count; i++)
        decay[i] = model->parameters[i].decay ? ft_optimizer_decay(optimizer) : 0;
    return grant("--decay-for", &r->decay_for, false, model, decay);
}
