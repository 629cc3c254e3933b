#!/bin/sh
test_description='ft-train: what it does beside the steps'
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/pipe/world.sh"

documents labelled 120 1 >documents || { echo "Bail out! no documents"; exit 1; }
train="$limit ft-train -m model --batch 24 --epochs 2"

test_expect_success '--log tensorboard: an event file that a resumed run leaves as a straight one does' '
    $train -q -o log --log tensorboard documents && events=run/events.out.tfevents.1.ft && test -s log/$events &&
    grep -c -a gradient_norm log/$events && test "$(grep -o -a gradient_norm log/$events | wc -l)" -eq "$(applied log)" &&
    $train -q -o log-resumed --log tensorboard --steps 3 --save-every 2 documents &&
    $train -q -o log-resumed --resume documents && same log log-resumed &&
    test "$(wc -c <log/$events)" -eq "$(wc -c <log-resumed/$events)" &&
    $train -q -o log-none documents && same log log-none && test_no_file log-none/$events &&
    test_expect_code 2 $train -q -o log-none --log wandb documents 2>err && test_grep "one of tensorboard" err
'

test_done
