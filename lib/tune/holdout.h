/* holdout.h - a share of the documents held out of training, for evaluation.
 *
 * Documents that share a content (of a pair: anchor or positive) go to one side together: groups.h. Of these groups a hash of the contents and the
 * seed decides, so the choice does not hang on the order of the documents. Where documents have labels the share is taken of each label, in
 * whole groups as far as they fit; two documents at least, or none, and two stay: a query needs another of its label, on either side. */
#ifndef FT_TUNE_HOLDOUT_H
#define FT_TUNE_HOLDOUT_H

#include "tune/documents.h"
#include "tune/validation.h"

struct ft_holdout;

struct ft_holdout *ft_holdout_open(double share, uint64_t seed);
void ft_holdout_close(struct ft_holdout *holdout);

int ft_holdout_add(struct ft_holdout *holdout, const struct ft_document *document, struct ft_string bytes);

/* All are in: the chosen ones become queries of `validation`, `take` gets the others in their order. FT_BAD when nothing can be held out. */
int ft_holdout_split(struct ft_holdout *holdout, struct ft_validation *validation, ft_documents_take *take, void *argument);

#endif
