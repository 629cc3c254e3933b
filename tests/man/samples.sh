# samples.sh - the files that the EXAMPLES of the manual name, small, in the present directory.
# Sourced by test-man.t.

# Every third sentence is kept for the test, as train.csv and test.csv of one origin would be.
make_labelled () {
    awk 'BEGIN {
        split("edit|play|show|record|convert|print", verb, "|")
        split("photos:graphics|drawings:graphics|icons:graphics|songs:sound|voices:sound|drums:sound|mails:mail|letters:mail|lists:mail", thing, "|")
        print "text,label" >"train.csv"; print "text,label" >"test.csv"; print "name,synopsis,section" >"packages.csv"
        for (i = 1; i <= 9; i++)
            for (j = 1; j <= 6; j++) {
                split(thing[i], of, ":")
                print verb[j] " " of[1] "," of[2] >((i + j) % 3 ? "train.csv" : "test.csv")
                print "tool" i j ",\"" verb[j] "s " of[1] ", fast\"," of[2] >"packages.csv"
            }
    }'
}

make_pairs () {
    awk 'BEGIN {
        split("one two three four five six seven eight nine ten eleven twelve", number, " ")
        print "anchor,positive" >"pairs.csv"; print "anchor,positive,origin" >"pairs-latin1.csv"
        for (i = 1; i <= 12; i++) {
            print "how much is " number[i] " and one,the number after " number[i] >"pairs.csv"
            print "how much is " number[i] "\tthe number " number[i] >"pairs.tsv"
            printf "caf\351 number %s,the \351t\351 of %s,%s\n", number[i], number[i], i % 3 ? "faq" : "forum" >"pairs-latin1.csv"
            print "what is " number[i] >"questions.txt"
            print "it is the number " number[i] >"answers.txt"
        }
    }'
    { echo text; cat questions.txt; } >questions.csv
}

make_documents () {
    {
        echo id,text
        echo d1,edit photos
        echo d2,play chess
        echo 'd3,"a sound editor, small"'
        echo d4,mail for lists
    } >docs.csv
    printf 'id,text\nq1,photo editor\nq2,chess game\n' >queries.csv
    printf 'query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td3\t1\nq2\td2\t1\n' >qrels.tsv
    printf '%s\n' '{"text": "first", "label": "a"}' '{"text": "second", ' '{"text": "third", "label": "b"}' >articles.jsonl
}

# Pictures of two pixels.
make_pictures () {
    mkdir photos photos/cats photos/dogs &&
    for i in 1 2 3 4; do
        for label in cats dogs; do
            echo R0lGODdhAgABAIEAAAAA/wAAAAAAAAAAACwAAAAAAgABAAAIBQABAAgIADs= | base64 -d >photos/$label/$i.gif
        done
        echo "picture $i of a cat,photos/cats/$i.gif"
    done >captions.csv &&
    cp -R photos photos-test && cp photos/cats/1.gif new.jpg && cp -R "$TOP/tests/golden/tailor/cats" classifier &&
    printf '%s\n' 1,2,.5,x 2,3,-.5,x 9,8,1e3,y >vectors.csv
}

make_labelled && make_pairs && make_documents && make_pictures
