#!/bin/sh
# page.sh SCDOC: makes a man page of scdoc's source, from standard input to standard output.
# scdoc begins each block with a paragraph, also after a heading and before an indentation, where
# mandoc rightly finds it empty: those go.
set -e
"$1" | awk '
    /^\.P$/ { held = 1; next }
    /^\.RE/ { print; next } # the paragraph comes behind it
    {
        if (held && !after_heading && $0 !~ /^\.(SH|SS|RS)/)
            print ".P"
        held = 0
        after_heading = /^\.(SH|SS|TH)/
        print
    }'
