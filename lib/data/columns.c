/* columns.c - roles to the layout of a row. */
#include "data/columns.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_COLUMNS = 4096, MOST_NUMBERS = 16384, MOST_SAID = 16 };

/* What is being decided: a role for each column, and which columns may be given one. */
struct plan {
    size_t count;
    enum ft_column *role;
    bool *fixed;                   /* by --columns: not to be given away */
    bool *used;
    size_t *order;                 /* [order_count] columns to be given roles, in this order */
    size_t order_count;
    bool by_name;                  /* JSON: no role goes to a key because of its place */
};

static int plan_selection(struct plan *plan, const struct ft_string *names, const struct ft_selection *selection)
{
    for (size_t i = 0; i < selection->count; i++) {
        long c = ft_column_find(names, plan->count, selection->column[i].name);

        if (c < 0)
            return ft_fail(FT_USAGE, "--columns: no column '%s': there are %zu columns%s", selection->column[i].name, plan->count,
                           names ? "" : " and no header: --header takes the names from the first row");
        if (plan->fixed[c])
            return ft_fail(FT_USAGE, "--columns: column '%s' is named twice", selection->column[i].name);
        plan->fixed[c] = true;
        plan->role[c] = selection->column[i].role;
        if (plan->role[c] == FT_COLUMN_NONE)
            plan->order[plan->order_count++] = (size_t)c;
    }
    /* Columns chosen by order may be given any role; without such a choice all that have none are. */
    for (size_t i = 0; i < plan->order_count; i++)
        plan->fixed[plan->order[i]] = false;
    for (size_t c = 0; c < plan->count && !selection->order; c++)
        if (!plan->fixed[c])
            plan->order[plan->order_count++] = c;
    return 0;
}

static bool plan_has(const struct plan *plan, enum ft_column role)
{
    for (size_t c = 0; c < plan->count; c++)
        if (plan->role[c] == role)
            return true;
    return false;
}

/* Each role to the best of its names among the columns in order. */
static void plan_names(struct plan *plan, const struct ft_string *names)
{
    enum ft_column before[FT_COLUMN_NEGATIVE + 1] = {0};

    for (enum ft_column r = FT_COLUMN_ID; r <= FT_COLUMN_NEGATIVE; r++)
        before[r] = plan_has(plan, r);
    for (size_t rank = 0; rank < ft_name_ranks(); rank++) {
        enum ft_column role = ft_name_role(rank);

        for (size_t i = 0; i < plan->order_count; i++) {
            size_t c = plan->order[i];

            if (plan->role[c] != FT_COLUMN_NONE || before[role] || !ft_name_matches(names[c], rank))
                continue;
            if (role == FT_COLUMN_NEGATIVE || !plan_has(plan, role))
                plan->role[c] = role;
        }
    }
}

static enum ft_row_kind plan_kind(const struct plan *plan)
{
    bool text = plan_has(plan, FT_COLUMN_TEXT), image = plan_has(plan, FT_COLUMN_IMAGE);
    bool anchor = plan_has(plan, FT_COLUMN_ANCHOR), positive = plan_has(plan, FT_COLUMN_POSITIVE);

    if ((anchor && positive) || ((anchor || positive) && (text || image)))
        return plan_has(plan, FT_COLUMN_NEGATIVE) ? FT_ROW_TRIPLETS : plan_has(plan, FT_COLUMN_SCORE) ? FT_ROW_SCORED : FT_ROW_PAIRS;
    if (!text && !image && !anchor && !positive)
        return FT_ROW_GUESS;
    if (plan_has(plan, FT_COLUMN_LABEL))
        return FT_ROW_LABELED;
    return text && image ? FT_ROW_PAIRS : FT_ROW_UNLABELED;
}

/* pandas writes numbers as names, and the label's after them. */
static bool are_vector_names(const struct ft_string *names, size_t count)
{
    size_t numbers = 0;
    double number;

    for (size_t i = 0; i < count; i++) {
        enum ft_column role = ft_name_known(names[i]);

        if (role == FT_COLUMN_LABEL || role == FT_COLUMN_ID)
            return true;
        numbers += ft_string_number(names[i], &number);
    }
    return numbers == 0;
}

bool ft_names_are_header(const struct ft_string *names, size_t count, const struct ft_selection *selection, enum ft_row_kind kind)
{
    enum ft_column role[64] = {0};
    struct plan plan = {.count = count, .role = role};
    bool chosen = selection->count > 0;

    for (size_t i = 0; i < selection->count; i++) {
        const char *name = selection->column[i].name;

        /* A name that is no number must stand in the header; then the first row is one. */
        chosen = chosen && ft_column_find(names, count, name) >= 0 && name[strspn(name, "0123456789")];
    }
    if (chosen)
        return true;
    if (kind == FT_ROW_VECTORS)
        return are_vector_names(names, count);
    for (size_t i = 0; i < count; i++) {
        if (names[i].size == 0 || names[i].size > 64 || count > 64)
            return false;
        for (size_t j = 0; j < i; j++)
            if (ft_string_equal(names[i], names[j]))
                return false;
        role[i] = ft_name_known(names[i]);
    }
    return plan_kind(&plan) != FT_ROW_GUESS;
}

static int guess_two(struct ft_layout *layout, const size_t *column, const struct ft_sample *sample)
{
    struct ft_column_facts first, second;
    const char *other;

    if (ft_sample_facts(sample, column[0], &first) < 0 || ft_sample_facts(sample, column[1], &second) < 0)
        return -1;
    other = first.all_uris ? "--text-image" : "--pairs";
    layout->kind = FT_ROW_PAIRS;
    if (ft_facts_are_labels(&first, &second)) {
        layout->kind = FT_ROW_LABELED;
        snprintf(layout->reason, sizeof layout->reason, " (%zu values in column %zu of the first %zu rows; %s if not)",
                 second.distinct, column[1] + 1, second.rows, other);
    } else if (second.rows >= 3 && second.distinct * 3 <= second.rows * 2 && !second.uris) {
        snprintf(layout->question, sizeof layout->question,
                 "column %zu has %zu values in the first %zu rows: labels? use --labeled, or %s if not", column[1] + 1,
                 second.distinct, second.rows, other);
    } else if (second.rows > 0 && second.numbers == second.rows && first.numbers == 0) {
        snprintf(layout->question, sizeof layout->question, "column %zu holds numbers only: labels? use --labeled", column[1] + 1);
    }
    return 0;
}

static int guess_kind(struct ft_layout *layout, const struct plan *plan, const struct ft_sample *sample)
{
    struct ft_column_facts third;

    if (!sample)
        return ft_fail(FT_BAD, "no known key: expected text, anchor and positive, query and pos, or --columns");
    layout->guessed = true;
    if (plan->order_count == 1) {
        layout->kind = FT_ROW_UNLABELED;
    } else if (plan->order_count == 2) {
        return guess_two(layout, plan->order, sample);
    } else if (plan->order_count == 3) {
        if (ft_sample_facts(sample, plan->order[2], &third) < 0)
            return -1;
        layout->kind = third.numbers * 2 >= third.rows && third.rows ? FT_ROW_SCORED : FT_ROW_TRIPLETS;
    } else {
        return ft_fail(FT_USAGE, "%zu columns and no name that says what they are: choose with --columns (text=1,label=2), or name what "
                       "a row is (--triplets: anchor, positive, negatives)", plan->order_count);
    }
    return 0;
}

/* The column for a role: one that has it, else one of the others that may stand in, else the next that has no use yet. */
static long plan_take(struct plan *plan, enum ft_column role, enum ft_column other, enum ft_column last)
{
    const enum ft_column wanted[] = {role, other, last};

    for (size_t w = 0; w < 3; w++)
        for (size_t c = 0; c < plan->count && wanted[w]; c++)
            if (plan->role[c] == wanted[w] && !plan->used[c]) {
                plan->used[c] = true;
                return (long)c;
            }
    for (size_t i = 0; i < plan->order_count && !plan->by_name; i++) {
        size_t c = plan->order[i];

        if (!plan->used[c] && plan->role[c] != FT_COLUMN_ID) {
            plan->used[c] = true;
            return (long)c;
        }
    }
    return -1;
}

static void add_item(struct ft_layout *layout, long column, enum ft_role role)
{
    layout->items[layout->item_count++] = (struct ft_layout_item){(size_t)column, role, false, false};
}

static int too_few(const struct ft_layout *layout, const char *expected)
{
    return ft_fail(FT_USAGE, "%s: %zu column%s, expected %s", ft_row_kind_option(layout->kind), layout->columns,
                   layout->columns == 1 ? "" : "s", expected);
}

static int assign_single(struct ft_layout *layout, struct plan *plan, const struct ft_string *names)
{
    long text;

    if (layout->kind == FT_ROW_LABELED) {
        /* The label first where a column is named so; else text takes column 1 and the label what comes next. */
        if (plan_has(plan, FT_COLUMN_LABEL))
            layout->label = plan_take(plan, FT_COLUMN_LABEL, FT_COLUMN_NONE, FT_COLUMN_NONE);
        text = plan_take(plan, FT_COLUMN_TEXT, FT_COLUMN_IMAGE, plan_has(plan, FT_COLUMN_ANCHOR) ? FT_COLUMN_ANCHOR : FT_COLUMN_POSITIVE);
        if (layout->label < 0)
            layout->label = plan_take(plan, FT_COLUMN_LABEL, FT_COLUMN_NONE, FT_COLUMN_NONE);
        if (text < 0 || layout->label < 0)
            return too_few(layout, "2 (text, label)");
        add_item(layout, text, FT_NO_ROLE);
        return 0;
    }
    if (!names && plan->order_count == plan->count) {
        layout->cells = true;
        for (size_t c = 0; c < plan->count; c++) {
            plan->used[c] = true;
            add_item(layout, (long)c, FT_NO_ROLE);
        }
        return 0;
    }
    text = plan_take(plan, FT_COLUMN_TEXT, FT_COLUMN_IMAGE, plan_has(plan, FT_COLUMN_ANCHOR) ? FT_COLUMN_ANCHOR : FT_COLUMN_POSITIVE);
    if (text < 0)
        return too_few(layout, "a text");
    add_item(layout, text, FT_NO_ROLE);
    return 0;
}

static int assign_chunks(struct ft_layout *layout, struct plan *plan, const struct ft_string *names)
{
    bool anchor_named = plan_has(plan, FT_COLUMN_ANCHOR), negative_named = plan_has(plan, FT_COLUMN_NEGATIVE);
    long anchor, positive, negative;

    if (layout->kind == FT_ROW_SCORED && (plan_has(plan, FT_COLUMN_SCORE) || plan_has(plan, FT_COLUMN_LABEL)))
        layout->score = plan_take(plan, FT_COLUMN_SCORE, FT_COLUMN_LABEL, FT_COLUMN_NONE);
    anchor = plan_take(plan, FT_COLUMN_ANCHOR, FT_COLUMN_TEXT, FT_COLUMN_NONE);
    positive = plan_take(plan, FT_COLUMN_POSITIVE, anchor_named ? FT_COLUMN_TEXT : FT_COLUMN_IMAGE, FT_COLUMN_IMAGE);
    if (anchor < 0 || positive < 0)
        return too_few(layout, layout->kind == FT_ROW_PAIRS ? "2 (anchor, positive)" : "3");
    add_item(layout, anchor, FT_ANCHOR);
    add_item(layout, positive, FT_POSITIVE);
    if (layout->kind == FT_ROW_SCORED && layout->score < 0 &&
        (layout->score = plan_take(plan, FT_COLUMN_SCORE, FT_COLUMN_LABEL, FT_COLUMN_NONE)) < 0)
        return too_few(layout, "3 (anchor, positive, score)");
    if (layout->kind != FT_ROW_TRIPLETS)
        return 0;
    if (plan_has(plan, FT_COLUMN_SCORE))
        layout->score = plan_take(plan, FT_COLUMN_SCORE, FT_COLUMN_NONE, FT_COLUMN_NONE);
    while ((negative_named ? plan_has(plan, FT_COLUMN_NEGATIVE) : layout->item_count < 3 || !names) &&
           (negative = plan_take(plan, FT_COLUMN_NEGATIVE, FT_COLUMN_NONE, FT_COLUMN_NONE)) >= 0) {
        plan->role[negative] = FT_COLUMN_NONE;
        add_item(layout, negative, FT_NEGATIVE);
    }
    if (layout->score >= 0 && layout->item_count > 3 && !plan->by_name)
        return ft_fail(FT_USAGE, "a score and %zu negatives: of triplets a score is the margin of one negative: choose with --columns, or give "
                       "JSON lines with a list of scores", layout->item_count - 2);
    return layout->item_count < 3 ? too_few(layout, "3 (anchor, positive, negative)") : 0;
}

/* The numbers: the columns that --columns gives in order, else all that are left. In JSON they are one key's. */
static int assign_vector(struct ft_layout *layout, struct plan *plan, const struct ft_sample *sample)
{
    if (plan_has(plan, FT_COLUMN_LABEL))
        layout->label = plan_take(plan, FT_COLUMN_LABEL, FT_COLUMN_NONE, FT_COLUMN_NONE);
    for (size_t i = 0; sample && i < plan->order_count; i++) {
        size_t c = plan->order[i];

        if (plan->used[c] || plan->role[c] == FT_COLUMN_ID)
            continue;
        plan->used[c] = true;
        layout->vector[layout->vector_count++] = c;
    }
    return layout->vector_count || !sample ? 0 : too_few(layout, "columns of numbers");
}

/* The image is the column so named, or the one with more addresses and paths of pictures in the sample; the text comes first. */
static int assign_text_image(struct ft_layout *layout, struct plan *plan, const struct ft_sample *sample)
{
    bool named = plan_has(plan, FT_COLUMN_IMAGE), text_named = plan_has(plan, FT_COLUMN_TEXT);
    long image = named ? plan_take(plan, FT_COLUMN_IMAGE, FT_COLUMN_NONE, FT_COLUMN_NONE) : -1;
    long text = plan_take(plan, FT_COLUMN_TEXT, FT_COLUMN_ANCHOR, FT_COLUMN_POSITIVE), other;
    struct ft_column_facts first, second;

    if (image < 0)
        image = plan_take(plan, FT_COLUMN_POSITIVE, FT_COLUMN_NONE, FT_COLUMN_NONE);
    if (text < 0 || image < 0)
        return too_few(layout, "2 (text, image)");
    if (!named && !text_named && sample) {
        if (ft_sample_facts(sample, (size_t)text, &first) < 0 || ft_sample_facts(sample, (size_t)image, &second) < 0)
            return -1;
        if (first.uris == second.uris)
            return ft_fail(FT_USAGE, "--text-image: column %ld or column %ld, which holds the images? Say --columns text=%ld,image=%ld", text + 1,
                           image + 1, text + 1, image + 1);
        other = text;
        text = first.uris > second.uris ? image : text;
        image = first.uris > second.uris ? other : image;
    }
    add_item(layout, text, FT_ANCHOR);
    add_item(layout, image, FT_POSITIVE);
    layout->items[1].uri = layout->items[1].named = true;
    return 0;
}

/* What has no use: the id, tags, or, where nothing names columns, too much. */
static int assign_rest(struct ft_layout *layout, struct plan *plan, bool strict)
{
    for (size_t c = 0; c < plan->count; c++) {
        struct ft_string name = layout->names[c];

        if (plan->used[c])
            continue;
        if (plan->role[c] == FT_COLUMN_ID && layout->id < 0)
            layout->id = (long)c;
        else if (strict)
            return ft_fail(FT_USAGE, "%s: %zu columns, expected %zu: choose with --columns, or --header if the first row names them",
                           ft_row_kind_option(layout->kind), layout->columns,
                           layout->item_count + layout->vector_count + (layout->label >= 0) + (layout->score >= 0));
        else if (!ft_string_is(name, "finetuner_label") && !ft_string_is(name, "finetuner_score"))
            layout->tags[layout->tag_count++] = c;
    }
    return 0;
}

/* Addresses: a column named image, or one not named text of addresses only in the sample. The text of a text and an image comes first. */
static int find_uris(struct ft_layout *layout, const struct plan *plan, const struct ft_sample *sample)
{
    struct ft_column_facts facts;

    if (layout->kind == FT_ROW_TEXT_IMAGE)
        return 0;

    for (size_t i = 0; i < layout->item_count; i++) {
        struct ft_layout_item *item = &layout->items[i];

        item->uri = item->named = plan->role[item->column] == FT_COLUMN_IMAGE;
        if (item->uri || !sample || plan->role[item->column] == FT_COLUMN_TEXT)
            continue;
        if (ft_sample_facts(sample, item->column, &facts) < 0)
            return -1;
        item->uri = facts.all_uris;
    }
    if (layout->guessed && layout->kind == FT_ROW_PAIRS && layout->items[0].uri && !layout->items[1].uri) {
        struct ft_layout_item swap = layout->items[0];

        layout->items[0] = (struct ft_layout_item){layout->items[1].column, FT_ANCHOR, false, false};
        layout->items[1] = (struct ft_layout_item){swap.column, FT_POSITIVE, true, false};
    }
    return 0;
}

static int copy_names(struct ft_layout *layout, const struct ft_string *names)
{
    for (size_t c = 0; c < layout->columns; c++) {
        char *name = names ? ft_arena_text(&layout->arena, names[c]) : ft_arena_print(&layout->arena, "column%zu", c + 1);

        if (!name)
            return -1;
        layout->names[c] = (struct ft_string){name, names ? names[c].size : strlen(name)};
        for (size_t other = 0; names && other < c; other++)
            if (ft_string_equal(names[c], names[other]))
                return ft_fail(FT_BAD, "the header names '%s' twice", name);
    }
    return 0;
}

/* sentence1,sentence2,label with numbers is how similarity and duplicate sets are published: the label is a score. */
static bool label_is_score(const struct plan *plan, const struct ft_sample *sample)
{
    struct ft_column_facts facts;

    for (size_t c = 0; sample && c < plan->count; c++)
        if (plan->role[c] == FT_COLUMN_LABEL)
            return ft_sample_facts(sample, c, &facts) == 0 && facts.rows > 0 && facts.numbers == facts.rows;
    return false;
}

static int layout_fill(struct ft_layout *layout, struct plan *plan, const struct ft_string *names,
                       const struct ft_selection *selection, const struct ft_sample *sample)
{
    bool given = layout->kind != FT_ROW_GUESS;
    int made;

    if (copy_names(layout, names) < 0 || plan_selection(plan, names, selection) < 0)
        return -1;
    if (names)
        plan_names(plan, names);
    if (layout->kind == FT_ROW_GUESS && (layout->kind = plan_kind(plan)) == FT_ROW_PAIRS && label_is_score(plan, sample))
        layout->kind = FT_ROW_SCORED;
    if (layout->kind == FT_ROW_GUESS && guess_kind(layout, plan, sample) < 0)
        return -1;
    made = layout->kind == FT_ROW_LABELED || layout->kind == FT_ROW_UNLABELED ? assign_single(layout, plan, names)
         : layout->kind == FT_ROW_VECTORS ? assign_vector(layout, plan, sample)
         : layout->kind == FT_ROW_TEXT_IMAGE ? assign_text_image(layout, plan, sample) : assign_chunks(layout, plan, names);
    if (made < 0 || assign_rest(layout, plan, !names && selection->count == 0) < 0)
        return -1;
    if (find_uris(layout, plan, sample) < 0)
        return -1;
    if (!given && layout->kind == FT_ROW_PAIRS && layout->items[0].uri != layout->items[1].uri)
        layout->kind = FT_ROW_TEXT_IMAGE;
    return 0;
}

int ft_layout_make(struct ft_layout *layout, const struct ft_string *names, size_t count, const struct ft_selection *selection,
                   enum ft_row_kind kind, const struct ft_sample *sample)
{
    struct ft_arena *arena = &layout->arena;
    struct plan plan = {.count = count, .by_name = !sample && !selection->order};

    if (count > (kind == FT_ROW_VECTORS ? MOST_NUMBERS : MOST_COLUMNS) && kind != FT_ROW_UNLABELED)
        return ft_fail(FT_BAD, "%zu columns, expected at most %d", count, kind == FT_ROW_VECTORS ? MOST_NUMBERS : MOST_COLUMNS);

    ft_arena_reset(arena);
    *layout = (struct ft_layout){.kind = kind, .columns = count, .header = names && sample, .id = -1, .label = -1, .score = -1,
                                 .arena = *arena};
    layout->names = ft_arena_zero(arena, count, sizeof *layout->names);
    layout->items = ft_arena_zero(arena, count + 1, sizeof *layout->items);
    layout->vector = ft_arena_zero(arena, count, sizeof *layout->vector);
    layout->tags = ft_arena_zero(arena, count, sizeof *layout->tags);
    plan.role = ft_arena_zero(arena, count, sizeof *plan.role);
    plan.fixed = ft_arena_zero(arena, count, sizeof *plan.fixed);
    plan.used = ft_arena_zero(arena, count, sizeof *plan.used);
    plan.order = ft_arena_zero(arena, count + selection->count, sizeof *plan.order);
    if (!layout->names || !layout->items || !layout->vector || !layout->tags || !plan.role || !plan.fixed || !plan.used || !plan.order)
        return -1;
    return layout_fill(layout, &plan, names, selection, sample);
}

void ft_layout_free(struct ft_layout *layout)
{
    ft_arena_free(&layout->arena);
}

static bool is_found_image(const struct ft_layout *layout, size_t item)
{
    return layout->items[item].uri && !(layout->header && layout->items[item].named);
}

/* Which columns were found to hold images; one that the header names for them needs no word. */
static void say_images(const struct ft_layout *layout, char *text, size_t size, size_t used)
{
    size_t count = 0, said = 0;

    for (size_t i = 0; i < layout->item_count; i++)
        count += is_found_image(layout, i);
    for (size_t i = 0; i < layout->item_count && used < size; i++)
        if (is_found_image(layout, i))
            used += (size_t)snprintf(text + used, size - used, "%s%zu", said++ ? ", " : count > 1 ? ", images in columns " : ", images in column ",
                                     layout->items[i].column + 1);
}

void ft_layout_say(const struct ft_layout *layout, char *text, size_t size)
{
    size_t used = 0;

    if (layout->header) {
        used += (size_t)snprintf(text, size, "header ");
        for (size_t c = 0; c < layout->columns && used < size; c++)
            if (layout->columns <= MOST_SAID || c < MOST_SAID / 2 || c + 1 == layout->columns)
                used += (size_t)snprintf(text + used, size - used, "%s%.40s", c ? "," : "", layout->names[c].data);
            else if (c == MOST_SAID / 2)
                used += (size_t)snprintf(text + used, size - used, ",...");
    } else {
        used += (size_t)snprintf(text, size, "%zu column%s, no header", layout->columns, layout->columns == 1 ? "" : "s");
    }
    if (used < size)
        used += (size_t)snprintf(text + used, size - used, ": %s%s%s", layout->kind == FT_ROW_VECTORS && layout->label >= 0 ? "labelled " : "",
                                 ft_row_kind_name(layout->kind), layout->reason);
    if (layout->vector_count && used < size)
        snprintf(text + used, size - used, " of %zu number%s", layout->vector_count, layout->vector_count == 1 ? "" : "s");
    say_images(layout, text, size, used);
}
