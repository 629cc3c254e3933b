#!/usr/bin/perl
# http.pl - a web server for tests: http.pl FOLDER PORT-FILE. It serves the folder's files, and under /redirect/..., /to-file, /loop, /endless and /cut what
# may go wrong. It writes its port when it listens, each path that it is asked for to standard output, and ends by itself after two minutes.
use strict;
use warnings;
use IO::Socket::INET;

my ($folder, $port_file) = @ARGV;
my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 16, ReuseAddr => 1) or die "no socket: $!";

$SIG{PIPE} = $SIG{CHLD} = 'IGNORE';
alarm 120;
open my $file, '>', "$port_file.tmp" or die $!;
print $file $server->sockport, "\n";
close $file or die $!;
rename "$port_file.tmp", $port_file or die $!;

sub answer {
    my ($client, $status, $body, @headers) = @_;
    print $client join("\r\n", "HTTP/1.1 $status", 'Content-Length: ' . length $body, 'Connection: close', @headers, '', $body);
}

sub serve {
    my ($client, $path) = @_;
    return answer($client, '302 Found', '', "Location: $1") if $path =~ m{^/redirect(/.*)};
    return answer($client, '302 Found', '', 'Location: file:///etc/hostname') if $path eq '/to-file';
    return answer($client, '302 Found', '', 'Location: /loop') if $path eq '/loop';
    if ($path eq '/endless') {
        print $client "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
        1 while print $client 'x' x 65536;
        return;
    }
    return print $client "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\nshort" if $path eq '/cut';
    open my $in, '<:raw', "$folder$path" or return answer($client, '404 Not Found', 'no such file');
    local $/;
    answer($client, '200 OK', scalar <$in>, 'Content-Type: application/octet-stream');
}

while (my $client = $server->accept) {
    next if fork;
    my $request = <$client>;
    while (defined(my $line = <$client>)) {
        last if $line =~ /^\r?\n/;
    }
    if (defined $request && $request =~ m{^GET (\S+)}) {
        syswrite STDOUT, "$1\n";
        serve($client, $1);
    }
    exit 0;
}
