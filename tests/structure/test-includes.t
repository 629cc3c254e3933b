#!/usr/bin/perl
# test-includes.t - the rules of the house that a reader relies on and a compiler does not check: who may include whom, what no file may
# call or hold. Each failure names the file and the line. Perl, because prove is Perl already.
use strict;
use warnings;
use Test::More;

chdir($0 =~ m{(.*)/} ? "$1/../.." : '../..') or die "no top of the tree: $!";

# Rooms, and those each may look into; a room may always look into itself. eval and train do not know each other; tune knows both.
my %below = (
    base => [],
    stream => ['base'],
    data => ['stream', 'base'],
    tensor => ['stream', 'base'],
    model => ['tensor', 'data', 'stream', 'base'],
    train => ['model', 'tensor', 'data', 'stream', 'base'],
    eval => ['model', 'tensor', 'data', 'stream', 'base'],
    tune => ['train', 'eval', 'model', 'tensor', 'data', 'stream', 'base'],
);

# Files of the tree, those not yet added included; without git (an unpacked archive), all but what is built.
sub files {
    my @found = -e '.git' ? split /\0/, `git ls-files -coz --exclude-standard` : ();
    @found = split /\n/, `find . -type f -not -path './build*' -not -path './bin/*' -not -name '*.a' | sed 's,^./,,'` unless @found;
    return grep { -f $_ && !-l $_ } sort @found;
}

sub content {
    my ($path) = @_;
    open my $file, '<:raw', $path or die "$path: $!";
    local $/;
    my $text = <$file>;
    return defined $text ? $text : '';
}

# C with the insides of comments and of strings blanked, lines kept: what is left is code. Ends of `//` comments stay to be seen.
sub code {
    my ($text) = @_;
    $text =~ s{(/\*.*?\*/)|("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')}{
        my $part = defined $1 ? $1 : $2;
        my $keep = defined $1 ? '' : substr($part, 0, 1);
        $part =~ s/[^\n]//g;
        "$keep$part$keep";
    }gse;
    return $text;
}

# Lines of a file's text that match: "path:line: what stands there".
sub places {
    my ($path, $text, $pattern) = @_;
    my ($number, @found) = (0);
    for my $line (split /\n/, $text, -1) {
        $number++;
        push @found, "$path:$number: $line" if $line =~ $pattern;
    }
    return @found;
}

sub none {
    my ($what, @found) = @_;
    ok(!@found, $what) or diag(join "\n", @found[0 .. ($#found < 19 ? $#found : 19)]);
}

my @files = files();
my @c = grep { /\.(c|h|cu)$/ } @files;
my @lib = grep { m{^lib/} } @c;
my %code = map { $_ => code(content($_)) } @c;
my %raw = map { $_ => content($_) } @files;

cmp_ok(scalar @lib, '>', 50, 'the library was found');

# ---- includes -----------------------------------------------------------------------------------------------------------

my (@up, @unknown);
for my $path (@lib) {
    my ($room) = $path =~ m{^lib/([^/]+)/};
    my %allowed = map { $_ => 1 } $room, @{$below{$room} || []};
    push @unknown, $path unless $below{$room};
    while ($raw{$path} =~ /^\s*#\s*include\s+"([^"]+)"/mg) {
        my $included = $1;
        my ($to) = $included =~ m{^([^/]+)/};
        push @up, "$path includes $included" if $included =~ m{^\.\./|^(tools|tests)/} || (defined $to && $below{$to} && !$allowed{$to});
    }
}
none('every file of lib lies in a known room', @unknown);
none('includes go one way: tune -> train, eval -> model -> tensor, data -> stream -> base', @up);
none('a tool includes the library alone', map { my $p = $_; map { "$p: $_" } grep { !m{^(base|stream|data|tensor|model|train|eval|tune)/} }
    $raw{$p} =~ /^\s*#\s*include\s+"([^"]+)"/mg } grep { m{^tools/} } @c);

my %named;
push @{$named{m{([^/]+)$} ? $1 : $_}}, $_ for grep { /\.c$/ } @lib;
none('no two objects of the library share a name', map { join ' ', @$_ } grep { @$_ > 1 } values %named);

# ---- what code may not do -----------------------------------------------------------------------------------------------

my $unsafe = qr/strcpy|v?sprintf|strtok|ato[ifl]|gets|tmpnam|mktemp/;
none('no strcpy, sprintf, strtok, atoi, gets', map { places($_, $code{$_}, qr/(?<![\w.>])($unsafe)\s*\(/) } @c);
none('no shell runs on data: no system, popen outside tests', map {
    places($_, $code{$_}, qr/(?<![\w.>])(system|popen)\s*\(/)
} grep { !m{^tests/} } @c);
none('no // comments', map { places($_, $code{$_}, qr{//}) } @c);
# emulate.h stands in for a GPU under a test; stop.c ends by the signal that asked for it.
none('the library does not print and does not exit, but for its part in base/ that is a tool\'s main', map {
    places($_, $code{$_}, qr/(?<!\w)((v?printf|puts|putchar|perror|exit|_exit|quick_exit|abort)\s*\(|stdout\b|stderr\b)/)
} grep { !m{^lib/base/(tool|options|stop|log[^/]*)\.c$|^lib/tensor/cuda/emulate\.h$} } @lib);

# ---- what files may not hold ---------------------------------------------------------------------------------------------

my @text = grep { !m{^tests/(golden|data/samples)/} && $raw{$_} !~ /\0/ } @files;
my @source = grep { /\.(c|h|cu|sh|t|mk|py|pl|awk)$|(^|\/)Makefile$/ } @text;

none('no file of code over 550 lines', map { my $n = () = $raw{$_} =~ /\n/g; $n > 550 ? "$_: $n lines" : () } grep { !m{\.py$} } @source);
none('no file over 1 MB', map { -s $_ > 1_000_000 ? $_ : () } @files);
none('no path of one machine', map { places($_, $raw{$_}, qr{(?<![\w.\}])/(work|farm|root|home/(?!models\b)\w+)/}) } grep { $_ ne $0 && !m{test-includes\.t$} } @text);
none('no trailing blanks', map { places($_, $raw{$_}, qr/[ \t\r]$/) } grep { !/\.md$|^LICENSE$/ } @text);
none('no tabs in C', map { places($_, $raw{$_}, qr/\t/) } @c);
none('a last line ends', map { length $raw{$_} && $raw{$_} !~ /\n\z/ ? $_ : () } @source);
none('C begins with a comment that says what the file is', map { $raw{$_} =~ m{\A/\* } ? () : $_ } @c);
none('tests can be run', map { -x $_ ? () : "$_: chmod +x" } grep { /\.t$/ } @files);

done_testing();
